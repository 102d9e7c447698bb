"""What a start, or a new session, does with questions that were accepted and did not end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from bot.chat.service import ChatService
from bot.clock import Clock
from bot.domain import QuestionId, UserId
from bot.ports import Journal, JournalEntry, MessageSource, Outcome, QuestionState, ReplySink

LOOK_MESSAGES = 50
"""How far below a question its answer is looked for, in messages; one request."""
MOST_ATTEMPTS = 3
"""Lives of the process that may end under one question; after that it is set aside."""
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
        source: Where an answer's message is looked for.
        me: The bot's own user.
    """

    def __init__(
        self,
        journal: Journal,
        chat: ChatService,
        clock: Clock,
        open_sink: OpenSink,
        stale_after: timedelta,
        *,
        source: MessageSource,
        me: Callable[[], UserId],
    ) -> None:
        self._source = source
        self._me = me
        self._journal = journal
        self._chat = chat
        self._clock = clock
        self._open_sink = open_sink
        self._stale_after = stale_after

    async def run(self) -> int:
        """Take up every open question that nobody works on; returns how many there were."""
        taken = [
            await self._take_up(entry.question.id)
            for entry in await self._journal.pending()
            if not self._chat.knows(entry.question.id)
        ]
        return sum(taken)

    async def _take_up(self, question_id: QuestionId) -> bool:
        """Take up one question as it stands now; others may have ended it meanwhile."""
        entry = await self._journal.entry(question_id)
        if entry is None or entry.outcome is not None or self._chat.knows(question_id):
            return False
        sink = await self._open_sink(entry)
        entry = await self._with_orphan(entry)
        age = self._clock.now() - entry.question.asked_at
        if sink is None:
            await self._journal.close(question_id, Outcome.DROPPED)
        elif entry.attempts >= MOST_ATTEMPTS:
            self._chat.decline(entry, sink, SET_ASIDE)
        elif age > self._stale_after and entry.state is not QuestionState.ANSWERED:
            self._chat.decline(entry, sink, TOO_OLD)
        else:
            self._chat.resume(entry, sink)
        return True

    async def _with_orphan(self, entry: JournalEntry) -> JournalEntry:
        """Add an answer's first message that was posted but not noted before the process died.

        Within minutes its nonce would find it again; after that only a look at the channel does.
        """
        message = entry.question.message
        if entry.posted or entry.state is QuestionState.ACCEPTED or message is None:
            return entry
        later = await self._source.history(message.place, after=message.id, limit=LOOK_MESSAGES)
        own = [
            each.id
            for each in later
            if each.reference_id == message.id and each.author.id == self._me()
        ]
        return replace(entry, posted=tuple(own[:1]))
