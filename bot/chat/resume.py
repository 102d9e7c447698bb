"""What a new start does with questions that an earlier run accepted and did not end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bot.chat.service import ChatService
from bot.clock import Clock
from bot.errors import DeliveryError
from bot.ports import Journal, JournalEntry, Outcome, QuestionState, ReplySink

_log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""Starts of work on one question; one that ended the process each time is set aside."""
SET_ASIDE = (
    "I tried this question three times and was stopped each time, so I've set it aside. "
    "Please ask it in another way."
)
TOO_OLD = (
    "I was away when you asked this and it is a while ago. Please ask again if you still like."
)

OpenSink = Callable[[JournalEntry], Awaitable[ReplySink | None]]


class Resumer:
    """Ends what was left open, oldest first.

    Args:
        open_sink: Makes the way back to a question's place; ``None`` when that is gone.
        stale_after: Questions older than this are declined.
    """

    def __init__(
        self,
        journal: Journal,
        chat: ChatService,
        clock: Clock,
        open_sink: OpenSink,
        stale_after: timedelta,
    ) -> None:
        self._journal = journal
        self._chat = chat
        self._clock = clock
        self._open_sink = open_sink
        self._stale_after = stale_after

    async def run(self) -> int:
        """Take up every open question; returns how many there were."""
        entries = [
            entry
            for entry in await self._journal.pending()
            if not self._chat.knows(entry.question.id)
        ]
        for entry in entries:
            try:
                await self._take_up(entry)
            except DeliveryError as exc:
                _log.warning(
                    "question %d can't be taken up (%s)", entry.question.id, type(exc).__name__
                )
                await self._journal.close(entry.question.id, Outcome.DROPPED)
        return len(entries)

    async def _take_up(self, entry: JournalEntry) -> None:
        sink = await self._open_sink(entry)
        if sink is None:
            await self._journal.close(entry.question.id, Outcome.DROPPED)
            return
        age = self._clock.now() - entry.question.asked_at
        if entry.state is QuestionState.ANSWERED:
            self._chat.resume(entry, sink)
        elif entry.attempts >= MOST_ATTEMPTS:
            await self._chat.decline(entry, sink, SET_ASIDE)
        elif age > self._stale_after:
            await self._chat.decline(entry, sink, TOO_OLD)
        else:
            self._chat.resume(entry, sink)
