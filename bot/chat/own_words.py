"""What was recorded of a conversation's messages: whose words they are, whatever they look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bot.chat.proxies import proxied
from bot.core.domain import IncomingMessage, MessageId, PromptCount, UserId
from bot.core.notices import may_hold_own_lines, without, without_known
from bot.core.ports import Journal, JournalEntry, State
from bot.core.recent import Recent

NOTICES: Final = "notices"
"""State: the newest messages that the bot posted outside of any question."""

MOST_NOTICES: Final = 1000
_REMEMBERED: Final = 1000


class OwnWords:
    """Tells whose words a message holds by what was recorded when it was posted.

    Args:
        journal: Knows the messages of every answer and what the bot put into them.
        state: Where the ids of other messages are kept.
    """

    def __init__(self, journal: Journal, state: State) -> None:
        self._journal = journal
        self._state = state
        stored = state.get(NOTICES)
        ids = stored if isinstance(stored, list) else []
        self._notices = Recent(MOST_NOTICES, ((MessageId(int(i)), None) for i in ids))
        self._known: Recent[tuple[MessageId, datetime | None], str] = Recent(_REMEMBERED)

    def forget(self) -> None:
        """Forget what answers said."""
        self._known.clear()

    async def posted_notice(self, message_id: MessageId) -> None:
        """Note a message that is no answer."""
        self._notices[message_id] = None
        await self._state.set(NOTICES, list(self._notices))

    async def entry_of_message(self, message_id: MessageId) -> JournalEntry | None:
        """Return the question that a posted message answers."""
        return await self._journal.entry_of_message(message_id)

    async def counts_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        """Return the counts of the answers that posted messages belong to, where there are any."""
        return await self._journal.counts_of(message_ids)

    async def read_back(
        self, messages: Sequence[IncomingMessage], bot_id: UserId
    ) -> list[IncomingMessage]:
        """Return messages as what they are known to be.

        Of those that the bot posted only the model's words; a question that a webhook said again as
        its person's own.
        """
        own = [m for m in messages if m.author.id == bot_id]
        words = await self.words(own) if own else {}
        copies = [m.id for m in messages if m.webhook_id and m.author.is_bot and m.id not in words]
        askers = await self._journal.askers(copies) if copies else {}
        found: list[IncomingMessage] = []
        for message in messages:
            if message.id in words:
                found.append(replace(message, text=words[message.id]))
            elif message.id in askers:
                found.append(proxied(message, askers[message.id]))
            else:
                found.append(message)
        return found

    async def words(self, messages: Sequence[IncomingMessage]) -> dict[MessageId, str]:
        """Return the model's words of messages that the bot posted."""
        found: dict[MessageId, str] = {}
        asked: list[IncomingMessage] = []
        for message in messages:
            known = self._known.get((message.id, message.edited_at))
            if message.id in self._notices:
                found[message.id] = ""
            elif known is not None:
                found[message.id] = known
            elif may_hold_own_lines(message.text):
                asked.append(message)
            else:
                found[message.id] = message.text.strip()
        if asked:
            found.update(await self._asked(asked))
        return found

    async def _asked(self, messages: Sequence[IncomingMessage]) -> dict[MessageId, str]:
        recorded = await self._journal.own_lines_of([message.id for message in messages])
        found: dict[MessageId, str] = {}
        for message in messages:
            own_lines = recorded.get(message.id)
            if own_lines is None:
                found[message.id] = without_known(message.text)
                continue
            found[message.id] = without(message.text, own_lines)
            self._known[message.id, message.edited_at] = found[message.id]
        return found
