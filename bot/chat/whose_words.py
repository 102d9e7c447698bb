"""Whose words a message holds, whatever it looks like: the bot's own, and what a proxy bot says again.

Of what the bot posted, what was recorded tells which words are the model's.

Proxy bots are PluralKit and its like. People who share an account, or play a part, write through such a
bot: it posts their message again through a webhook under another name, and deletes the original. The
copy takes the original's place then, asked by the same person at the same time. It is known by three
things together: an original that was taken as a question, or as what belongs to one, and isn't answered
yet; its deletion; and a copy in the same channel within seconds, which an application posted (Discord:
message object, application_id) with the same text and files. No other webhook is ever answered, and
none that a person made.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import (
    ChannelId,
    IncomingMessage,
    MessageId,
    Person,
    PromptCount,
    Question,
    QuestionId,
    UserId,
)
from bot.core.notices import may_hold_own_lines, without, without_known
from bot.core.ports import Journal, JournalEntry
from bot.core.recent import Recent
from bot.prompt.cleaning import without_mention

WITHIN: Final = timedelta(seconds=15)
"""Longest time from a message to its copy; PluralKit takes 1 to 3 seconds."""

KEPT_S: Final = 600.0
"""How long a question is remembered: its copy may be found after a gap only."""

_MOST: Final = 500
"""Questions that are remembered; when there are more, the oldest of the busiest server goes."""

_TAG_CHARS: Final = 100
"""Longest mark around a text that the copy leaves out (PluralKit: proxy tags)."""

_SHORT_TAG_CHARS: Final = 30
"""Longest mark around a text that is shorter than the mark."""

_WORD: Final = re.compile(r"\w++")


@dataclass(frozen=True, slots=True)
class SaidAgain:
    """A copy whose original is deleted.

    Attributes:
        question: What it asks, in the original's place.
        message: The copy as a person's message.
        is_loose: The original asked nothing by itself.
    """

    question: Question
    message: IncomingMessage
    is_loose: bool


@dataclass(slots=True)
class _Asked:
    question: Question
    message: IncomingMessage
    until_s: float
    is_loose: bool = True
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
        self._loose: Recent[MessageId, _Asked] = Recent(_MOST)

    def said(self, question: Question) -> None:
        """Note what a person says, before it is known whether it asks something."""
        message = question.message
        if message is not None and question.place.guild_id is not None:
            self._loose[message.id] = self._noted(question, message)

    def asked(self, question: Question, me: UserId) -> None:
        """Note the messages of a question that is about to be taken."""
        if question.place.guild_id is None:
            return
        self._forget()
        for message in question.messages:
            if message.id not in self._asked:
                noted = self._loose.pop(message.id, None) or self._noted(question, message)
                noted.question, noted.is_loose = _part_of(question, message, me), False
                self._asked[message.id] = noted

    def refused(self, question: Question) -> None:
        """Note that a question wasn't taken after all."""
        for message in question.messages:
            self._asked.pop(message.id, None)

    def gone(self, question: Question, message_id: MessageId, me: UserId) -> None:
        """Note a message that was deleted while nobody listened; its copy may come yet."""
        self.asked(question, me)
        if message_id in self._asked:
            self._asked[message_id].is_deleted = True

    def edited(self, message: IncomingMessage, me: UserId) -> None:
        """Note the words that a message has after an edit: its copy repeats those."""
        found = self._find(message.id)
        if found is not None:
            text = without_mention(message.text, me)
            found.question = replace(found.question, text=text, message=message)
            found.message = message

    def copied(self, copy: IncomingMessage, me: UserId) -> SaidAgain | None:
        """Note what a webhook posted; return what it says, once the original is deleted.

        Args:
            copy: The webhook's message.
            me: The bot's own user.
        """
        self._forget()
        found = self._original_of(copy, me)
        if found is None:
            return None
        found.copy = copy
        return self._said_again(found, me) if found.is_deleted else None

    def deleted(self, message_id: MessageId, me: UserId, *, was_open: bool) -> SaidAgain | None:
        """Note a deletion; return what takes the message's place, if its copy is there.

        Args:
            message_id: What was deleted.
            me: The bot's own user.
            was_open: It asked something that isn't answered yet, or may still belong to a question.
        """
        self._forget()
        found = self._find(message_id)
        if found is None:
            return None
        if not was_open:
            self._drop(message_id)
            return None
        found.is_deleted = True
        return self._said_again(found, me) if found.copy is not None else None

    def who_said(self, message_id: MessageId) -> tuple[UserId, ChannelId] | None:
        """Return who said something, and where, as far as it is remembered."""
        found = self._find(message_id)
        if found is None:
            return None
        return found.message.author.id, found.message.place.channel_id

    def forget(self, concerns: Callable[[Question], bool]) -> None:
        """Forget the questions of a kind."""
        for found in [*self._asked.values(), *self._loose.values()]:
            if concerns(found.question):
                self._drop(found.message.id)

    def _noted(self, question: Question, message: IncomingMessage) -> _Asked:
        return _Asked(question, message, self._clock.monotonic() + KEPT_S)

    def _find(self, message_id: MessageId) -> _Asked | None:
        return self._asked.get(message_id) or self._loose.get(message_id)

    def _drop(self, message_id: MessageId) -> None:
        self._asked.pop(message_id, None)
        self._loose.pop(message_id, None)

    def _original_of(self, copy: IncomingMessage, me: UserId) -> _Asked | None:
        """Return what a copy repeats: the oldest with just these words, or else with the most like them."""
        here = [
            each
            for each in (*self._asked.values(), *self._loose.values())
            if each.copy is None and _may_be(copy, each.message, me)
        ]
        is_trusted = copy.application_id in self._application_ids
        found = [each for each in here if _says_the_same(copy, each.message, any_files=is_trusted)]
        if not found and is_trusted:
            found = [each for each in here if _is_alike(copy, each.question, me)]
        return min(
            found, key=lambda each: abs(len(each.message.text) - len(copy.text)), default=None
        )

    def _said_again(self, found: _Asked, me: UserId) -> SaidAgain | None:
        question, copy, original = found.question, found.copy, found.message
        if copy is None:
            return None
        self._drop(original.id)
        message = replace(
            proxied(copy, question.asker),
            created_at=original.created_at,
            reference_id=original.reference_id,
            replied_user_id=original.replied_user_id,
        )
        text = without_mention(copy.text, me)
        question = replace(question, id=QuestionId(copy.id), text=text, message=message)
        return SaidAgain(question, message, found.is_loose)

    def _forget(self) -> None:
        now_s = self._clock.monotonic()
        for kept in (self._asked, self._loose):
            while kept and next(iter(kept.values())).until_s <= now_s:
                kept.popitem(last=False)
        if len(self._asked) > _MOST:
            servers = {i: asked.question.place.guild_id for i, asked in self._asked.items()}
            busiest = Counter(servers.values()).most_common(1)[0][0]
            del self._asked[next(i for i, server in servers.items() if server == busiest)]


