"""Read the conversation that a question belongs to, from Discord alone.

In channels the reply chain is the conversation: each message leads to the one it replies to, and the
messages that its writer sent directly before belong to it. Threads, forum posts, direct messages and
channels where every message is answered continue by themselves: their history is the conversation.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

from bot.core.domain import (
    IncomingMessage,
    MessageId,
    Origin,
    Place,
    PlaceKind,
    PromptCount,
    Question,
    UserId,
)
from bot.core.ports import JournalEntry, MessageSource
from bot.core.recent import Recent
from bot.prompt.tokens import message_tokens

NAMELESS: Final = "somebody"
"""What a person is called whose messages aren't read."""

_RUN_MESSAGES: Final = 10
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
            await self._read(message_id, _RUN_MESSAGES)
        before = self._before.get(message_id)
        return None if before is None else self._messages.get(before)

    async def _read(self, before: MessageId, limit: int) -> None:
        if self.is_exhausted:
            return
        self._windows += 1
        batch = await self._source.history(self._place, before=before, limit=limit)
        ids = [message.id for message in batch if message.id < before]
        for message in batch:
            if message.place.is_same(self._place):
                self._messages[message.id] = message
        for earlier, later in itertools.pairwise(ids):
            self._before[later] = earlier
        self._before[before] = ids[-1] if ids else None


