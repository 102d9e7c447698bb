"""Two short completions: does the model speak, how fast does it read and write, does it leak."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp import ClientResponse

from bot.core.clock import within
from bot.core.domain import ChatTurn, FinishReason, Role, TextDelta
from bot.core.errors import BackendError
from bot.diagnostics.link import Way, failed
from bot.diagnostics.models import with_smaller
from bot.diagnostics.values import Fact, Finding, Status, Step, one_line
from bot.lmstudio import errors, failures
from bot.lmstudio.catalogue import name_to_send
from bot.lmstudio.completion import CompletionDecoder, encode_body
from bot.lmstudio.names import is_same_model
from bot.lmstudio.transport import COMPLETIONS, Reply
from bot.output.pipeline import ModelMemory, OutputPolicy, ReplyPipeline, SecretGuard

_FEW_TOKENS, _SOME_TOKENS = 8, 32
ANSWER_S: Final = 6.0
"""Seconds for the shortest completion, from sending to its last token."""
MEASURE_S: Final = 4.3
"""Seconds for the longer one."""
_WORDS: Final = "Is 17 a prime number? Say why in one sentence."
_READ_THIS: Final = "Read these numbers, then answer the question after them.\n" + " ".join(
    f"{number} {number * number};" for number in range(1, 61)
)
"""Some hundred tokens, so that reading takes a time that can be measured."""
_STREAM_BYTES: Final = 524_288


@dataclass(slots=True)
class Heard:
    """What came of a completion.

    Attributes:
        tokens: Deltas with text.
        first_s: Seconds to the first, from sending.
        last_s: Seconds to the last.
        prompt_tokens: Length of the prompt, if that was said.
        model: Who answered, if that was said.
        failure: Why it isn't a whole answer.
    """

    tokens: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    prompt_tokens: int = 0
    model: str = ""
    failure: BackendError | None = None


@dataclass(slots=True)
class _Listener:
    """Reads a completion until it has said enough."""

    way: Way
    began_s: float
    most_tokens: int
    said: list[tuple[str, str]] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    decoder: CompletionDecoder = field(default_factory=lambda: CompletionDecoder(_STREAM_BYTES))

    async def ask(self, body: bytes) -> None:
        try:
            response = await self.way.own.open("POST", COMPLETIONS, body)
        except errors.DisconnectedError:  # a kept connection may have been closed just now
            response = await self.way.own.open("POST", COMPLETIONS, body)
        try:
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if response.status != 200 or kind.endswith("json") or kind == "text/html":
                await self._take_body(response, kind)
            else:
                await self._take_stream(response)
        finally:
            response.close()

    async def _take_body(self, response: ClientResponse, kind: str) -> None:
        data = await self.way.own.read_body(response)
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
                for line in chunk.splitlines(keepends=True):  # so that each delta is counted
                    self._note(*decoder.feed(line))
                if self.heard.tokens > 4 * self.most_tokens:
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
        if self.decoder.usage is not None:
            heard.prompt_tokens = self.decoder.usage.prompt_tokens
        if content or reasoning:
            self.said.append((content, reasoning))
            heard.tokens += 1
            heard.last_s = self.way.clock.monotonic() - self.began_s
            heard.first_s = heard.first_s or heard.last_s


async def probe_completion(way: Way) -> Finding:
    """Wait for this diagnosis's turn, then ask for a handful of tokens."""
    info, asked = way.info, way.target.model
    if info is None or not info.is_loaded:
        cause = "Not tried, because it would load a model."
        return Finding(Step.COMPLETION, Status.SKIPPED, cause)
    way.sent = name_to_send(info, asked, info.instance_ids[0])
    refusal = await way.stack.enter_async_context(way.turn(way.sent))
    if refusal:
        return Finding(Step.COMPLETION, Status.SKIPPED, refusal, is_personal=True)
    listener = _Listener(way, way.clock.monotonic(), _FEW_TOKENS)
    try:
        await within(way.clock, listener.ask(_body(way.sent, "Say OK.", _FEW_TOKENS)), ANSWER_S)
    except TimeoutError:
        if not listener.heard.tokens:
            return late_completion()
    except BackendError as exc:
        return _failed(way, exc)
    way.has_spoken = bool(listener.heard.tokens)
    if isinstance(listener.heard.failure, errors.OutOfMemoryError):
        return _failed(way, listener.heard.failure)
    return judge(listener.heard, asked)


