"""Two short completions: does the model speak, how fast does it read and write, does it leak."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from bot.core.domain import ChatTurn, FinishReason, Pace, Role, TextDelta
from bot.core.errors import BackendError
from bot.diagnostics.link import Way, failed
from bot.diagnostics.models import with_smaller
from bot.diagnostics.values import Fact, Finding, Status, Step, one_line
from bot.lmstudio import errors
from bot.lmstudio.catalogue import name_to_send
from bot.lmstudio.completion import encode_body
from bot.lmstudio.names import is_same_model
from bot.lmstudio.transport import Exchange, TimeLimits
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


@dataclass(slots=True)
class Heard:
    """What came of a completion.

    Attributes:
        tokens: Deltas with text.
        first_s: Seconds to the first, from sending.
        last_s: Seconds to the last.
        prompt_tokens: Length of the prompt, if that was said.
        model: Who answered, if that was said.
        said: The text.
        failure: Why it isn't a whole answer; ``None`` also where its time was over.
    """

    tokens: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    prompt_tokens: int = 0
    model: str = ""
    said: list[TextDelta] = field(default_factory=list)
    failure: BackendError | None = None


async def _ask(
    way: Way, text: str, most_tokens: int, limit_s: float, *, include_usage: bool = False
) -> Heard:
    """Ask, and listen until enough was said or the time is over."""
    body = encode_body(
        model=way.sent,
        turns=(ChatTurn(Role.USER, text),),
        temperature=0,
        top_p=1,
        max_tokens=most_tokens,
        reasoning_effort=None,
        include_usage=include_usage,
    )
    heard, began_s = Heard(), way.clock.monotonic()
    limits = TimeLimits(limit_s, limit_s, limit_s, began_s + limit_s)

    async def listen() -> None:
        exchange = Exchange(way.own, way.clock, limits, max_tokens=most_tokens, pace=Pace())
        decoder = exchange.decoder
        try:
            async with aclosing(exchange.events(body)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        heard.said.append(event)
                        heard.last_s = way.clock.monotonic() - began_s
                        heard.first_s = heard.first_s or heard.last_s
                    if decoder.pieces > 4 * most_tokens:
                        break
        finally:
            heard.tokens, heard.model = decoder.pieces, decoder.model or ""
            if decoder.usage is not None:
                heard.prompt_tokens = decoder.usage.prompt_tokens

    try:
        try:
            await listen()
        except errors.DisconnectedError:  # a kept connection may have been closed just now
            await listen()
    except errors.TotalTimeoutError:
        pass  # what came until then is judged
    except BackendError as exc:
        heard.failure = exc
    return heard


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
    heard = await _ask(way, "Say OK.", _FEW_TOKENS, ANSWER_S)
    if not heard.tokens and heard.failure is None:
        return late_completion()
    way.has_spoken = bool(heard.tokens)
    finding = judge(heard, asked)
    if isinstance(heard.failure, errors.OutOfMemoryError):
        return with_smaller(finding, way.catalogue, info)
    return finding


async def probe_speed(way: Way) -> Finding | None:
    """Let the model read some hundred tokens and write some dozens, and time both."""
    if not way.has_spoken:
        return None
    text = f"{_READ_THIS}\n{_WORDS}"
    heard = await _ask(way, text, _SOME_TOKENS, MEASURE_S, include_usage=True)
    if heard.failure is not None:
        return failed(Step.SPEED, heard.failure)
    way.said = heard.said
    return judge_speed(heard, is_way_poor=way.is_poor)


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
    for text in way.said:
        pipeline.feed(TextDelta(text.content))
    pipeline.close(FinishReason.STOP)
    if not (pipeline.saw_open or pipeline.saw_orphan_close):
        is_apart = any(text.reasoning for text in way.said)
        cause = "Thinking comes apart from the answer." if is_apart else "The answer is clean."
        return Finding(Step.FILTER, Status.OK, cause)
    return Finding(
        Step.FILTER,
        Status.WARNING,
        "The model writes its thinking into its answers; the bot leaves it out.",
        "Switch on “separate reasoning_content and content in API responses” in LM Studio's developer "
        "settings, or set reasoning to off.",
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
