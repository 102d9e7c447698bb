"""One question on its way to one answer: context, queue, stream, words on the screen.

``Closing`` is how it ends: its text, the quiet lines below it, and what is said when there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from bot.chat.account import Account, line_of
from bot.chat.parts import ReplyParts
from bot.chat.reading import Reading
from bot.chat.work_gate import Attempt
from bot.core.domain import (
    Completed,
    FinishReason,
    MessageId,
    ModelInfo,
    PromptCount,
    Question,
    Stage,
    StageKind,
)
from bot.core.errors import (
    BotError,
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryUnavailableError,
    describe,
    error_kind,
)
from bot.core.notices import notice
from bot.core.ports import (
    ChatSettings,
    Controls,
    JournalEntry,
    Outcome,
    QuestionState,
    ReplySink,
)
from bot.core.record import Span
from bot.core.tasks import end_tasks, log_context
from bot.core.wording import counted, plain_reason
from bot.delivery.delivery import Delivery, own_lines_of
from bot.lmstudio.errors import (
    BackendUnavailableError,
    LoadFailedError,
    ModelCrashedError,
    PoolFullError,
)
from bot.lmstudio.names import shown
from bot.output.pipeline import ReplyPipeline, Verdict
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard, make_harmless
from bot.prompt.builder import Prompt
from bot.prompt.tokens import count_of, is_credible
from bot.queue.scheduler import Job, Ticket, TicketState


class Ending(StrEnum):
    """Why a reply ends before its answer is whole."""

    STOPPED = "stopped"
    GONE = "gone"
    MERGED = "merged"
    SUPERSEDED = "superseded"
    RESTART = "restart"
    BARRED = "barred"
    """The bot may not write there any more; it is answered once that has changed."""


ONLY_THINKING = (
    "The model thought about it but wrote no answer. Press Regenerate, or ask more briefly."
)
EMPTY = "The model returned nothing. Press Regenerate to try again."
_PRESS = "Press Continue"
CUT_BY_LENGTH = f"Cut at the length limit. {_PRESS} for the rest."
BROKE = "The connection to the model broke here."
PRESS_CONTINUE = f"{_PRESS}, or Regenerate."
TOO_LONG = "Stopped here: this answer was getting too long."
REPEATED = "Stopped here: the model had begun to repeat itself."
CONTINUED = "Stopped here: the model had begun to write other people's messages."
_NAME_CHARS = 100
_NAMES = 64


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of an answer.

    Attributes:
        text: The whole visible answer; empty when there is none.
        remarks: Quiet lines for below the text, in order.
        notice: What to say instead when there is no text.
        details: One line on model, speed and context, for the Details button.
        can_continue: The answer is incomplete in a way that asking on can mend.
    """

    text: str
    remarks: tuple[str, ...]
    notice: str
    details: str
    can_continue: bool


def close_answer(
    pipeline: ReplyPipeline, prompt: Prompt, done: Completed, chat: ChatSettings, took_s: float
) -> Closing:
    """Put together the end of an answer from what the pipeline and the server reported.

    Args:
        pipeline: Closed.
        prompt: What the model was given.
        done: The server's last word.
        chat: The settings in force.
        took_s: The whole answer, in seconds.
    """
    verdict = pipeline.verdict
    details = describe_run(prompt, done, took_s)
    lines = [*([chat.model_remark] if chat.model_remark else []), *prompt.remarks, *done.remarks]
    can_continue = False
    if verdict is Verdict.CUT:
        lines.append(TOO_LONG)
    elif verdict is Verdict.REPEATED:
        lines.append(REPEATED)
    elif verdict is Verdict.CONTINUED:
        lines.append(CONTINUED)
    elif pipeline.has_ended:
        pass
    elif done.reason is FinishReason.LENGTH:
        lines.append(CUT_BY_LENGTH)
        can_continue = True
    elif done.reason is FinishReason.INTERRUPTED:
        lines.append(f"{done.interruption or BROKE} {PRESS_CONTINUE}")
        can_continue = True
    if chat.show_footer:
        lines.append(details)
    notice = EMPTY if verdict is Verdict.EMPTY else ONLY_THINKING
    return Closing(pipeline.text, tuple(lines), notice, details, can_continue)


