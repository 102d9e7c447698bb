"""One answer as it comes from the model, asked for again where that brings it to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from bot.chat.account import Account
from bot.chat.parts import ReplyParts
from bot.chat.seam import Seam
from bot.core.domain import (
    ChatRequest,
    Completed,
    Counted,
    FinishReason,
    Question,
    Reasoning,
    Restarted,
    Retried,
    Sampling,
    Stage,
    StageKind,
    TextDelta,
    Usage,
)
from bot.core.errors import BackendError
from bot.core.ports import ChatSettings
from bot.core.record import BROKEN_OFF, ONLY_THINKING
from bot.lmstudio.errors import EmptyAnswerError
from bot.lmstudio.recovery import more_tokens
from bot.output.pipeline import ReplyPipeline, Verdict
from bot.prompt.builder import Prompt

_log = logging.getLogger(__name__)

LEAST_REST_S: Final = 5.0
"""Seconds of a question's time that must be left for asking again."""
GATHER_S: Final = 0.25
"""Seconds that text gathers between two reads, once there is something to see; edits are 1.5 s apart."""

_LEAST_REST_TOKENS: Final = 64
_STEP_CHARS: Final = 512
"""How much text is read before others have their turn: text made to be slow costs up to 20 µs a
character."""


class Reading:
    """Reads an answer to its end.

    Args:
        parts: What the reply works with.
        question: Whose answer it is.
        prompt: What the model is given.
        chat: The settings in force.
        max_tokens: Longest answer.
        account: Knows the model; told why it is asked again.
        on_text: Called whenever something came, with whether there is anything to see.
        on_stage: Called with each stage.

    Attributes:
        prompt: What the model is given.
        pipeline: What came, as it may be shown.
        is_joined: It was put together from two answers, so that its counts are in part estimates.
    """

    def __init__(
        self,
        parts: ReplyParts,
        question: Question,
        prompt: Prompt,
        chat: ChatSettings,
        max_tokens: int,
        account: Account,
        *,
        on_text: Callable[[bool], None],
        on_stage: Callable[[Stage], None],
    ) -> None:
        self._parts = parts
        self.prompt = prompt
        self._chat = chat
        self._account = account
        self._on_text = on_text
        self._on_stage = on_stage
        person_id = question.counts_for
        self._expecting = parts.memory.expects_missing_opening(account.model, person_id)
        self._request = ChatRequest(
            question_id=question.id,
            person_id=person_id,
            conversation_key=prompt.conversation_key,
            model=chat.model,
            turns=prompt.turns,
            sampling=Sampling(chat.temperature, chat.top_p, max_tokens),
            reasoning=chat.reasoning,
            prompt_tokens=prompt.prompt_tokens,
            may_load=chat.may_load,
        )
        self.is_joined = False
        self._raw: list[str] = []
        self._began_s = parts.clock.monotonic()
        self._first_s: float | None = None
        self._ends_at_s = self._began_s + parts.settings.lmstudio.total_timeout_s
        self.pipeline = self._new_pipeline()

    async def run(self) -> Completed:
        """Read; the pipeline is closed then.

        Raises:
            BackendError: There is no answer to be had.
        """
        done = await self._read(self._request)
        if done.may_go_on:
            done = await self._go_on(done)
        left_s = self._ends_at_s - self._parts.clock.monotonic()
        if self.pipeline.verdict is Verdict.ONLY_THINKING and left_s >= LEAST_REST_S:
            self._account.retried(ONLY_THINKING)
            self._on_stage(Stage(StageKind.RETRYING))
            done = await self._without_thinking(done, left_s)
            await _close(self.pipeline, done.reason)
        return done

    def so_far(self) -> Completed:
        """Return what is known of an answer that is ended here, before the server says more."""
        model = self._parts.backend.model(self._chat.model)
        return Completed(
            FinishReason.INTERRUPTED,
            model=self._chat.model if model is None else model.key,
            first_token_s=self._first_s,
            total_s=self._parts.clock.monotonic() - self._began_s,
            context_tokens=None if model is None else model.context_tokens,
        )

    def _new_pipeline(self) -> ReplyPipeline:
        self._raw.clear()
        return ReplyPipeline(
            policy=self._parts.policy,
            secrets=self._parts.secrets,
            participants=self.prompt.participants,
            bot_names=self.prompt.bot_names,
            expect_missing_opening=self._expecting,
        )

    async def _read(self, request: ChatRequest, seam: Seam | None = None) -> Completed:
        """Read one completion; an answer whose rest may be asked for stays open."""
        done: Completed | None = None
        async with contextlib.aclosing(self._parts.backend.stream(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    await self._take(event, seam)
                elif isinstance(event, Completed):
                    done = event
                else:
                    self._note(event, seam)
                if self.pipeline.must_stop:
                    break
        if seam is not None:
            await self._feed(TextDelta(seam.finish()))
        done = done or self.so_far()
        if not done.may_go_on or self.pipeline.must_stop:
            done = replace(done, may_go_on=False)
            await _close(self.pipeline, done.reason)
        return done

    async def _feed(self, delta: TextDelta) -> None:
        """Give the pipeline a delta, letting others have their turn between the pieces of a long one."""
        *pieces, last = _pieces(delta)
        for piece in pieces:
            self.pipeline.feed(piece)
            await asyncio.sleep(0)
        self.pipeline.feed(last)

    def _note(self, event: Stage | Restarted | Retried | Counted, seam: Seam | None) -> None:
        if isinstance(event, Stage):
            self._on_stage(event)
        elif isinstance(event, Counted):
            self._parts.builder.refused(event, self.prompt.load)
        elif isinstance(event, Retried):
            self._account.retried(event.cause)
        elif seam is not None:
            seam.restart()
        else:
            self._raw.clear()
            self.pipeline.restart()

    async def _take(self, delta: TextDelta, seam: Seam | None) -> None:
        if self._first_s is None:
            self._first_s = self._parts.clock.monotonic() - self._began_s
        if seam is None:
            self._raw.append(delta.content)
        else:
            was_anew = seam.is_anew
            delta = seam.take(delta)
            if seam.is_anew and not was_anew:
                self.pipeline = self._new_pipeline()
        await self._feed(delta)
        has_text = self.pipeline.has_text
        self._request.pace.gather_s = GATHER_S if has_text else 0.0
        self._on_text(has_text)

    async def _go_on(self, done: Completed) -> Completed:
        """Ask once more: for the rest of what can be read already, or else anew.

        Where that fails too, the answer ends where it broke off first.
        """
        left_s = self._ends_at_s - self._parts.clock.monotonic()
        before = self.pipeline
        is_rest = bool(before.text) and not before.is_thinking
        more: Completed | None = None
        if left_s >= LEAST_REST_S:
            _log.info("the answer broke off; asking again")
            self._account.retried(BROKEN_OFF)
            self._on_stage(Stage(StageKind.RETRYING))
            with contextlib.suppress(BackendError):
                more = await (self._rest(done, left_s) if is_rest else self._anew(left_s))
        if more is not None:
            await _close(self.pipeline, more.reason)
        await _close(before, FinishReason.INTERRUPTED)
        self.is_joined = is_rest
        is_whole = more is not None and more.reason is not FinishReason.INTERRUPTED
        is_longer = len(self.pipeline.text) >= len(before.text)
        if more is None or not (is_whole or is_longer):
            self.pipeline = before
            return done
        return more

    async def _anew(self, left_s: float) -> Completed:
        self.pipeline = self._new_pipeline()
        return await self._read(replace(self._request, limit_s=left_s))

    async def _without_thinking(self, done: Completed, left_s: float) -> Completed:
        """Ask anew not to think, with more room where thinking has used up all there was."""
        request, sampling = self._request, self._request.sampling
        if done.reason is FinishReason.LENGTH:
            most = more_tokens(sampling.max_tokens, request.prompt_tokens, done.context_tokens)
            sampling = replace(sampling, max_tokens=most)
        self._request = replace(request, reasoning=Reasoning.OFF, sampling=sampling)
        return await self._anew(left_s)

    async def _rest(self, done: Completed, left_s: float) -> Completed:
        request, sampling = self._request, self._request.sampling
        expecting = self._expecting or self.pipeline.saw_orphan_close
        names = self.prompt.bot_names
        seam = Seam("".join(self._raw), names, expect_missing_opening=expecting)
        turns = seam.turns(request.turns)
        key = done.model or request.model
        said_tokens = self._parts.estimator.estimate(seam.said, key)
        more_tokens = max(_LEAST_REST_TOKENS, sampling.max_tokens - said_tokens)
        added_tokens = self._parts.estimator.estimate_turns(turns[-2:], key)
        more = await self._read(
            replace(
                request,
                turns=turns,
                sampling=replace(sampling, max_tokens=more_tokens),
                prompt_tokens=request.prompt_tokens + added_tokens,
                limit_s=left_s,
            ),
            seam,
        )
        if not seam.has_come:
            raise EmptyAnswerError(hit_length=more.reason is FinishReason.LENGTH)
        return _joined(done, more, said_tokens, added_tokens)


async def _close(pipeline: ReplyPipeline, reason: FinishReason) -> None:
    """End a pipeline, letting others have their turn between the steps."""
    for _ in pipeline.closing(reason):
        await asyncio.sleep(0)


def _pieces(delta: TextDelta) -> Iterator[TextDelta]:
    """Yield a delta in small pieces: its thinking first, as the pipeline takes it."""
    if len(delta.content) + len(delta.reasoning) <= _STEP_CHARS:
        yield delta
        return
    for start in range(0, len(delta.reasoning), _STEP_CHARS):
        yield TextDelta(reasoning=delta.reasoning[start : start + _STEP_CHARS])
    for start in range(0, len(delta.content), _STEP_CHARS):
        yield TextDelta(delta.content[start : start + _STEP_CHARS])


def _joined(done: Completed, more: Completed, said_tokens: int, added_tokens: int) -> Completed:
    """Return the end of an answer that came in two parts, as of one."""
    usage = more.usage
    if usage is not None:
        usage = Usage(
            max(0, usage.prompt_tokens - added_tokens),
            usage.completion_tokens + said_tokens,
            usage.reasoning_tokens,
        )
    total_s = None
    if done.total_s is not None and more.total_s is not None:
        total_s = done.total_s + more.total_s
    return replace(
        more,
        usage=usage,
        remarks=tuple(dict.fromkeys((*done.remarks, *more.remarks))),
        first_token_s=done.first_token_s,
        total_s=total_s,
        sent=done.sent,
        prompt_was_cut=done.prompt_was_cut or more.prompt_was_cut,
    )
