"""Bring one answer to its reader: stage line, growing text, final text, all at Discord's pace.

An answer is owned by ``async with Delivery(...)``. Whoever reads the model calls ``stage`` and
``show``, which only note what is wanted; one task writes, one shows the typing indicator. ``finish``,
``fail`` and ``abort`` end the writing and wait for Discord.

``Reconciler`` holds the messages of one answer: what stands in them, and the next request towards what
should. Their nonces are the same in every run, so that no message is ever posted twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from bot.core.clock import Clock
from bot.core.domain import MessageId, Question, QuestionId, Stage, UserId
from bot.core.errors import (
    DeliveryError,
    DeliveryForbiddenError,
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.notices import FILE_LINE, notice
from bot.core.ports import Controls, ReplySink, TextFile
from bot.core.tasks import end_tasks
from bot.core.wording import plain_reason
from bot.delivery.pacing import ChannelPacer, Rank, StageClock
from bot.delivery.splitter import MESSAGE_UNITS, split, streaming_cut, units
from config.settings import DeliverySettings

FILENAME = "answer.md"

EMPTY_ANSWER = "-# The model's answer was empty. Please try again."

_OWN_LINES_UNITS = 600
"""Most that the lines below an answer may take of its last message."""


@dataclass(frozen=True, slots=True)
class Part:
    """One message to be: its text, and a file to come with it."""

    content: str
    file: TextFile | None = None


def quiet_lines(lines: Sequence[str]) -> str:
    """Return remarks and footer as Discord's small text, one line each, within bounds."""
    kept: list[str] = []
    room = _OWN_LINES_UNITS
    for line in lines:
        quiet = "-# " + " ".join(line.removeprefix("-# ").split())
        if quiet != "-# " and units(quiet) < room:
            kept.append(quiet)
            room -= units(quiet) + 1
    return "\n".join(kept)


def plan_chunks(text: str, lines: Sequence[str], *, max_messages: int) -> tuple[str, ...]:
    """Return the texts of a finished answer, in the form in which they are stored.

    A last text longer than a message is the whole answer, to be sent as a file; the text before it
    then announces the file. All others are messages.

    Args:
        text: The whole visible answer.
        lines: Notices and footer, without markup; they stand below the answer.
        max_messages: An answer of more messages than this comes as a file.
    """
    own_lines = quiet_lines(lines)
    pieces = split(text)
    if not pieces:
        return (own_lines or EMPTY_ANSWER,)
    if len(pieces) > max_messages:
        return (*_parts_before_file(pieces, text, own_lines, max_messages), text)
    return tuple(_with_own_lines(pieces, own_lines))


def own_lines_of(chunks: Sequence[str], lines: Sequence[str]) -> str:
    """Return the bot's own lines in planned texts; the last message ends with them.

    Args:
        chunks: As ``plan_chunks`` made them.
        lines: The remarks and footer they were made with.
    """
    if _ends_with_file(chunks):
        return chunks[-2]
    return chunks[0] if chunks[0] == EMPTY_ANSWER else quiet_lines(lines)


def parts_of(chunks: Sequence[str]) -> list[Part]:
    """Return the messages for stored texts: the inverse of how ``plan_chunks`` packs a file."""
    if _ends_with_file(chunks):
        *parts, summary, whole = chunks
        return [*(Part(part) for part in parts), Part(summary, TextFile(FILENAME, whole))]
    return [Part(chunk) for chunk in chunks]


def _ends_with_file(chunks: Sequence[str]) -> bool:
    return len(chunks) > 1 and units(chunks[-1]) > MESSAGE_UNITS


def without_file(chunks: Sequence[str]) -> list[Part]:
    """Return all of a long answer as messages, for where files are not allowed."""
    parts = parts_of(chunks)
    file = parts[-1].file
    if file is None:
        return parts
    *_, last = parts
    own_lines = last.content.partition("\n")[2]
    return [Part(piece) for piece in _with_own_lines(split(file.content), own_lines)]


