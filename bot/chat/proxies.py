"""Questions that a proxy bot says again: PluralKit and its like.

People who share an account, or play a part, write through such a bot: it posts their message again
through a webhook under another name, and deletes the original. The copy is the question then, asked
by the same person. It is known by three things together: an original that was taken as a question and
not answered yet, its deletion, and a copy in the same channel within seconds. No other webhook is
ever answered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import IncomingMessage, MessageId, Person, Question, QuestionId, UserId
from bot.prompt.cleaning import without_mention

WITHIN_S: Final = 15.0
"""Longest time from a message to its copy and its deletion; PluralKit takes 1 to 3 seconds."""

_MOST: Final = 500
_TAG_CHARS: Final = 100
"""Longest mark around a text that the copy leaves out (PluralKit: proxy tags)."""


@dataclass(slots=True)
class _Asked:
    question: Question
    until_s: float
    is_deleted: bool = False
    copy: IncomingMessage | None = None


class Proxies:
    """Finds the copies of questions.

    Args:
        clock: Time.
        application_ids: Applications whose copies may differ from the original in their text.
    """

    def __init__(self, clock: Clock, application_ids: Collection[int]) -> None:
        self._clock = clock
        self._application_ids = frozenset(application_ids)
        self._asked: OrderedDict[MessageId, _Asked] = OrderedDict()

    def asked(self, question: Question) -> None:
        """Note a question that was taken."""
        if question.message is None or question.place.guild_id is None:
            return
        self._forget()
        self._asked[question.message.id] = _Asked(question, self._clock.monotonic() + WITHIN_S)

    def copied(self, copy: IncomingMessage, me: UserId) -> Question | None:
        """Note what a webhook posted; return the question it is, once the original is deleted.

        Args:
            copy: The webhook's message.
            me: The bot's own user.
        """
        self._forget()
        for asked in reversed(self._asked.values()):
            if asked.copy is None and self._is_copy(copy, asked.question, me):
                asked.copy = copy
                return self._question(asked, me) if asked.is_deleted else None
        return None

    def deleted(self, message_id: MessageId, me: UserId, *, was_open: bool) -> Question | None:
        """Note a deletion; return the question that takes the message's place, if its copy is there.

        Args:
            message_id: What was deleted.
            me: The bot's own user.
            was_open: It asked something that isn't answered yet.
        """
        self._forget()
        asked = self._asked.get(message_id)
        if asked is None:
            return None
        if not was_open:
            del self._asked[message_id]
            return None
        asked.is_deleted = True
        return self._question(asked, me) if asked.copy is not None else None

    def _is_copy(self, copy: IncomingMessage, question: Question, me: UserId) -> bool:
        original = question.message
        if original is None or copy.place != original.place or copy.id <= original.id:
            return False
        if copy.application_id in self._application_ids:
            return True
        if me in original.mentioned_ids and me not in copy.mentioned_ids and copy.text:
            return False
        said, meant = " ".join(copy.text.split()), " ".join(original.text.split())
        if not said:
            return not meant and 0 < len(copy.attachments) == len(original.attachments)
        cut = len(meant) - len(said)
        return said in meant and cut <= min(_TAG_CHARS, len(said))

    def _question(self, asked: _Asked, me: UserId) -> Question | None:
        question, copy = asked.question, asked.copy
        original = question.message
        if copy is None or original is None:
            return None
        self._asked.pop(original.id, None)
        message = replace(
            proxied(copy, question.asker),
            reference_id=original.reference_id,
            replied_user_id=original.replied_user_id,
        )
        return replace(
            question,
            id=QuestionId(copy.id),
            text=without_mention(copy.text, me),
            message=message,
            asked_at=copy.created_at,
        )

    def _forget(self) -> None:
        now_s = self._clock.monotonic()
        while self._asked:
            oldest = next(iter(self._asked.values()))
            if oldest.until_s > now_s and len(self._asked) <= _MOST:
                return
            self._asked.popitem(last=False)


def proxied(copy: IncomingMessage, asker: Person) -> IncomingMessage:
    """Return a copy as what it is: a person's own message, under the name it was posted with."""
    return replace(copy, author=replace(asker, name=copy.author.name), is_ordinary=True)