def offers_continuation(own_lines: str | None) -> bool:
    """Return whether the bot's own lines below a stored answer ask the reader to press Continue."""
    return own_lines is not None and _PRESS in own_lines


def describe_run(prompt: Prompt, done: Completed, took_s: float) -> str:
    """Return one line on an answer: model, time to first word, speed, context used.

    Args:
        prompt: What the model was given.
        done: The server's last word.
        took_s: The whole answer, in seconds.
    """
    parts = [model_name(done.model)]
    if done.first_token_s is not None:
        parts.append(f"first word after {done.first_token_s:.1f} s")
    if done.usage is not None:
        writing_s = (done.total_s or took_s) - (done.first_token_s or 0.0)
        if writing_s > 0 and done.usage.completion_tokens > 1:
            speed = done.usage.completion_tokens / writing_s
            parts.append(f"{speed:{'.0f' if speed >= 10 else '.2g'}} tokens/s")
        used = done.usage.prompt_tokens + done.usage.completion_tokens
        if done.context_tokens:
            parts.append(f"{used:,} of {done.context_tokens:,} tokens of context")
        else:
            parts.append(counted(used, "token"))
    else:
        parts.append(f"about {prompt.prompt_tokens:,} tokens of prompt")
    return " · ".join(parts)


@lru_cache(_NAMES)
def model_name(reported: str | None) -> str:
    """Return the name that a server gave its model as one short, harmless line."""
    line = shown(reported or "")
    policy = OutputPolicy(max_chars=_NAME_CHARS)
    return make_harmless(line, policy=policy, secrets=SecretGuard()) or "model unknown"


_log = logging.getLogger(__name__)

LEAST_ANSWER_TOKENS = 1024
"""Where the shared context pool is nearly full, an answer begins with at least this bound."""
BURST_SETTLES_S = 0.7
"""After the second message of a burst, how long to wait for a third before the model is asked."""
MERGED_MARK = "➕"
"""On a message that is answered together with its author's next one, as far as signs have room."""
_LEFT = frozenset({Ending.STOPPED, Ending.RESTART, Ending.BARRED})
"""Endings that leave what was posted; the others take it back."""
EXPLAINED_S = 1.0
"""Seconds in which the gateway tells why Discord refused to let the bot write, if it does at all."""
_OUTCOMES: dict[Ending | None, Outcome] = {
    Ending.STOPPED: Outcome.STOPPED,
    Ending.GONE: Outcome.DROPPED,
    Ending.MERGED: Outcome.MERGED,
    Ending.SUPERSEDED: Outcome.MERGED,
}
RESTARTING_TEXT = "I'm being restarted. I'll answer this as soon as I'm back."