def _parts_before_file(
    pieces: list[str], text: str, own_lines: str, max_messages: int
) -> tuple[str, ...]:
    shown = max(1, max_messages - 1)
    summary = f"{FILE_LINE}{len(text):,} characters) is in the file."
    return (*pieces[:shown], f"{summary}\n{own_lines}" if own_lines else summary)


def _with_own_lines(pieces: list[str], own_lines: str) -> list[str]:
    """Put the quiet lines below the last piece, cutting it once more where they don't fit."""
    if not own_lines:
        return pieces
    *head, last = pieces
    room = MESSAGE_UNITS - units(own_lines) - 1
    if units(last) > room:
        *more, last = split(last, room)
        head += more
    return [*head, f"{last}\n{own_lines}"]


MAX_INDEX = 99
_REPLACING = 50
"""From this number on nonces are those of messages that take another one's place."""

NonceKind = Literal["r", "n"]
"""A reply or a notice; they never share a nonce, or one would take the other's place."""


def nonce(question_id: QuestionId, kind: NonceKind, index: int) -> str:
    """Return the nonce of one message of an answer, within the 25 characters that Discord allows.

    Args:
        question_id: The snowflake that asked, at most 20 digits.
        kind: Answer or notice.
        index: Which message of that kind, 0 to 99.

    Raises:
        ValueError: The index is out of range.
    """
    if not 0 <= index <= MAX_INDEX:
        msg = f"nonce index out of range: {index}"
        raise ValueError(msg)
    return f"{question_id}-{kind}-{index}"


OnPosted = Callable[[tuple[MessageId, ...]], Awaitable[None]]
"""Told of all message ids of the answer, in order, whenever one comes or goes."""

_NOBODY = UserId(0)
_SLOW_S = 3.0
"""A request that took longer was held back by Discord's rate limit, or the network is ill."""


