"""The shortest completion: does the model speak, how soon, how fast."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

import aiohttp

from bot.core.clock import Clock
from bot.diagnostics.link import Link, LinkError, Trouble
from bot.diagnostics.server import broken
from bot.diagnostics.values import Finding, Limits, Status, Step, one_line

_MAX_TOKENS = 8
_LINE_BYTES = 65_536
_STREAM_BYTES = 524_288

_KNOWN: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), cause, advice)
    for pattern, cause, advice in (
        (
            r"no models loaded|model is unloaded|model reloaded|terminated",
            "The model isn't loaded any more.",
            "Load it in LM Studio or with /model load.",
        ),
        (
            r"invalid model identifier|model_not_found|multiple models are loaded",
            "LM Studio doesn't know which model is meant.",
            "See /model list and set LMSTUDIO_MODEL to one of those.",
        ),
        (
            (
                r"insufficient system resources|unable to allocate|failed to load|error loading model"
                r"|out of memory|bad alloc|exited before becoming healthy"
            ),
            "The model can't be loaded: the machine is short of memory.",
            "Load it with a smaller context, choose a smaller model, or close other programs there.",
        ),
        (
            r"has crashed|exit code|devicelost|compute error|decode\(\) failed|channel error",
            "The model has crashed.",
            "Load it again in LM Studio; if that recurs, update its runtime or choose another model.",
        ),
        (
            r"jinja|roles must alternate",
            "The model's chat template is broken.",
            "Choose another download of this model, or correct its prompt template in LM Studio.",
        ),
        (
            r"context|n_ctx",
            "The model's context is full.",
            "Load it with a longer context, or wait until other answers are done.",
        ),
        (
            r"api token|invalid_api_key|permission",
            "The token doesn't allow completions.",
            "Give it that permission in LM Studio's server settings.",
        ),
        (
            r"unexpected endpoint",
            "LM Studio doesn't know the route for completions.",
            "Remove everything after the port from LMSTUDIO_BASE_URL.",
        ),
    )
)


@dataclass(slots=True)
class Heard:
    """What came of a completion.

    Attributes:
        tokens: Deltas with text.
        first_s: Seconds to the first, from sending.
        last_s: Seconds to the last.
        error: The words of an error; empty without one.
        finished: The reply came to its end.
    """

    tokens: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    error: str = ""
    model: str = ""
    finished: bool = False


async def probe_completion(
    link: Link, model: str, configured: str | None, clock: Clock, limits: Limits
) -> Finding:
    """Ask for a handful of tokens, and close as soon as they are there."""
    heard = Heard()
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Say OK."}],
        "max_tokens": _MAX_TOKENS,
        "temperature": 0,
        "stream": True,
    }
    began = clock.monotonic()
    try:
        async with link.post("/v1/chat/completions", body, limit_s=limits.completion_s) as response:
            await _listen(response, heard, clock, began)
    except LinkError as exc:
        if exc.trouble is not Trouble.SILENT:
            return broken(Step.COMPLETION, exc)
        if not heard.tokens:
            return _waiting()
    return judge(heard, configured)


async def _listen(
    response: aiohttp.ClientResponse, heard: Heard, clock: Clock, began: float
) -> None:
    if "text/event-stream" not in response.headers.get("Content-Type", ""):
        raw = await response.content.read(_LINE_BYTES)
        heard.error = one_line(_error_in(_loads(raw)) or f"status {response.status}", 300)
        return
    buffer = b""
    size = 0
    async for part in response.content.iter_any():
        buffer += part
        size += len(part)
        *lines, buffer = buffer.split(b"\n")
        if len(buffer) > _LINE_BYTES or size > _STREAM_BYTES or heard.tokens > 4 * _MAX_TOKENS:
            return
        for line in lines:
            if line.startswith(b"data:"):
                _hear(line[5:].strip(), heard, clock.monotonic() - began)
        if heard.error or heard.finished:
            return


def _loads(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _error_in(body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else ""


def _hear(data: bytes, heard: Heard, at_s: float) -> None:
    if data == b"[DONE]":
        heard.finished = True
        return
    body = _loads(data)
    if not isinstance(body, dict):
        return
    heard.error = heard.error or one_line(_error_in(body), 300)
    heard.model = heard.model or one_line(body.get("model") or "")
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return
    delta = choice.get("delta")
    if isinstance(delta, dict) and any(
        delta.get(name) for name in ("content", "reasoning_content", "reasoning")
    ):
        heard.tokens += 1
        heard.first_s = heard.first_s or at_s
        heard.last_s = at_s
    heard.finished = heard.finished or bool(choice.get("finish_reason"))


def _waiting() -> Finding:
    return Finding(
        Step.COMPLETION,
        Status.WARNING,
        "The model gave no token in time: it is loading, reading something long, or busy.",
        "Look again in a minute; if it stays so, restart the model in LM Studio.",
    )


def judge(heard: Heard, configured: str | None) -> Finding:
    """Say what a short completion tells.

    Args:
        heard: What came.
        configured: ``LMSTUDIO_MODEL``, if set.
    """
    if heard.error:
        return _judge_error(heard.error)
    if not heard.tokens:
        cause = "The model ended without saying anything."
        advice = "Restart the model in LM Studio; if that doesn't help, choose another one."
        return Finding(Step.COMPLETION, Status.WARNING, cause, advice)
    technical = f"first token after {heard.first_s:.2f} s"
    if heard.tokens > 2 and heard.last_s > heard.first_s:
        rate = (heard.tokens - 1) / (heard.last_s - heard.first_s)
        technical += f", {rate:.0f} tokens/s"
    if configured and heard.model and heard.model.partition(":")[0] != configured.partition(":")[0]:
        return Finding(
            Step.COMPLETION,
            Status.WARNING,
            "Another model than the configured one answered.",
            "See /model list and set LMSTUDIO_MODEL to the exact key.",
            technical=f"{heard.model} answered; {technical}",
        )
    return Finding(Step.COMPLETION, Status.OK, "The model answers.", technical=technical)


def _judge_error(error: str) -> Finding:
    for pattern, cause, advice in _KNOWN:
        if pattern.search(error):
            return Finding(Step.COMPLETION, Status.FAILED, cause, advice)
    return Finding(
        Step.COMPLETION,
        Status.FAILED,
        "LM Studio couldn't complete a short test.",
        "Look at LM Studio's server log, and load the model again.",
        technical=error,
    )