def _part_of(question: Question, message: IncomingMessage, me: UserId) -> Question:
    """Return what one of a question's messages asks."""
    if len(question.messages) == 1:
        return question
    text, about_id = without_mention(message.text, me), message.reference_id
    return replace(question, text=text, message=message, joined=(), about_id=about_id)


def _may_be(copy: IncomingMessage, original: IncomingMessage, me: UserId) -> bool:
    """Return whether an application posted this where the original stood, soon after it, to the bot."""
    if copy.application_id is None or not copy.place.is_same(original.place):
        return False
    if copy.id <= original.id or copy.created_at - original.created_at > WITHIN:
        return False
    is_written = f"<@{me}>" in original.text or f"<@!{me}>" in original.text
    return not is_written or me in copy.mentioned_ids or not copy.text


def _says_the_same(copy: IncomingMessage, original: IncomingMessage, *, any_files: bool) -> bool:
    """Return whether a copy has the words of the original, but for marks around, and its files."""
    if not (any_files or _files(copy) == _files(original)):
        return False
    said, meant = " ".join(copy.text.split()), " ".join(original.text.split())
    if not said and not 0 < len(copy.attachments) == len(original.attachments):
        return False
    marks = meant.replace(said, "", 1)
    is_part = said in meant and "<@" not in marks
    return is_part and len(marks) <= max(_SHORT_TAG_CHARS, min(_TAG_CHARS, len(said)))


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


_REMEMBERED: Final = 1000


class OwnWords:
    """Tells whose words a message holds by what was recorded when it was posted.

    Args:
        journal: Knows the messages of every answer and what the bot put into them.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: Recent[tuple[MessageId, datetime | None], str] = Recent(_REMEMBERED)

    def forget(self) -> None:
        """Forget what answers said."""
        self._known.clear()

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
            if known is not None:
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
        unknown = [m.id for m in messages if m.id not in recorded]
        notices = await self._journal.notices_of(unknown) if unknown else ()
        found: dict[MessageId, str] = {}
        for message in messages:
            own_lines = message.text.strip() if message.id in notices else recorded.get(message.id)
            if own_lines is None:
                found[message.id] = without_known(message.text)
                continue
            found[message.id] = without(message.text, own_lines)
            self._known[message.id, message.edited_at] = found[message.id]
        return found