@dataclass(slots=True)
class _Slot:
    """One posted message; ``content`` is ``None`` when a previous run wrote it.

    ``is_gone``: somebody else has deleted it.
    """

    message_id: MessageId
    content: str | None = None
    controls: Controls | None = None
    has_unknown_controls: bool = False
    is_leaving: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One request: post, edit, or delete (``part`` is ``None``) the message at ``index``."""

    index: int
    part: Part | None
    controls: Controls | None = None

    @property
    def has_file(self) -> bool:
        """True if a file is to be posted."""
        return self.part is not None and self.part.file is not None


class Reconciler:
    """The messages of one answer.

    Args:
        sink: The way to Discord.
        clock: Measures how long requests take.
        question_id: For nonces.
        posted: Messages that a previous run posted, in order.
        on_posted: Awaited whenever a message comes or goes.
    """

    def __init__(
        self,
        sink: ReplySink,
        clock: Clock,
        question_id: QuestionId,
        *,
        posted: Sequence[MessageId] = (),
        on_posted: OnPosted | None = None,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._question_id = question_id
        self._on_posted = on_posted
        self._slots = [_Slot(message_id, has_unknown_controls=True) for message_id in posted]
        self._sent = len(posted)
        self._replaced: MessageId | None = None
        self._notices = 0
        self.was_slow = False
        """The last request took suspiciously long."""

    @property
    def message_ids(self) -> tuple[MessageId, ...]:
        """The messages of the answer, in order; one that is being deleted counts as gone.

        The gateway may tell of our own deletion before its request is answered; it must not be taken
        for somebody's who wants the answer away.
        """
        return tuple(s.message_id for s in self._slots if not (s.is_leaving or s.is_gone))

    def lost(self, message_id: MessageId) -> None:
        """Note that somebody else has deleted a message: nothing is asked of Discord about it."""
        for slot in self._slots:
            slot.is_gone = slot.is_gone or slot.message_id == message_id

    def next_operation(
        self, parts: Sequence[Part], controls: Controls | None, *, prune: bool
    ) -> Operation | None:
        """Return the first request towards these messages; ``None`` when they stand.

        Args:
            parts: The messages wanted.
            controls: Buttons below the last one; the others have none.
            prune: Delete all messages beyond the wanted ones, not only those of a previous run.
        """
        last = controls if _has_any(controls) else None
        for index, part in enumerate(parts):
            wanted = last if index == len(parts) - 1 else None
            if index >= len(self._slots):
                return Operation(index, part, wanted)
            slot = self._slots[index]
            if part.file is not None and slot.content != part.content:
                return Operation(index, None)
            if slot.content != part.content or slot.controls != wanted or slot.has_unknown_controls:
                return Operation(index, part, wanted)
        is_spare = len(self._slots) > len(parts)
        if is_spare and (prune or (parts and self._slots[-1].content is None)):
            return Operation(len(self._slots) - 1, None)
        return None

    async def perform(self, operation: Operation) -> None:
        """Make one request and remember what it left behind.

        Raises:
            DeliveryError: As the sink said; nothing is remembered then.
        """
        began_s = self._clock.monotonic()
        try:
            if operation.part is None:
                await self._delete(operation.index)
            elif operation.index < len(self._slots):
                await self._edit(operation.index, operation.part, operation.controls)
            else:
                await self._send(operation.index, operation.part, operation.controls)
        except EditExhaustedError as exc:
            if operation.index < len(self._slots):
                raise
            raise DeliveryUnavailableError from exc
        finally:
            self.was_slow = self._clock.monotonic() - began_s > _SLOW_S

    async def notice(self, sentence: str) -> None:
        """Post a sentence of our own, under a nonce that no answer has."""
        index, self._notices = self._notices, self._notices + 1
        name = nonce(self._question_id, "n", min(index, MAX_INDEX))
        message_id = await self._sink.send(notice(sentence), nonce=name, is_reply=True)
        if self._on_posted is not None:
            await self._on_posted((*self.message_ids, message_id))

    async def typing(self) -> None:
        """Show the typing indicator."""
        await self._sink.typing()

    async def begin_waiting(self) -> None:
        """Mark the question as waiting."""
        await self._sink.begin_waiting()

    async def replace(self, index: int) -> None:
        """Delete a message that can't be edited any more; those after it move up, the last is new.

        It is told of before the request: another life would take it for a message that somebody who
        wants no answer has deleted.
        """
        slot = self._slots.pop(index)
        self._replaced = slot.message_id
        await self._report()
        with contextlib.suppress(
            DeliveryUnavailableError, DeliveryRejectedError, EditExhaustedError
        ):
            try:
                await self._take_away(slot)
            except DeliveryForbiddenError:  # a locked thread: it stands, and is edited later
                self._slots.insert(index, slot)
                self._replaced = None
                await self._report()
                raise

    async def _send(self, index: int, part: Part, controls: Controls | None) -> None:
        replaced = self._replaced
        number = min(self._sent, _REPLACING - 1) if replaced is None else _number_after(replaced)
        name = nonce(self._question_id, "r", number)
        message_id = await self._sink.send(
            part.content, nonce=name, controls=controls, file=part.file, is_reply=index == 0
        )
        self._sent += replaced is None
        self._replaced = None
        for slot in self._slots:
            if slot.message_id == message_id:
                slot.content = None
                return
        self._slots.insert(index, _Slot(message_id, part.content, controls))
        await self._report()

    async def _edit(self, index: int, part: Part, controls: Controls | None) -> None:
        slot = self._slots[index]
        change = None
        if slot.controls != controls or slot.has_unknown_controls:
            change = controls if controls is not None else Controls(self._question_id, _NOBODY)
        try:
            await self._sink.edit(slot.message_id, part.content, controls=change)
        except TargetGoneError:
            slot.is_gone = True
            raise
        slot.content, slot.controls, slot.has_unknown_controls = part.content, controls, False

    async def _delete(self, index: int) -> None:
        await self._take_away(self._slots[index])
        del self._slots[index]
        await self._report()

    async def _take_away(self, slot: _Slot) -> None:
        if slot.is_gone:
            return
        slot.is_leaving = True
        try:
            await self._sink.delete(slot.message_id)
        finally:
            slot.is_leaving = False

    async def _report(self) -> None:
        if self._on_posted is not None:
            await self._on_posted(self.message_ids)


def _number_after(replaced: MessageId) -> int:
    """Return the nonce's number for what takes the place of a message.

    It is made of that message's time: the nonce of a deleted message makes no new one, and another
    life doesn't know how many were replaced.
    """
    return _REPLACING + (replaced >> 22) % (MAX_INDEX + 1 - _REPLACING)


def _has_any(controls: Controls | None) -> bool:
    return controls is not None and any(
        (
            controls.stop,
            controls.regenerate,
            controls.continue_,
            controls.thinking,
            controls.details,
        )
    )


_log = logging.getLogger(__name__)

EDIT_INTERVAL_S = 1.5
"""Least time between two edits of an answer; a reply of 4 s then needs at most five requests."""

FINAL_PATIENCE_S = 600.0
"""How long a final text is tried while Discord is unavailable."""

FILE_PATIENCE_S = 60.0
"""How long the file of a long answer is tried while Discord doesn't take it; then it is messages."""

