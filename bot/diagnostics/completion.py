"""The shortest completion: does the model speak, how soon, how fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import ClientResponse

from bot.core.domain import ChatTurn, Role
from bot.core.errors import BackendError
from bot.core.tasks import within
from bot.diagnostics.link import Link, failed
from bot.diagnostics.values import Finding, Limits, Status, Step, one_line
from bot.lmstudio import errors, failures
from bot.lmstudio.catalogue import is_same_model
from bot.lmstudio.completion import CompletionDecoder
from bot.lmstudio.transport import Reply
from bot.lmstudio.wire import encode_body

_MAX_TOKENS: Final = 8
_STREAM_BYTES: Final = 524_288


@dataclass(slots=True)
class Heard:
    """What came of a completion.

    Attributes:
        tokens: Deltas with text.
        first_s: Seconds to the first, from sending.
        last_s: Seconds to the last.
        model: Who answered, if that was said.
        failure: Why it isn't a whole answer.
    """

    tokens: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    model: str = ""
    failure: BackendError | None = None


@dataclass(slots=True)
class _Listener:
    """Reads a completion until it has said enough."""

    link: Link
    began_s: float
    heard: Heard = field(default_factory=Heard)
    decoder: CompletionDecoder = field(default_factory=lambda: CompletionDecoder(_STREAM_BYTES))

    async def ask(self, body: bytes) -> None:
        response = await self.link.own.open("POST", "/v1/chat/completions", body)
        try:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if response.status != 200 or kind.endswith("json") or kind == "text/html":
                await self._take_body(response, kind)
            else:
                await self._take_stream(response)
        finally:
            response.close()

    async def _take_body(self, response: ClientResponse, kind: str) -> None:
        data = await self.link.own.read_body(response)
        reply = Reply(response.status, kind, data, response.headers.get("Retry-After"))
        parsed = reply.json
        is_answer = isinstance(parsed, dict) and isinstance(parsed.get("choices"), list)
        if not is_answer or reply.failure:
            raise reply.failure or failures.classify(reply.status, data)
        self._note(*self.decoder.accept_reply(parsed))
        self.heard.failure = failures.failure_of(self.decoder)

    async def _take_stream(self, response: ClientResponse) -> None:
        decoder = self.decoder
        try:
            async for chunk in response.content.iter_any():
                for line in _lines(chunk):
                    self._note(*decoder.feed(line))
                if self.heard.tokens > 4 * _MAX_TOKENS:
                    return
                if decoder.has_ended or decoder.has_failed:
                    break
        except (aiohttp.ClientError, OSError) as exc:
            if not decoder.has_ended:
                raise errors.TruncatedStreamError from exc
        self._note(*decoder.finish())
        self.heard.failure = failures.failure_of(decoder)

    def _note(self, content: str, reasoning: str) -> None:
        heard = self.heard
        heard.model = self.decoder.model or ""
        if content or reasoning:
            heard.tokens += 1
            heard.last_s = self.link.clock.monotonic() - self.began_s
            heard.first_s = heard.first_s or heard.last_s


def _lines(chunk: bytes) -> Iterator[bytes]:
    """Yield a read line by line, so that each delta is counted."""
    yield from chunk.splitlines(keepends=True)


async def probe_completion(
    link: Link, model: str, configured: str | None, limits: Limits
) -> Finding:
    """Ask for a handful of tokens, and close as soon as they are there."""
    body = encode_body(
        model=model,
        turns=(ChatTurn(Role.USER, "Say OK."),),
        temperature=0,
        top_p=1,
        max_tokens=_MAX_TOKENS,
        reasoning_effort=None,
        include_usage=False,
    )
    listener = _Listener(link, link.clock.monotonic())
    try:
        await within(link.clock, listener.ask(body), limits.completion_s)
    except TimeoutError:
        if not listener.heard.tokens:
            return _waiting()
    except BackendError as exc:
        return failed(Step.COMPLETION, exc)
    return judge(listener.heard, configured)


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
    failure = heard.failure
    if isinstance(failure, errors.EmptyAnswerError):
        if not heard.tokens:
            cause = "The model ended without saying anything."
            return Finding(Step.COMPLETION, Status.WARNING, cause, failure.admin_hint)
    elif failure is not None:
        return failed(Step.COMPLETION, failure)
    technical = f"first token after {heard.first_s:.2f} s"
    if heard.tokens > 2 and heard.last_s > heard.first_s:
        rate = (heard.tokens - 1) / (heard.last_s - heard.first_s)
        technical += f", {rate:.0f} tokens/s"
    if configured and heard.model and not is_same_model(heard.model, configured):
        return Finding(
            Step.COMPLETION,
            Status.WARNING,
            "Another model than the configured one answered.",
            "See /model list and set LMSTUDIO_MODEL to the exact key.",
            technical=f"{one_line(heard.model)} answered; {technical}",
        )
    return Finding(Step.COMPLETION, Status.OK, "The model answers.", technical=technical)