def _failed(way: Way, failure: BackendError) -> Finding:
    finding = failed(Step.COMPLETION, failure)
    if isinstance(failure, errors.OutOfMemoryError):
        return with_smaller(finding, way.catalogue, way.info)
    return finding


async def probe_speed(way: Way) -> Finding | None:
    """Let the model read some hundred tokens and write some dozens, and time both."""
    if not way.has_spoken:
        return None
    listener = _Listener(way, way.clock.monotonic(), _SOME_TOKENS)
    body = _body(way.sent, f"{_READ_THIS}\n{_WORDS}", _SOME_TOKENS, include_usage=True)
    try:
        await within(way.clock, listener.ask(body), MEASURE_S)
    except TimeoutError:
        pass  # what came until then is judged
    except BackendError as exc:
        return failed(Step.SPEED, exc)
    way.said = listener.said
    return judge_speed(listener.heard, is_way_poor=way.is_poor)


async def probe_filter(way: Way) -> Finding | None:
    """See whether thinking came inside the answer's text, and whether the filter caught it."""
    if not way.said:
        return None
    memory = ModelMemory()
    pipeline = ReplyPipeline(
        policy=OutputPolicy(),
        secrets=SecretGuard(),
        expect_missing_opening=memory.expects_missing_opening(way.sent),
    )
    for content, _ in way.said:
        pipeline.feed(TextDelta(content))
    pipeline.close(FinishReason.STOP)
    if not (pipeline.saw_open or pipeline.saw_orphan_close):
        is_apart = any(reasoning for _, reasoning in way.said)
        cause = "Thinking comes apart from the answer." if is_apart else "The answer is clean."
        return Finding(Step.FILTER, Status.OK, cause)
    return Finding(
        Step.FILTER,
        Status.WARNING,
        "The model writes its thinking into its answers; the bot leaves it out.",
        "Switch on “separate reasoning_content and content in API responses” in LM Studio's developer "
        "settings, or set reasoning to off.",
    )


def _body(model: str, text: str, most_tokens: int, *, include_usage: bool = False) -> bytes:
    return encode_body(
        model=model,
        turns=(ChatTurn(Role.USER, text),),
        temperature=0,
        top_p=1,
        max_tokens=most_tokens,
        reasoning_effort=None,
        include_usage=include_usage,
    )


def late_completion() -> Finding:
    """Return what is so when no token comes."""
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
        cause = "The model ended without saying anything."
        return Finding(Step.COMPLETION, Status.WARNING, cause, failure.admin_hint)
    if failure is not None:
        return failed(Step.COMPLETION, failure)
    facts: dict[str, Fact] = {"first_token_s": round(heard.first_s, 2)}
    if configured and heard.model and not is_same_model(heard.model, configured):
        return Finding(
            Step.COMPLETION,
            Status.WARNING,
            "Another model than the configured one answered.",
            "See /model list and set LMSTUDIO_MODEL to the exact key.",
            technical=f"{one_line(heard.model)} answered",
            facts=facts,
        )
    return Finding(Step.COMPLETION, Status.OK, "The model answers.", facts=facts)


def judge_speed(heard: Heard, *, is_way_poor: bool = False) -> Finding:
    """Say how fast a model reads and writes.

    Args:
        heard: What came of the longer completion.
        is_way_poor: The way to it may be what is slow, and was told of already.
    """
    facts: dict[str, Fact] = {}
    if heard.prompt_tokens and heard.first_s:
        facts["reading_tokens_s"] = round(heard.prompt_tokens / heard.first_s)
    writing_s = heard.last_s - heard.first_s
    rate = (heard.tokens - 1) / writing_s if heard.tokens > 2 and writing_s > 0 else 0.0
    if rate:
        facts["writing_tokens_s"] = round(rate, 1)
    if heard.tokens and not (rate and rate < _SLOW_TOKENS_S):
        return Finding(Step.SPEED, Status.OK, "The model reads and writes.", facts=facts)
    if is_way_poor:
        cause = "How fast the model is can't be told over a way that is slow or loses data."
        return Finding(Step.SPEED, Status.OK, cause)
    return Finding(
        Step.SPEED,
        Status.WARNING,
        "The model is slow: people read faster than it writes."
        if heard.tokens
        else "The model is slow: it takes seconds to read a short text.",
        "Choose a smaller model or quantisation, and see in LM Studio that it runs on the graphics "
        "processor.",
        facts=facts,
    )


_SLOW_TOKENS_S: Final = 4.0
"""About 200 words a minute, as fast as people read."""