class Reply:
    """One question being answered.

    Args:
        question: What was asked.
        sink: Where the answer goes.
        parts: What the reply works with.
        entry: The journal's record, where an earlier run of the process began the work.
        posted: Messages of an earlier answer that this one takes the place of.
        refusal: A sentence to say instead of answering.
        ticket: Its place in the queue; an earlier run's question takes one when it is worked on.

    Attributes:
        is_underway: Past the waiting: the model is asked, or the end is being delivered.
    """

    def __init__(
        self,
        question: Question,
        sink: ReplySink,
        parts: ReplyParts,
        *,
        entry: JournalEntry | None = None,
        posted: Sequence[MessageId] = (),
        refusal: str = "",
        ticket: Ticket | None = None,
    ) -> None:
        self.question = question
        self._parts = parts
        self._sink = sink
        self._entry = entry
        self._refusal = refusal
        self._ticket = ticket
        self._ending: Ending | None = None
        self._has_ended = False
        self._work: asyncio.Task[Outcome] | None = None
        self._reading: Reading | None = None
        deaths = entry.attempts if entry else 0
        self._attempt = Attempt(parts.gate, parts.journal, question.id, deaths)
        self.is_underway = False
        self._account = Account(question, parts.clock, parts.sizes, is_taken_up=entry is not None)
        self._delivery = Delivery(
            sink=sink,
            pacer=parts.pacers.of(question.place.channel_id),
            clock=parts.clock,
            question=question,
            settings=parts.settings.delivery,
            live_controls=self._controls(stop=True),
            posted=entry.posted if entry else posted,
            on_posted=self._on_posted,
            on_own_lines=lambda own_lines: parts.journal.own_lines(question.id, own_lines),
            on_gone=self._out_of_reach,
        )

    @property
    def is_ending(self) -> bool:
        """Whether it was ended before its answer is whole."""
        return self._ending is not None

    @property
    def is_taken_back(self) -> bool:
        """Whether it was ended in such a way that nothing posted of it stays."""
        return self._ending is not None and self._ending not in _LEFT

    @property
    def may_be_joined(self) -> bool:
        """True while it goes on and nobody can see a word: the next message may still add to it."""
        has_words = self._reading is not None and self._reading.pipeline.has_text
        return self._ending is None and not has_words

    @property
    def standing(self) -> tuple[MessageId, ...]:
        """The messages of its answer that stand."""
        return self._delivery.message_ids

    def lost(self, message_id: MessageId) -> bool:
        """Note that somebody else has deleted a message; False if it is none of the answer's."""
        is_ours = message_id in self._delivery.message_ids
        self._delivery.lost(message_id)
        return is_ours

    def end(self, ending: Ending) -> bool:
        """End the reply early; the first reason given counts, unless the question is taken back.

        Returns:
            False when its answer stands already, so that there is nothing to end.
        """
        if self._has_ended:
            return False
        if self._ending is not None:
            if self._ending in _LEFT and ending not in _LEFT:
                self._ending = ending
            return True
        if self._work is not None and not self._work.cancel():
            return False
        self._ending = ending
        return True

    async def run(self) -> Outcome | None:
        """Answer, and say how it ended; ``None`` leaves the question to the next start.

        Cancellation: The connection to the model is closed; the question stays in the journal.
        """
        place = self.question.place
        context = log_context(
            question_id=self.question.id, guild_id=place.guild_id, channel_id=place.channel_id
        )
        with context:
            for show in self._parts.accounts:
                show(self._account)
            outcome = await self._run()
            record = self._account.close(outcome)
            # what goes on has its line at its end: one a question, over all starts
            level = logging.DEBUG if outcome is None else logging.INFO
            _log.log(level, "%s", line_of(record))
            for take_note in self._parts.records:
                take_note(record)
            if outcome is None:
                await self.hand_over()
            return outcome

    def leave_queue(self) -> None:
        """Give up the place in the queue."""
        if self._ticket is not None:
            self._ticket.cancel()

    async def hand_over(self) -> None:
        """Leave the question to the next start, without an attempt having been used up."""
        await self._attempt.rest()

    async def _run(self) -> Outcome | None:
        async with self._delivery:
            self._work = asyncio.get_running_loop().create_task(self._answer_or_fail())
            # What is said at the end waits for Discord, and needs no slot meanwhile.
            self._work.add_done_callback(lambda _: self.leave_queue())
            if self._ending is not None:
                self._work.cancel()
            try:
                return await self._outcome(self._work)
            except DeliveryUnavailableError:
                _log.warning("Discord took nothing of the answer; kept for the next start")
                return None
            except DeliveryError as exc:
                return await self._undelivered(exc)
            finally:
                await end_tasks(self._work)

    async def _outcome(self, work: asyncio.Task[Outcome]) -> Outcome | None:
        try:
            return await work
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            return await self._wind_up()

    async def _answer_or_fail(self) -> Outcome:
        """Answer, or say why not, which can be ended as well: the question may be changed or deleted."""
        try:
            return await self._answer()
        except DeliveryError:
            raise
        except Exception as exc:  # noqa: BLE001 - the outer seam of one question's work
            self.leave_queue()
            self.is_underway = True
            return await self._failed(exc)

    def _out_of_reach(self) -> None:
        is_forbidden = isinstance(self._delivery.gone_reason, DeliveryForbiddenError)
        self.end(Ending.BARRED if is_forbidden else Ending.GONE)

    async def _undelivered(self, exc: DeliveryError) -> Outcome | None:
        """End what Discord doesn't take; where the bot may not write at present, it is kept."""
        if await self._is_barred(exc):
            return None
        self._account.failed(error_kind(exc))
        _log.info("not delivered (%s)", plain_reason(exc))
        return await self._take_back(Outcome.DROPPED)

    async def _is_barred(self, exc: DeliveryError | None) -> bool:
        """Return whether a refusal is explained by the permissions, which may be told a moment later."""
        if exc is not None and not isinstance(exc, DeliveryForbiddenError):
            return False
        is_explained = exc is not None and exc.is_explained
        if not is_explained and not self._sink.is_barred():
            await self._parts.clock.sleep(EXPLAINED_S)
        is_barred = is_explained or self._sink.is_barred()
        if is_barred:
            _log.info("I may not write there at present; kept until I may")
        return is_barred

    async def _take_back(self, outcome: Outcome | None) -> Outcome | None:
        """Take back what was posted, and return how the question ended.

        What Discord lets stand is left to the next look: an answer of no texts says so.
        """
        await self._sink.end_waiting()
        if await self._delivery.abort():
            return outcome
        await self._parts.journal.answered(self.question.id, ())
        return None

    async def _on_posted(self, message_ids: tuple[MessageId, ...]) -> None:
        await self._parts.journal.posted(self.question.id, message_ids)

    async def _answer(self) -> Outcome:
        entry = self._entry
        if self._refusal:
            self.is_underway = True
            self._account.enter(Span.DELIVER)
            await self._delivery.fail(self._refusal)
            return Outcome.NOTIFIED
        if entry is not None and entry.state is QuestionState.ANSWERED and entry.chunks:
            self._account.enter(Span.DELIVER)
            async with self._attempt.work():
                return await self._deliver_stored(entry)
        parts = self._parts
        ticket = self._ticket = self._ticket or parts.scheduler.submit(
            job_of(self.question, self._chat()), has_place=True
        )
        ticket.on_change = self._show_place
        self._show_place(ticket)
        await self._come_near(ticket)
        chat = self._chat()
        info = parts.backend.model(chat.model)
        self._account.model = info.key if info else chat.model
        async with self._attempt.work():
            prompt = await parts.builder.build(self.question, chat, info)
        ticket.prepared(job_of(self.question, chat, prompt))
        while True:
            self._account.enter(Span.QUEUE)
            self._show_place(ticket)
            if ticket.state is TicketState.WAITING:
                await self._attempt.rest()
            await ticket.wait()
            try:
                async with self._attempt.work():
                    return await self._stream(prompt, chat, ticket)
            except (PoolFullError, ModelCrashedError):
                ticket.overloaded()
                raise
            except BackendUnavailableError as exc:
                if not ticket.requeue():
                    raise
                self._account.retried(error_kind(exc))
                _log.info("held: the model is away")
                self.is_underway = False

    async def _come_near(self, ticket: Ticket) -> None:
        """Wait until the prompt is wanted, and until all of the question has been said."""
        parts = self._parts
        if self.question.joined:
            await parts.clock.sleep(BURST_SETTLES_S)
        elif _awaits_words(self.question):
            await parts.clock.sleep(parts.settings.queue.burst_window_s)
        if not ticket.is_near:
            self._account.enter(Span.QUEUE)
        await ticket.near()
        self._account.enter(Span.PREPARE)

    def _chat(self) -> ChatSettings:
        return self._parts.overrides.effective(self.question.place)

    def _show_place(self, ticket: Ticket) -> None:
        is_being_built = ticket.is_near and not ticket.job.is_prepared
        if ticket.state is not TicketState.WAITING or is_being_built:
            return
        if ticket.is_held:
            hold_s = self._parts.settings.queue.hold_s
            is_loading = self._parts.backend.is_loading()
            waking = Stage(StageKind.LOADING) if is_loading else self._parts.backend.wake()
            self._delivery.stage(waking or Stage(StageKind.HELD, expected_wait_s=hold_s))
            return
        wait_s = ticket.expected_wait_s
        self._delivery.stage(
            Stage(StageKind.QUEUED, position=ticket.position, expected_wait_s=wait_s)
        )

    async def _stream(self, prompt: Prompt, chat: ChatSettings, ticket: Ticket) -> Outcome:
        parts = self._parts
        self.is_underway = True
        started_s = parts.clock.monotonic()
        self._account.enter(Span.READ)
        reading = self._reading = Reading(
            parts,
            self.question,
            prompt,
            chat,
            ticket.granted_tokens - prompt.prompt_tokens,
            self._account,
            on_text=lambda has_text: self._take(reading, ticket, has_text=has_text),
            on_stage=lambda stage: self._take_stage(stage, ticket),
        )
        done = _believed(await reading.run(), prompt)
        pipeline = reading.pipeline
        answered_by = parts.backend.model(done.model or chat.model)
        self._account.completed(done, prompt)
        self._learn(prompt, done, pipeline, answered_by)
        ticket.release()
        closing = close_answer(pipeline, prompt, done, chat, parts.clock.monotonic() - started_s)
        count = self._count(prompt, done, reading, answered_by)
        outcome = await self._finish(closing, pipeline, count)
        is_told = outcome is Outcome.DELIVERED and parts.settings.context.warm_ahead
        if is_told and (posted := self._delivery.message_ids):
            parts.answered(self.question, prompt.conversation_key, posted[-1])
        return outcome

    def _take_stage(self, stage: Stage, ticket: Ticket) -> None:
        self._account.stage(stage)
        if stage.kind is StageKind.READING:
            ticket.reads()
        elif stage.kind is StageKind.RETRYING:
            ticket.rest()
        elif stage.kind is StageKind.CONNECTING:
            ticket.resume()
        self._delivery.stage(stage)

    def _take(self, reading: Reading, ticket: Ticket, *, has_text: bool) -> None:
        if not ticket.has_first_token:
            ticket.first_token()
        if has_text:
            if self._account.span is not Span.WRITE:
                self._account.enter(Span.WRITE)
            self._delivery.show(lambda: reading.pipeline.text_so_far)
        elif reading.pipeline.is_thinking:
            self._account.enter(Span.THINK)
            self._delivery.stage(Stage(StageKind.THINKING))

    def _learn(
        self,
        prompt: Prompt,
        done: Completed,
        pipeline: ReplyPipeline,
        answered_by: ModelInfo | None,
    ) -> None:
        """Learn from how it went."""
        parts = self._parts
        if answered_by is not None and done.model:
            self._account.model = answered_by.key
        # By the key that the builder asks with; a server may name the copy that answered.
        key = answered_by.key if answered_by is not None else done.model
        parts.memory.learn(key, pipeline, self.question.counts_for)
        if done.first_token_s is None or done.total_s is None:
            return
        if done.usage is not None and not done.prompt_was_cut:
            parts.estimator.learn(key, done.sent or prompt.turns, done.usage.prompt_tokens)

    def _count(
        self, prompt: Prompt, done: Completed, reading: Reading, model: ModelInfo | None
    ) -> PromptCount | None:
        """Return what is known of the length of prompt and answer, for the turns to come."""
        if model is None:
            return None
        is_of_this = not (done.prompt_was_cut or reading.is_joined)
        return count_of(
            done.usage if is_of_this else None,
            done.sent or prompt.turns,
            reading.pipeline.text,
            model=model,
            first_id=prompt.first_id if prompt.load == model.load else None,
            has_thought=bool(reading.pipeline.thinking),
        )

    def _controls(self, **wanted: bool) -> Controls:
        return Controls(self.question.id, self.question.asker.id, **wanted)

    async def _finish(
        self, closing: Closing, pipeline: ReplyPipeline, count: PromptCount | None
    ) -> Outcome:
        self._account.enter(Span.DELIVER)
        controls = self._controls(
            regenerate=True,
            continue_=closing.can_continue,
            thinking=bool(pipeline.thinking),
            details=bool(closing.details),
        )

        async def store(chunks: tuple[str, ...]) -> None:
            await self._parts.journal.answered(
                self.question.id,
                chunks,
                thinking=pipeline.thinking,
                details=closing.details,
                own_lines=own_lines_of(chunks, closing.remarks),
                count=count,
            )

        if not closing.text:
            await store((notice(closing.notice),))
            await self._delivery.fail(closing.notice, controls=controls)
            return Outcome.NOTIFIED
        await self._delivery.finish(
            closing.text, controls=controls, remarks=closing.remarks, before_final=store
        )
        return Outcome.DELIVERED

    async def _deliver_stored(self, entry: JournalEntry) -> Outcome:
        self.is_underway = True
        controls = self._controls(
            regenerate=True,
            continue_=offers_continuation(entry.own_lines),
            thinking=bool(entry.thinking),
            details=bool(entry.details),
        )
        await self._delivery.deliver(entry.chunks, controls=controls)
        return Outcome.DELIVERED

    async def _wind_up(self) -> Outcome | None:
        """End as the reason wants it; a question taken back meanwhile ends without a word."""
        self._account.enter(Span.DELIVER)
        if self._ending is Ending.RESTART:
            await self._delivery.fail(RESTARTING_TEXT)
        elif self._ending is Ending.STOPPED:
            await self._stopped()
        elif self._ending is Ending.BARRED and not await self._is_barred(
            self._delivery.gone_reason
        ):
            self._ending = Ending.GONE
        outcome = _OUTCOMES.get(self._ending)
        if self._ending not in _LEFT:
            outcome = await self._take_back(outcome)
        asked = self.question
        if self._ending is Ending.MERGED and self._parts.pacers.may_sign(
            asked.asker.id, asked.place
        ):
            with contextlib.suppress(DeliveryError):
                await self._sink.mark(MERGED_MARK)
        self._has_ended = True
        return outcome

    async def _stopped(self) -> None:
        """Say that the person stopped it, with what is known of the answer until then."""
        reading, details = self._reading, ""
        if reading is not None:
            done = reading.so_far()
            details = describe_run(reading.prompt, done, done.total_s or 0.0)

        async def store(chunks: tuple[str, ...]) -> None:
            await self._parts.journal.answered(self.question.id, chunks, details=details)

        controls = self._controls(regenerate=True, details=bool(details))
        await self._delivery.fail("Stopped.", controls=controls, before_final=store)

    async def _failed(self, exc: Exception) -> Outcome:
        report = describe(exc)
        _log.log(
            report.log_level,
            "failed: %s",
            f"{plain_reason(exc)} {report.reference}".rstrip(),
            exc_info=None if isinstance(exc, BotError) else exc,
        )
        self._account.failed(error_kind(exc))
        self._account.enter(Span.DELIVER)
        controls = self._controls(regenerate=report.can_retry)
        text = report.user_text
        if isinstance(exc, LoadFailedError):
            model = self._chat().model
            text = f"{text} {await self._parts.advice(self.question, model)}".rstrip()
        await self._delivery.fail(text, controls=controls)
        return Outcome.NOTIFIED


