"""What is said without asking, and mentions without words: one right after the other, they ask.

Clients send the comment on a forward as a message of its own, and send polls and stickers without a
text; people write first and mention afterwards, or the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from bot.core.domain import ChannelId, IncomingMessage, MessageId, Question, UserId
from bot.core.recent import Recent

BEFORE: Final = timedelta(seconds=10)
"""How long before a mention its author may have said what it is about."""
_MOST: Final = 500
"""People whose last words are remembered."""


class Loose:
    """Remembers what each person said last in a channel without asking something by that."""

    def __init__(self) -> None:
        self._last: Recent[tuple[UserId, ChannelId], Question] = Recent(_MOST)

    def note(self, said: Question) -> None:
        """Note what was said: words to nobody, or a mention without words."""
        self._last[said.asker.id, said.place.channel_id] = said

    def put_before(self, question: Question) -> Question:
        """Return a question with what its author said right before it, where it is about that.

        A mention without words is about whatever that is, one with words about what had none.
        """
        said = self._last.pop((question.asker.id, question.place.channel_id), None)
        if said is None or said.id == question.id or question.asked_at - said.asked_at > BEFORE:
            return question
        is_about = not question.has_content or not said.text
        return question.merge(said) if is_about and question.about_id is None else question

    def put_after(self, question: Question, within: timedelta) -> Question:
        """Return a question with what its author said right after it, without asking anything."""
        said = self._last.get((question.asker.id, question.place.channel_id))
        if said is None or not timedelta() <= said.asked_at - question.asked_at <= within:
            return question
        self.give_up(said)
        return said.merge(question)

    def awaits(self, message: IncomingMessage, within: timedelta) -> bool:
        """Return whether a message says what its author's mention of a moment ago is about."""
        said = self._last.get((message.author.id, message.place.channel_id))
        return (
            said is not None
            and not said.has_content
            and message.created_at - said.asked_at <= within
        )

    def give_up(self, question: Question) -> bool:
        """Wait for a mention's words no longer; return whether none have come."""
        is_waiting = any(said is question for said in self._last.values())
        self.forget(lambda said: said is question)
        return is_waiting

    def gone(self, message_id: MessageId) -> bool:
        """Forget a message that is deleted or changed; return whether it was remembered."""
        before = len(self._last)
        self.forget(lambda said: message_id in said.asked_in)
        return len(self._last) < before

    def forget(self, concerns: Callable[[Question], bool]) -> None:
        """Forget what was said of a kind."""
        for who in [who for who, said in self._last.items() if concerns(said)]:
            del self._last[who]
