"""Questions that a proxy bot says again: PluralKit and its like.

People who share an account, or play a part, write through such a bot: it posts their message again
through a webhook under another name, and deletes the original. The copy is the question then, asked
by the same person. It is known by three things together: an original that was taken as a question and
not answered yet, its deletion, and a copy in the same channel within seconds, which an application
posted (Discord: message object, application_id) with the same text and files. No other webhook is
ever answered, and none that a person made.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import IncomingMessage, MessageId, Person, Question, QuestionId, UserId
from bot.prompt.cleaning import without_mention

WITHIN_S: Final = 15.0
"""Longest time from a message to its copy and its deletion; PluralKit takes 1 to 3 seconds."""

_MOST: Final = 500
"""Questions that are remembered; when there are more, the oldest of the busiest server goes."""

_TAG_CHARS: Final = 100
"""Longest mark around a text that the copy leaves out (PluralKit: proxy tags)."""

_WORD: Final = re.compile(r"\w++")


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
        application_ids: Applications whose copies may differ from the original in some words and
            in their files.
    """

    def __init__(self, clock: Clock, application_ids: Collection[int]) -> None:
        self._clock = clock
        self._application_ids = frozenset(application_ids)
        self._asked: OrderedDict[MessageId, _Asked] = OrderedDict()

    def asked(self, question: Question) -> None:
        """Note a question that is about to be taken."""
        if question.message is None or question.place.guild_id is None:
            return
        self._forget()
        self._asked[question.message.id] = _Asked(question, self._clock.monotonic() + WITHIN_S)

    def refused(self, question: Question) -> None:
        """Note that a question wasn't taken after all."""
        if question.message is not None:
            self._asked.pop(question.message.id, None)

    def gone(self, question: Question) -> None:
        """Note a question whose message was deleted while nobody listened; its copy may come yet."""
        self.asked(question)
        for message in question.messages:
            if message.id in self._asked:
                self._asked[message.id].is_deleted = True

    def edited(self, message: IncomingMessage, me: UserId) -> None:
        """Note the words that a question has after an edit: its copy repeats those."""
        asked = self._asked.get(message.id)
        if asked is not None:
            text = without_mention(message.text, me)
            asked.question = replace(asked.question, text=text, message=message)

    def copied(self, copy: IncomingMessage, me: UserId) -> Question | None:
        """Note what a webhook posted; return the question it is, once the original is deleted.

        Args:
            copy: The webhook's message.
            me: The bot's own user.
        """
        self._forget()
        asked = self._original_of(copy, me)
        if asked is None:
            return None
        asked.copy = copy
        return self._question(asked, me) if asked.is_deleted else None

    def _original_of(self, copy: IncomingMessage, me: UserId) -> _Asked | None:
        """Return the question that a copy repeats; the same words come before words that are alike."""
        here = [a for a in reversed(self._asked.values()) if _may_be(copy, a.question, me)]
        is_trusted = copy.application_id in self._application_ids
        found = [a for a in here if _says_the_same(copy, a.question, any_files=is_trusted)]
        if not found and is_trusted:
            found = [a for a in here if a.copy is None and _is_alike(copy, a.question, me)]
        return found[0] if found else None

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

    def forget(self, concerns: Callable[[Question], bool]) -> None:
        """Forget the questions of a kind."""
        for message_id in [i for i, a in self._asked.items() if concerns(a.question)]:
            del self._asked[message_id]

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
        while self._asked and next(iter(self._asked.values())).until_s <= now_s:
            self._asked.popitem(last=False)
        if len(self._asked) > _MOST:
            servers = {i: asked.question.place.guild_id for i, asked in self._asked.items()}
            busiest = Counter(servers.values()).most_common(1)[0][0]
            del self._asked[next(i for i, server in servers.items() if server == busiest)]


def _may_be(copy: IncomingMessage, question: Question, me: UserId) -> bool:
    """Return whether an application posted this where the question stands, after it, to the bot."""
    original = question.message
    if original is None or copy.application_id is None:
        return False
    if copy.place != original.place or copy.id <= original.id:
        return False
    is_written = f"<@{me}>" in original.text or f"<@!{me}>" in original.text
    return not is_written or me in copy.mentioned_ids or not copy.text


def _says_the_same(copy: IncomingMessage, question: Question, *, any_files: bool) -> bool:
    """Return whether a copy has the words of the original, but for marks around, and its files."""
    original = question.message
    if original is None or not (any_files or _files(copy) == _files(original)):
        return False
    said, meant = " ".join(copy.text.split()), " ".join(original.text.split())
    if not said:
        return not meant and 0 < len(copy.attachments) == len(original.attachments)
    cut = len(meant) - len(said)
    return said in meant and cut <= min(_TAG_CHARS, len(said))


def _is_alike(copy: IncomingMessage, question: Question, me: UserId) -> bool:
    """Return whether a copy and a question have at least half of their words in common."""
    said = set(_WORD.findall(without_mention(copy.text, me).casefold()))
    meant = set(_WORD.findall(question.text.casefold()))
    return bool(said) and 2 * len(said & meant) >= max(len(said), len(meant))


def _files(message: IncomingMessage) -> list[tuple[str, int]]:
    return sorted((file.filename, file.size_bytes) for file in message.attachments)


def proxied(copy: IncomingMessage, asker: Person) -> IncomingMessage:
    """Return a copy as what it is: a person's own message, under the name it was posted with."""
    return replace(copy, author=replace(asker, name=copy.author.name), is_ordinary=True)
