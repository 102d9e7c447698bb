"""Messages of one place, read in windows, and the order they are told in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

from bot.core.domain import IncomingMessage, MessageId, Place, UserId
from bot.core.ports import MessageSource

RUN_MESSAGES: Final = 10
"""Most messages of one person, or of one answer, that count as one turn."""

_WINDOW = 50
_MAX_WINDOWS = 24


class HistoryWindow:
    """Messages of one place, read in windows so that a chain costs few requests."""

    def __init__(self, source: MessageSource, place: Place) -> None:
        self._source = source
        self._place = place
        self._messages: dict[int, IncomingMessage] = {}
        self._before: dict[int, int | None] = {}
        self._windows = 0

    @property
    def is_exhausted(self) -> bool:
        """True when this question has read as many windows as one may."""
        return self._windows >= _MAX_WINDOWS

    async def get(self, message_id: MessageId) -> IncomingMessage | None:
        """Return a message of this place; ``None`` if it is gone or out of reach."""
        if message_id not in self._messages:
            await self._read(MessageId(message_id + 1), _WINDOW)
        return self._messages.get(message_id)

    async def before(self, message_id: MessageId) -> IncomingMessage | None:
        """Return the message directly before one."""
        if message_id not in self._before:
            await self._read(message_id, RUN_MESSAGES)
        before = self._before.get(message_id)
        return None if before is None else self._messages.get(before)

    async def _read(self, before: MessageId, limit: int) -> None:
        if self.is_exhausted:
            return
        self._windows += 1
        batch = await self._source.history(self._place, before=before, limit=limit)
        ids = [message.id for message in batch if message.id < before]
        for message in batch:
            if is_here(message, self._place):
                self._messages[message.id] = message
        for earlier, later in itertools.pairwise(ids):
            self._before[later] = earlier
        self._before[before] = ids[-1] if ids else None


def is_here(message: IncomingMessage, place: Place) -> bool:
    """Whether a message is of this very place; nothing else is ever used."""
    return message.place.channel_id == place.channel_id and message.place.guild_id == place.guild_id


def answers_after_questions(
    messages: Sequence[IncomingMessage], bot_id: UserId
) -> list[IncomingMessage]:
    """Put each answer right behind the message it replies to; a later answer replaces an earlier.

    What others said while the bot was writing then comes after the answer, so that the prompt of the
    next turn still begins with the one that was sent.
    """
    asked = {message.id for message in messages}
    answers: dict[int, list[IncomingMessage]] = {}
    rest: list[IncomingMessage] = []
    last_answered: int | None = None
    for message in messages:
        if message.author.id != bot_id:
            rest.append(message)
            continue
        if message.reference_id in asked:
            last_answered = message.reference_id
            answers.pop(last_answered, None)
        elif message.reference_id is not None:
            last_answered = None
        if last_answered is None:
            rest.append(message)
        else:
            answers.setdefault(last_answered, []).append(message)
    ordered: list[IncomingMessage] = []
    for message in rest:
        ordered.append(message)
        ordered.extend(_with_followers(message.id, answers))
    return ordered


def _with_followers(
    message_id: int, answers: dict[int, list[IncomingMessage]]
) -> list[IncomingMessage]:
    """Return the answers to a message and the messages that follow up on them."""
    found: list[IncomingMessage] = []
    waiting = list(answers.pop(message_id, ()))
    while waiting:
        message = waiting.pop(0)
        found.append(message)
        waiting = [*answers.pop(message.id, ()), *waiting]
    return found