def _answers_after_questions(
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


_BACK_TO_BACK: Final = timedelta(minutes=7)
"""Messages of one person within this are shown as one group by Discord's clients."""


def _belongs(before: IncomingMessage, after: IncomingMessage, reference: MessageId | None) -> bool:
    """Return whether a message directly before is part of the same turn."""
    return (
        before.author.id == after.author.id
        and before.is_ordinary
        and after.created_at - before.created_at <= _BACK_TO_BACK
        and (reference is None or before.reference_id in {None, reference})
    )


def _refers_to(run: Sequence[IncomingMessage]) -> MessageId | None:
    """Return the message that a run, newest first, refers to outside of itself."""
    own = {message.id for message in run}
    for message in run:
        if message.reference_id is not None and message.reference_id not in own:
            return message.reference_id if message.reference_id < message.id else None
    return None


def _once(messages: Sequence[IncomingMessage]) -> list[IncomingMessage]:
    """Drop repetitions, keeping the first of each."""
    return list({message.id: message for message in reversed(messages)}.values())[::-1]


LINEAR_KINDS: Final = frozenset(
    {PlaceKind.THREAD, PlaceKind.FORUM_POST, PlaceKind.DM, PlaceKind.GROUP_DM}
)
_DIRECT_KINDS: Final = frozenset({PlaceKind.DM, PlaceKind.GROUP_DM})

_POINTING: Final = frozenset({Origin.CONTINUE, Origin.CONTEXT_MENU})
"""Sources where a person points at a message instead of writing one."""

_LONG_ANSWER_CHARS = 1500
"""An answer this long may go on in further messages."""

_ENOUGH_BUDGETS = 8
_REMEMBERED_ANSWERS = 512


class AnswerIndex(Protocol):
    """What is known of the bot's own messages."""

    async def read_back(
        self, messages: Sequence[IncomingMessage], bot_id: UserId
    ) -> list[IncomingMessage]:
        """Return messages as what they are known to be.

        Of those that the bot posted only the model's words; a question that a webhook said again as
        its person's own.
        """
        ...

    async def entry_of_message(self, message_id: MessageId) -> JournalEntry | None:
        """Return the question that a posted message answers."""
        ...

    async def counts_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        """Return the counts of the answers that posted messages belong to, where there are any."""
        ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a conversation, oldest first, the newest being the question's own.

    Attributes:
        newest: The asking message, or one made of the question's text.
        place_key: Names the place: nothing is ever shared between two of them.
        is_complete: The first message is where the conversation began.
        is_linear: A thread's or a direct message's history.
        starter: The message that a thread began with; always kept in front.
        is_made: The newest message is no message of Discord's.
        span: Messages to be looked at as a transcript ("summarise from here").
        key: Stable over the turns of the conversation; ``None`` when the beginning is out of reach.
    """

    messages: tuple[IncomingMessage, ...]
    newest: IncomingMessage
    place_key: str
    is_complete: bool = True
    is_linear: bool = False
    starter: IncomingMessage | None = None
    is_made: bool = False
    span: tuple[IncomingMessage, ...] = ()
    key: str | None = None


class Access(Protocol):
    """Who the bot is, and what a prompt may hold, as things are at the moment."""

    def bot_id(self) -> UserId:
        """Return the bot's own user, known once it is connected."""
        ...

    def bot_name(self) -> str:
        """Return what the bot is called."""
        ...

    def names_of(self, place: Place, /) -> tuple[str, str]:
        """Return the names of a place's guild and channel; empty where unknown."""
        ...

    def may_use(self, message: IncomingMessage, /) -> bool:
        """Return whether a message may be shown to the model (its writer isn't blocked)."""
        ...

    def is_withheld(self, message: IncomingMessage, asker_id: UserId, /) -> bool:
        """Return whether a message isn't to be read for the question of this person."""
        ...

    async def may_read(self, question: Question, /) -> bool:
        """Return whether a question's asker may read what was said before."""
        ...


class ConversationReader:
    """Finds the conversation of a question.

    Args:
        source: Messages of Discord.
        access: Which of them may be read.
        answers: The journal, for answers that don't reply to their question's message.
    """

    def __init__(
        self,
        source: MessageSource,
        access: Access,
        answers: AnswerIndex,
    ) -> None:
        self._source = source
        self._access = access
        self._answers = answers
        self._links: Recent[MessageId, JournalEntry] = Recent(_REMEMBERED_ANSWERS)

    async def read(self, question: Question, *, limit: int, enough_tokens: int) -> Conversation:
        """Read a question's conversation.

        Args:
            question: What was asked.
            limit: Most messages to read.
            enough_tokens: The prompt's budget: reading stops at a multiple of it.
        """
        if question.message is not None and question.message.forward_of is not None:
            shown = self._shown([question.message], question.asker.id)
            question = replace(question, message=shown[0])
        newest = _newest(question)
        if question.since_id is not None:
            return await self._span(question, newest, limit)
        if question.place.kind in LINEAR_KINDS or question.origin is Origin.CHANNEL:
            return await self._linear(question, newest, limit, enough_tokens)
        return await self._chain(question, newest, limit)

    async def only(self, question: Question) -> Conversation:
        """Return the asker's own question without what was said before.

        The one message that was pointed at by a menu or a button stays: the asker sees it.
        """
        newest = replace(_newest(question), reference_id=None)
        before = list(question.joined)
        if question.origin in _POINTING and question.about_id:
            pointed_at = await self.quotable(question.place, question.about_id, question.asker.id)
            before += [pointed_at] if pointed_at is not None else []
        key = f"{_place_key(question.place)}:{newest.id}"
        return Conversation((*before, newest), newest, _place_key(question.place), key=key)

    async def _chain(self, question: Question, newest: IncomingMessage, limit: int) -> Conversation:
        history = HistoryWindow(self._source, question.place)
        found: list[IncomingMessage] = []
        run: list[IncomingMessage] = [newest, *reversed(question.joined)]
        if question.message is newest and not question.fresh:
            run = await self._run(history, run)
        parent = _refers_to(run)
        found.extend(run)
        while parent is not None and len(found) < limit and not history.is_exhausted:
            message = await history.get(parent)
            if message is None:
                break
            if message.author.id == self._access.bot_id():
                run, parent = await self._answer(history, message)
            else:
                run = await self._run(history, [message])
                parent = _refers_to(run)
            found.extend(run)
            if question.fresh:
                parent = None
        is_complete = parent is None or not (len(found) >= limit or history.is_exhausted)
        messages = self._usable(await self._read_back(_once(found)[::-1]), newest)
        place_key = _place_key(question.place)
        key = f"{place_key}:{messages[0].id}" if is_complete else None
        return Conversation(tuple(messages), newest, place_key, is_complete, key=key)

    async def _run(
        self, history: HistoryWindow, run: list[IncomingMessage]
    ) -> list[IncomingMessage]:
        """Add the messages that the same person sent directly before; newest first."""
        run = list(run)
        while len(run) < _RUN_MESSAGES:
            oldest = run[-1]
            before = await history.before(oldest.id)
            if before is None or not _belongs(before, oldest, _refers_to(run)):
                break
            run.append(before)
        return run

    async def _answer(
        self, history: HistoryWindow, message: IncomingMessage
    ) -> tuple[list[IncomingMessage], MessageId | None]:
        """Return all messages of one of the bot's answers, newest first, and what they answer."""
        if message.reference_id is None or len(message.text) >= _LONG_ANSWER_CHARS:
            entry = await self._entry(message.id)
            if entry is not None:
                return await self._journaled(history, message, entry)
        run = [message]
        while len(run) < _RUN_MESSAGES:
            reference = run[-1].reference_id
            if reference is not None:
                before = await history.get(reference)
                if before is None or before.author.id != message.author.id:
                    return run, reference
            else:
                before = await history.before(run[-1].id)
                if before is None or not _belongs(before, run[-1], None):
                    return run, None
            run.append(before)
        return run, None

    async def _journaled(
        self, history: HistoryWindow, message: IncomingMessage, entry: JournalEntry
    ) -> tuple[list[IncomingMessage], MessageId | None]:
        parts = [await history.get(part) for part in entry.posted if part != message.id]
        run = [message, *(part for part in parts if part is not None)]
        run.sort(key=lambda part: part.id, reverse=True)
        asked = entry.question
        if asked.message is not None:
            return run, asked.message.id
        run.append(_newest(asked))
        return run, None if asked.fresh else asked.about_id

    async def _entry(self, message_id: MessageId) -> JournalEntry | None:
        known = self._links.get(message_id)
        if known is None:
            known = await self._answers.entry_of_message(message_id)
        if known is not None:
            self._links[message_id] = known
        return known

    async def _linear(
        self, question: Question, newest: IncomingMessage, limit: int, enough_tokens: int
    ) -> Conversation:
        place, key = question.place, _place_key(question.place)
        starts_afresh = question.fresh or self._is_fresh_start(newest)
        earlier: list[IncomingMessage] = list(question.joined)
        is_complete, is_cut, starter = True, False, None
        if not starts_afresh:
            seen, is_complete = await self._history(question.place, newest.id, limit, enough_tokens)
            seen = await self._read_back(seen)
            seen, is_cut = await self._with_slash_questions(seen, question)
            is_complete = is_complete or is_cut
            known = {message.id for message in earlier}
            earlier = sorted([*(m for m in seen if m.id not in known), *earlier], key=_by_id)
            starter = await self._starter(place, question.asker.id)
            starter = None if starter is not None and starter.id == newest.id else starter
        if starts_afresh:
            key = f"{key}:{newest.id}"
        elif is_complete and earlier and (is_cut or self._is_fresh_start(earlier[0])):
            key = f"{key}:{earlier[0].id}"
        earlier = [m for m in earlier if self._is_of_interest(m)]
        messages = self._usable([*earlier, newest], newest)
        if starter is not None:
            messages = [m for m in messages if m.id != starter.id or m is newest]
        return Conversation(
            tuple(_answers_after_questions(messages, self._access.bot_id())),
            newest,
            _place_key(place),
            is_complete,
            is_linear=True,
            starter=starter,
            is_made=newest is not question.message,
            key=key,
        )

    async def _history(
        self, place: Place, before: MessageId, limit: int, enough_tokens: int
    ) -> tuple[list[IncomingMessage], bool]:
        """Return the messages before a question, oldest first, and whether that is all."""
        found: list[IncomingMessage] = []
        tokens = 0
        while len(found) < limit and tokens < enough_tokens * _ENOUGH_BUDGETS:
            count = min(100, limit - len(found))
            batch = await self._source.history(place, before=before, limit=count)
            for message in reversed(batch):
                if not message.place.is_same(place) or message.id >= before:
                    continue
                found.append(message)
                tokens += message_tokens(message.text) + 4
                if self._is_fresh_start(message):
                    return found[::-1], True
            if len(batch) < count:
                return found[::-1], True
            before = batch[0].id
        return found[::-1], False

    async def _with_slash_questions(
        self, seen: Sequence[IncomingMessage], newest: Question
    ) -> tuple[list[IncomingMessage], bool]:
        """Put in the questions that slash commands asked, and begin at the last ``new`` one.

        The answer that is to be given anew is left out, and with it its question.

        Returns:
            The messages, oldest first, and whether the conversation was begun anew among them.
        """
        found: list[IncomingMessage] = []
        asked: set[MessageId] = set()
        me = self._access.bot_id()
        for message in reversed(seen):
            found.append(message)
            is_loose = message.author.id == me and message.reference_id is None
            entry = await self._entry(message.id) if is_loose else None
            if entry is None or entry.question.message is not None:
                continue
            if newest.origin is Origin.REGENERATE and _is_same(entry.question, newest):
                found.pop()
                continue
            question = _newest(entry.question)
            if question.id not in asked:
                asked.add(question.id)
                found.append(question)
            if entry.question.fresh:
                first = min(question.id, message.id)
                return sorted((m for m in found if m.id >= first), key=_by_id), True
        return sorted(found, key=_by_id), False

    def _is_of_interest(self, message: IncomingMessage) -> bool:
        """Whether a message of a thread belongs to the talk: no other bots, nothing of Discord's."""
        if message.author.id == self._access.bot_id():
            return bool(message.text or message.attachments)
        return message.is_ordinary and not message.author.is_bot

    def _is_fresh_start(self, message: IncomingMessage) -> bool:
        """Whether a message begins a conversation anew: the bot is mentioned in a DM."""
        return (
            message.place.kind in _DIRECT_KINDS
            and message.reference_id is None
            and not message.author.is_bot
            and self._access.bot_id() in message.mentioned_ids
        )

    async def _starter(self, place: Place, asker_id: UserId) -> IncomingMessage | None:
        if place.kind in _DIRECT_KINDS:
            return None
        starter = await self._source.starter(place)
        if starter is None or starter.place.guild_id != place.guild_id:
            return None
        if starter.place.channel_id not in {place.channel_id, place.parent_id}:
            return None
        if not self._access.may_use(starter):
            return None
        return self._shown(await self._read_back([starter]), asker_id)[0]

    async def quotable(
        self, place: Place, message_id: MessageId, asker_id: UserId
    ) -> IncomingMessage | None:
        """Return a message that another one refers to, if it is of this place and may be used."""
        message = await self._source.fetch(place, message_id)
        if message is None or not message.place.is_same(place) or not self._access.may_use(message):
            return None
        return self._shown(await self._read_back([message]), asker_id)[0]

    async def _read_back(self, messages: Sequence[IncomingMessage]) -> list[IncomingMessage]:
        return await self._answers.read_back(messages, self._access.bot_id())

    async def _span(self, question: Question, newest: IncomingMessage, limit: int) -> Conversation:
        place = question.place
        after = MessageId(int(question.since_id or question.id) - 1)
        found: list[IncomingMessage] = []
        is_complete = False
        while len(found) < limit and not is_complete:
            count = min(100, limit - len(found))
            batch = await self._source.history(place, after=after, limit=count)
            found.extend(m for m in batch if m.place.is_same(place) and m.id < question.id)
            is_complete = len(batch) < count or batch[-1].id >= question.id
            after = batch[-1].id if batch else after
        known = self._shown(await self._read_back(found), newest.author.id)
        span = tuple(m for m in known if m.is_ordinary and self._access.may_use(m))
        place_key = _place_key(place)
        key = f"{place_key}:{newest.id}"
        return Conversation((newest,), newest, place_key, is_complete, span=span, key=key)

    def _usable(
        self, messages: Sequence[IncomingMessage], newest: IncomingMessage
    ) -> list[IncomingMessage]:
        usable = [m for m in messages if m is newest or self._access.may_use(m)]
        return self._shown(usable, newest.author.id)

    def _shown(
        self, messages: Sequence[IncomingMessage], asker_id: UserId
    ) -> list[IncomingMessage]:
        """Take out what isn't to be read for this asker; one empty message stands for several in a row."""
        found: list[IncomingMessage] = []
        me = self._access.bot_id()
        for message in messages:
            if message.author.id == me or not self._access.is_withheld(message, asker_id):
                found.append(message)
                continue
            before = found[-1] if found else None
            if before is None or not before.is_withheld or before.author.id != message.author.id:
                found.append(_emptied(message, is_own=message.author.id == asker_id))
        return found

    def forget(self) -> None:
        """Forget which questions answers belong to: these hold people's words."""
        self._links.clear()


def _emptied(message: IncomingMessage, *, is_own: bool) -> IncomingMessage:
    """Return a message without anything of it but that it is there; a forward's sender keeps the name."""
    return replace(
        message,
        author=message.author if is_own else replace(message.author, name=NAMELESS),
        text=message.text if is_own else "",
        names=message.names if is_own else {},
        attachments=(),
        embed_texts=(),
        forwarded_texts=(),
        stickers=(),
        poll="",
        is_withheld=True,
    )


def _newest(question: Question) -> IncomingMessage:
    """Return the asking message, or one made of the question where there is none of its own."""
    is_own = question.origin not in _POINTING
    if question.message is not None and is_own:
        return question.message
    return IncomingMessage(
        id=MessageId(int(question.id)),
        place=question.place,
        author=question.asker,
        text=question.text,
        created_at=question.asked_at,
        reference_id=question.about_id,
    )


def _is_same(one: Question, other: Question) -> bool:
    return one.text == other.text and one.asker.id == other.asker.id


def _by_id(message: IncomingMessage) -> int:
    return message.id


def _place_key(place: Place) -> str:
    return f"{place.guild_id or 'dm'}:{place.channel_id}"