def _believed(done: Completed, prompt: Prompt) -> Completed:
    """Return the end of a completion without counts that can't be of its prompt."""
    if done.usage is None or done.prompt_was_cut:
        return done
    sent = done.sent or prompt.turns
    is_whole = sent == prompt.turns
    expected = prompt.prompt_tokens if is_whole else 0
    is_true = is_credible(done.usage, sent, expected, done.context_tokens)
    return done if is_true else replace(done, usage=None)


def job_of(question: Question, chat: ChatSettings, prompt: Prompt | None = None) -> Job:
    """Return what the queue must know of a question, before its prompt is built or after that."""
    prompt_tokens = prompt.prompt_tokens if prompt is not None else 0
    return Job(
        question_id=question.id,
        person_id=question.counts_for,
        channel_id=question.place.channel_id,
        guild_id=question.place.guild_id,
        prompt_tokens=prompt_tokens,
        cost_tokens=prompt_tokens + chat.max_tokens,
        least_tokens=prompt_tokens + min(chat.max_tokens, LEAST_ANSWER_TOKENS),
        model=chat.model,
        is_prepared=prompt is not None,
    )


def _awaits_words(question: Question) -> bool:
    """Return whether a second message may be about to say what the question is.

    Clients send the comment on a forward that way, and send stickers and polls without a text.
    """
    message = question.message
    if message is None or question.text:
        return False
    return message.is_forward or bool(message.stickers or message.poll)