_RETRY_S = 5.0
_FOREVER_S = 3600.0

BeforeFinal = Callable[[tuple[str, ...]], Awaitable[None]]
"""Given the final texts before they are delivered, to store them."""

OnOwnLines = Callable[[str], Awaitable[None]]
"""Told of the bot's own lines in what is about to be posted."""


class _FileRefusedError(Exception):
    """Discord doesn't take the file of a long answer."""


class Delivery:
    """One answer on its way; see the module's description.

    Args:
        sink: The way to Discord.
        pacer: The pacer of the question's channel.
        clock: Time.
        question: What is being answered.
        settings: How answers appear.
        live_controls: Buttons while the answer is being written; ``None`` for none.
        posted: Messages of this answer that a previous run posted: they are edited,
            and deleted where they are too many.
        on_posted: Awaited with all message ids whenever a message comes or goes.
        on_own_lines: Awaited before a sentence of our own is posted in an answer's place.
        on_gone: Called once the reader can't be reached any more: stop the model at once.

    Attributes:
        gone: Set when the reader can't be reached any more.
        gone_reason: Why.
    """

    def __init__(  # noqa: PLR0913 - what an answer needs, each by name
        self,
        *,
        sink: ReplySink,
        pacer: ChannelPacer,
        clock: Clock,
        question: Question,
        settings: DeliverySettings,
        live_controls: Controls | None = None,
        posted: Sequence[MessageId] = (),
        on_posted: OnPosted | None = None,
        on_own_lines: OnOwnLines | None = None,
        on_gone: Callable[[], object] | None = None,
    ) -> None:
        self._pacer = pacer
        self._clock = clock
        self._key = question.id
        self._settings = settings
        self._live_controls = live_controls
        self._on_own_lines = on_own_lines
        self._on_gone = on_gone
        self._reconciler = Reconciler(sink, clock, question.id, posted=posted, on_posted=on_posted)
        now_s = clock.monotonic()
        self._stages = StageClock(now_s, settings.stage_after_s)
        self._source: Callable[[], str] | None = None
        self._text = ""
        self._has_news = False
        self._has_words = False
        self._edit_due_s = now_s
        self._is_muted = False
        self._is_ending = False
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._request: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()
        self.gone_reason: DeliveryError | None = None

    async def __aenter__(self) -> Self:
        self._pacer.join(self._key)
        name = f"delivery-{self._key}"
        self._tasks = [
            asyncio.create_task(self._write(), name=name),
            asyncio.create_task(self._type(), name=f"{name}-typing"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_ending = True
        await end_tasks(*self._tasks, *([] if self._request is None else [self._request]))
        self._pacer.leave(self._key)

    @property
    def message_ids(self) -> tuple[MessageId, ...]:
        """The messages posted so far, in order."""
        return self._reconciler.message_ids

    def lost(self, message_id: MessageId) -> None:
        """Note that somebody else has deleted a message of the answer."""
        self._reconciler.lost(message_id)

    def stage(self, stage: Stage) -> None:
        """Note what the question waits for; shown only while there is no text."""
        now_s = self._clock.monotonic()
        if self._stages.stage is None:
            self._wake.set()
        self._stages.note(stage, now_s)

    def show(self, source: Callable[[], str]) -> None:
        """Note that there is text, or more of it, and return at once.

        Args:
            source: Returns the whole visible text so far. It is asked only when something can be
                written, so that the work for each token doesn't grow with the answer.
        """
        self._source = source
        if not self._has_news:
            self._has_news = True
            self._wake.set()

    def _plan(self, text: str, remarks: Sequence[str]) -> tuple[str, ...]:
        """Return the texts to deliver, in the form in which they are stored."""
        return plan_chunks(text, remarks, max_messages=self._settings.max_messages)

    async def finish(
        self,
        text: str,
        *,
        controls: Controls | None = None,
        remarks: Sequence[str] = (),
        before_final: BeforeFinal | None = None,
    ) -> None:
        """Deliver the final text and wait until it stands.

        Args:
            text: The whole visible answer.
            controls: Buttons below it.
            remarks: What is said about the answer, each on a quiet line.
            before_final: Awaited with the final texts before anything of them is sent.

        Raises:
            TargetGoneError: There is nobody to deliver to.
            DeliveryForbiddenError: The bot may not write there.
            DeliveryUnavailableError: Discord didn't take it for ``FINAL_PATIENCE_S``.
        """
        chunks = self._plan(text, remarks)
        if before_final is not None:
            await before_final(chunks)
        await self.deliver(chunks, controls=controls)

    async def deliver(self, chunks: Sequence[str], *, controls: Controls | None = None) -> None:
        """Deliver final texts as stored: what ``finish`` does last, and recovery does alone.

        Raises:
            DeliveryError: As ``finish`` does.
        """
        await self._end_writing()
        if self.gone_reason is not None:
            raise self.gone_reason
        parts = parts_of(chunks)
        try:
            try:
                await self._settle(parts, controls)
            except _FileRefusedError as exc:
                _log.info("no file (%s); sent as messages", exc)
                parts = without_file(chunks)
                await self._settle(parts, controls)
        except (TargetGoneError, DeliveryForbiddenError, DeliveryUnavailableError):
            raise
        except DeliveryError as exc:
            await self._refused(exc, parts, controls)

    async def fail(
        self,
        sentence: str,
        *,
        controls: Controls | None = None,
        before_final: BeforeFinal | None = None,
    ) -> None:
        """Say one sentence instead of an answer, or below the part of it that stands already.

        Args:
            sentence: What to say.
            controls: Buttons below it.
            before_final: Awaited with the final texts before anything of them is sent.

        Raises:
            DeliveryError: As ``finish`` does.
        """
        text = self._read_text().strip()
        chunks = self._plan(text, (sentence,)) if text else (notice(sentence),)
        if before_final is not None:
            await before_final(chunks)
        await self._note(own_lines_of(chunks, (sentence,)) if text else chunks[0])
        await self.deliver(chunks, controls=controls)

    async def abort(self) -> bool:
        """Take back whatever was posted; never raises for Discord.

        Whoever may not write in a channel any more may still delete what is their own there.

        Returns:
            False if Discord let some of it stand.
        """
        await self._end_writing()
        while (operation := self._reconciler.next_operation((), None, prune=True)) is not None:
            try:
                await self._paced(operation)
            except DeliveryError as exc:
                _log.info("an answer could not be taken back (%s)", plain_reason(exc))
                return False
        return True

    async def _end_writing(self) -> None:
        """Let a request under way end, and make no more from the background."""
        self._is_ending = True
        self._wake.set()
        if self._request is not None:
            await asyncio.wait((self._request,))
            await asyncio.gather(self._request, return_exceptions=True)
        if self._tasks:
            writer, typist = self._tasks
            typist.cancel()
            # Not ``gather``, which would hand a cancellation on: a post that is cut off may stand all
            # the same, and nobody would know of it.
            await asyncio.wait((typist, writer))
            self._tasks.clear()
            _, failure = await asyncio.gather(typist, writer, return_exceptions=True)
            if isinstance(failure, Exception):
                # The final text needs no interim edits.
                _log.error("the interim edits failed", exc_info=failure)

    async def _settle(self, parts: Sequence[Part], controls: Controls | None) -> None:
        began_s = self._clock.monotonic()
        while (
            operation := self._reconciler.next_operation(parts, controls, prune=True)
        ) is not None:
            try:
                await self._paced(operation)
            except EditExhaustedError:
                await self._reconciler.replace(operation.index)
            except (DeliveryForbiddenError, DeliveryRejectedError) as exc:
                if operation.has_file:
                    raise _FileRefusedError(str(exc)) from exc
                raise
            except DeliveryUnavailableError as exc:
                delay_s = max(_RETRY_S, exc.retry_after_s or 0.0)
                waited_s = self._clock.monotonic() + delay_s - began_s
                if operation.has_file and waited_s > FILE_PATIENCE_S:
                    raise _FileRefusedError(str(exc)) from exc
                if waited_s > FINAL_PATIENCE_S:
                    raise
                await self._clock.sleep(delay_s)

    async def _paced(self, operation: Operation) -> None:
        """Make one request at the next moment the channel has free; finals never ask."""
        now_s = self._clock.monotonic()
        at_s = self._pacer.book(now_s, self._key)
        if at_s > now_s:
            await self._clock.sleep(at_s - now_s)
        self._request = asyncio.create_task(self._perform(operation))
        await asyncio.wait((self._request,))  # goes on when this is cancelled, as interim ones do
        self._request.result()

    async def _perform(self, operation: Operation) -> None:
        try:
            await self._reconciler.perform(operation)
        except (TargetGoneError, DeliveryForbiddenError) as exc:
            if isinstance(exc, TargetGoneError) or not operation.has_file:
                self._set_gone(exc)
            raise
        except DeliveryUnavailableError as exc:
            self._pacer.slowed(self._clock.monotonic(), exc.retry_after_s or 0.0)
            raise
        if self._reconciler.was_slow:
            self._pacer.slowed(self._clock.monotonic())

    async def _refused(
        self, exc: DeliveryError, parts: Sequence[Part], controls: Controls | None
    ) -> None:
        """Say once that Discord refused a message of the answer: in its place, or as one of its own."""
        await self._note(notice(exc.sentence))
        refused = self._reconciler.next_operation(parts, controls, prune=True)
        if refused is not None and refused.index < len(self._reconciler.message_ids):
            await self._settle((*parts[: refused.index], Part(notice(exc.sentence))), None)
        else:
            await self._reconciler.notice(exc.sentence)

    async def _note(self, own_lines: str) -> None:
        if self._on_own_lines is not None:
            await self._on_own_lines(own_lines)

    def _set_gone(self, exc: DeliveryError) -> None:
        self.gone_reason = exc
        self.gone.set()
        self._wake.set()
        if self._on_gone is not None:
            self._on_gone()

    async def _write(self) -> None:
        """Write stage line and growing text until the end; the owner of all interim requests."""
        while not self._is_ending and not self.gone.is_set():
            now_s = self._clock.monotonic()
            operation, rank = self._wanted(now_s)
            if operation is None:
                self._pacer.withdraw(self._key)
                await self._wait(self._idle_s(now_s))
                continue
            delay_s = self._pacer.ask(now_s, self._key, rank)
            if delay_s > 0:
                await self._wait(delay_s)
                continue
            await self._write_operation(operation, rank)

    def _wanted(self, now_s: float) -> tuple[Operation | None, Rank]:
        """Return the next interim request that is due, if any."""
        rank = Rank.INTERIM if self._has_words else Rank.FIRST
        if self._is_muted:
            return None, rank
        if self._source is not None:
            if not self._has_news or now_s < self._edit_due_s:
                return None, rank
            operation = self._reconciler.next_operation(
                self._growing(), self._live_controls, prune=False
            )
            self._has_news = operation is not None
            return operation, rank
        line = self._stages.line(now_s)
        if line is None:
            return None, Rank.STAGE
        return self._reconciler.next_operation(
            (Part(line),), self._live_controls, prune=False
        ), Rank.STAGE

    def _read_text(self) -> str:
        """Return the text so far; the last one when the model began anew and wrote none yet."""
        if self._source is not None:
            self._text = self._source() or self._text
        return self._text

    def _growing(self) -> list[Part]:
        """Return the messages of the text so far; the last that is allowed waits for the final."""
        most = max(1, self._settings.max_messages - 1)
        return [Part(piece) for piece in split(streaming_cut(self._read_text()))[:most]]

    async def _write_operation(self, operation: Operation, rank: Rank) -> None:
        """Make one interim request; a failure costs an edit, never the answer."""
        try:
            try:
                await self._perform(operation)
                self._has_words = self._has_words or rank is Rank.FIRST
            except EditExhaustedError:
                await self._reconciler.replace(operation.index)
        except (TargetGoneError, DeliveryForbiddenError) as exc:
            self._set_gone(exc)
            return
        except DeliveryUnavailableError as exc:
            _log.info("an interim edit failed (%s)", plain_reason(exc))
        except DeliveryError as exc:
            _log.warning("no more interim edits (%s)", plain_reason(exc))
            self._is_muted = True
        now_s = self._clock.monotonic()
        if rank is Rank.STAGE:
            self._stages.written(now_s)
        else:
            self._edit_due_s = now_s + EDIT_INTERVAL_S

    def _idle_s(self, now_s: float) -> float:
        """Return how long nothing can become due, unless somebody wakes the writer."""
        has_text = self._source is not None
        if self._is_muted or (has_text and not self._has_news):
            return _FOREVER_S
        if has_text:
            return max(self._edit_due_s - now_s, 0.0)
        return _FOREVER_S if self._stages.stage is None else self._stages.due_in(now_s)

    async def _wait(self, delay_s: float) -> None:
        """Wait until woken, at most ``delay_s``."""
        with contextlib.suppress(TimeoutError):
            async with self._clock.timeout(delay_s):
                await self._wake.wait()
        self._wake.clear()

    async def _type(self) -> None:
        """Keep the channel's typing indicator up until there are words; the pacer shares it among all.

        The mark on the question is its own: each gets it.
        """
        is_first = True
        while not self._has_words:
            now_s = self._clock.monotonic()
            if self._pacer.typing_in(now_s) <= 0 and (is_first or self._stages.is_working):
                self._pacer.typed(now_s)
                try:
                    await self._reconciler.typing()
                except (TargetGoneError, DeliveryForbiddenError) as exc:
                    self._set_gone(exc)
                    return
                except DeliveryError as exc:
                    _log.debug("no typing indicator: %s", exc)
            if is_first:
                await self._reconciler.begin_waiting()
            is_first = False
            await self._clock.sleep(max(1.0, self._pacer.typing_in(self._clock.monotonic())))
