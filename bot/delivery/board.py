"""The messages of one answer: what stands in them, and the next request towards what should.

Their nonces are the same in every run, so that no message is ever posted twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.core.clock import Clock
from bot.core.domain import MessageId, QuestionId, UserId
from bot.core.errors import (
    DeliveryRejectedError,
    DeliveryUnavailableError,
    EditExhaustedError,
    TargetGoneError,
)
from bot.core.notices import FILE_LINE, notice
from bot.core.ports import Controls, ReplySink, TextFile
from bot.delivery.splitter import MESSAGE_UNITS, split, units

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


class Board:
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
            await self._take_away(slot)

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
