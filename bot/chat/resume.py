"""What a start, or a new session, does with questions that were accepted and did not end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from bot.chat.reply import Ending
from bot.chat.service import ChatService
from bot.chat.work_gate import ALONE_FROM
from bot.core.clock import Clock
from bot.core.domain import MessageId, Question, QuestionId, UserId
from bot.core.ports import Journal, JournalEntry, MessageSource, Outcome, QuestionState, ReplySink

LOOK_MESSAGES = 50
"""How far below a question its answer is looked for, in messages; one request."""
MOST_ATTEMPTS = ALONE_FROM + 2
"""Lives of the process that may end under one question; after that it is set aside.

The last two end while nothing else is worked on: once may be a power cut's doing, twice is not."""
MOST_DELIVERIES = 2 * MOST_ATTEMPTS
"""The same where its answer is finished and only has to be delivered."""
LEFTOVERS_FOR = timedelta(days=1)
"""How long what Discord lets stand of an answer that was taken back is tried to be deleted, and how long a
question is kept where the bot may not write."""
FIRST_AGAIN_S = 10.0
"""Seconds until what stays open is looked at again; doubled each time that there is something."""
LAST_AGAIN_S = 600.0
SET_ASIDE = "I was stopped each time I worked on this question, so I've set it aside. Please ask it in another way."
TOO_OLD = (
    "I was away when you asked this and it is a while ago. Please ask again if you still like."
)


@dataclass(frozen=True, slots=True)
class Review:
    """A stored question looked at again.

    Attributes:
        question: As it is asked now; ``None`` when its message is gone.
        refusal: Why it may not be answered any more; empty when it may.
    """

    question: Question | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class WayBack:
    """The way back to a stored question's answer.

    Attributes:
        sink: Where the answer goes.
        standing: Its first message where it has words already, whether that was noted or not.
    """

    sink: ReplySink
    standing: tuple[MessageId, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look at a stored question has shown.

    Attributes:
        entry: As stored, with all that was posted of its answer.
        way: The way back to its place; ``None`` when that is gone.
        question: As it is asked now; ``None`` when its message is gone.
        refusal: Why it isn't answered any more; empty when it is.
    """

    entry: JournalEntry
    way: WayBack | None
    question: Question | None
    refusal: str = ""


class Reviewer(Protocol):
    """Looks at stored questions again."""

    async def way_back(self, entry: JournalEntry) -> WayBack | None:
        """Return the way back to a question's place; ``None`` when that is gone."""
        ...

    def is_barred(self, question: Question) -> bool:
        """Return whether the bot may not write at a question's place at present."""
        ...

    async def review(self, question: Question) -> Review:
        """Return what became of a question: it may be gone, changed or no longer allowed."""
        ...


async def give_up(journal: Journal, question_id: QuestionId) -> None:
    """Have a question set aside by the next look at it: it is known to have stopped the process."""
    entry = await journal.entry(question_id)
    if entry is not None and entry.outcome is None:
        for _ in range(entry.attempts, MOST_ATTEMPTS):
            await journal.start(question_id)


def _newest(question: Question) -> MessageId | None:
    return None if question.message is None else question.message.id


def _is_taken_back(entry: JournalEntry) -> bool:
    """Return whether nothing is to be said any more, and only what stands is to be taken away."""
    return entry.state is QuestionState.ANSWERED and not entry.chunks


def _most_attempts(entry: JournalEntry) -> int:
    return MOST_DELIVERIES if entry.state is QuestionState.ANSWERED else MOST_ATTEMPTS


class Resumer:
    """Ends what was left open, oldest first.

    Args:
        journal: What was left open.
        chat: Goes on with it.
        clock: Tells how old a question is.
        reviewer: Looks at each question again.
        source: Where an answer's message is looked for.
        stale_after: Questions older than this are declined.
        is_within_reach: Whether all that Discord tells of a question's place is known already.
    """

    def __init__(
        self,
        journal: Journal,
        chat: ChatService,
        clock: Clock,
        reviewer: Reviewer,
        source: MessageSource,
        stale_after: timedelta,
        is_within_reach: Callable[[Question], bool] = lambda _: True,
    ) -> None:
        self._journal = journal
        self._is_within_reach = is_within_reach
        self._chat = chat
        self._clock = clock
        self._reviewer = reviewer
        self._source = source
        self._stale_after = stale_after

    async def keep_looking(self, look: Callable[[], Awaitable[int]]) -> None:
        """Have what stays open looked at again and again, less often while there is something.

        Args:
            look: Takes up every open question, if that can be done now; returns how many there were.
        """
        wait_s = FIRST_AGAIN_S
        while True:
            await self._clock.sleep(wait_s)
            is_left = bool(await look())
            wait_s = min(2 * wait_s, LAST_AGAIN_S) if is_left else FIRST_AGAIN_S

    async def run(self, me: UserId) -> int:
        """Take up every open question that nobody works on; returns how many there were.

        Those that the process died under are all looked at before any is worked on: the look itself
        may be what ends it, and nobody else's question is to be suspected of that.

        Args:
            me: The bot's own user.
        """
        all_pending = [] if self._chat.is_closing else await self._journal.pending()
        pending = [each for each in all_pending if self._is_within_reach(each.question)]
        found = [await self._look(each.question.id, me) for each in pending if each.attempts]
        count = sum([await self._go_on(each) for each in found if each is not None])
        for entry in pending:
            if not entry.attempts:
                each = await self._look(entry.question.id, me)
                count += each is not None and await self._go_on(each)
        return count

    async def _look(self, question_id: QuestionId, me: UserId) -> _Found | None:
        """Look at what became of a question, counted as an attempt; ``None`` if nothing is open."""
        entry = await self._still_open(question_id)
        if entry is None or self._has_to_wait(entry):
            return None
        if entry.attempts > _most_attempts(entry):  # the last one was nothing but this look
            way = await self._reviewer.way_back(entry)
            return _Found(entry, way, entry.question, SET_ASIDE)
        try:
            await self._journal.start(question_id)  # counted although this may be cut off
            return await self._look_at(entry, me)
        finally:
            await self._journal.give_back(question_id)

    def _has_to_wait(self, entry: JournalEntry) -> bool:
        """Return whether a question waits until the bot may write at its place again."""
        is_old = self._clock.now() - entry.question.asked_at > LEFTOVERS_FOR
        return not (is_old or _is_taken_back(entry)) and self._reviewer.is_barred(entry.question)

    async def _look_at(self, entry: JournalEntry, me: UserId) -> _Found:
        way = await self._reviewer.way_back(entry)
        if way is None:
            return _Found(entry, None, None)
        entry = await self._with_orphan(replace(entry, posted=entry.posted or way.standing), me)
        review = await self._reviewer.review(entry.question)
        asked, reason = review.question, review.refusal
        if asked is not None and not reason:
            reason = self._reason_against(entry, asked)
        if asked is not None and _newest(asked) != _newest(entry.question):
            # Its last message is deleted: the answer replies to what is left.
            way = await self._reviewer.way_back(replace(entry, question=asked))
        return _Found(entry, way, asked, reason)

    async def _still_open(self, question_id: QuestionId) -> JournalEntry | None:
        """Return a question that is open and that nobody works on."""
        entry = await self._journal.entry(question_id)
        is_over = entry is None or entry.outcome is not None or self._chat.knows(question_id)
        return None if is_over else entry

    async def _go_on(self, found: _Found) -> bool:
        """Go on with a question; others may have ended or changed it while it was looked at."""
        found = await self._as_asked(found)  # stored first: what is decided below is done at once
        entry, way = found.entry, found.way
        question_id = entry.question.id
        newer = await self._asked_anew(entry.question)
        if await self._still_open(question_id) is None:
            return False
        age = self._clock.now() - entry.question.asked_at
        is_barred = way is None or way.sink.is_barred()
        if age > LEFTOVERS_FOR and (is_barred or _is_taken_back(entry)):
            await self._journal.close(question_id, Outcome.DROPPED)
            if way is not None:
                await way.sink.end_waiting()
        elif way is not None:
            self._end_or_go_on(found, way, newer)
        return True

    def _end_or_go_on(self, found: _Found, way: WayBack, newer: Sequence[JournalEntry]) -> None:
        entry = found.entry
        if newer:
            taken_over = {each for other in newer for each in other.posted}
            left = tuple(each for each in entry.posted if each not in taken_over)
            self._chat.withdraw(replace(entry, posted=left), way.sink, Ending.SUPERSEDED)
        elif found.question is None or _is_taken_back(entry):
            self._chat.withdraw(entry, way.sink, Ending.GONE)
        elif found.refusal:
            self._chat.decline(entry, way.sink, found.refusal)
        else:
            self._chat.resume(entry, way.sink)

    async def _asked_anew(self, question: Question) -> list[JournalEntry]:
        """Return the questions that have taken this one's place, and perhaps its answer's.

        Its message was changed, or answered together with its author's next one.
        """
        found = [await self._journal.newest_asked_in(each.id) for each in question.messages]
        return [each for each in found if each is not None and each.question.id != question.id]

    def _reason_against(self, entry: JournalEntry, asked: Question) -> str:
        """Return why a question is declined for what happened to it; empty if it isn't."""
        is_answered = entry.state is QuestionState.ANSWERED
        is_finished = is_answered and asked.text == entry.question.text
        if entry.attempts >= (MOST_DELIVERIES if is_finished else MOST_ATTEMPTS):
            return SET_ASIDE
        age = self._clock.now() - entry.question.asked_at
        is_stale = age > self._stale_after and not is_answered
        return TOO_OLD if is_stale else ""

    async def _as_asked(self, found: _Found) -> _Found:
        """Return the entry with its question as asked now; other words need another answer."""
        entry, question = found.entry, found.question
        if question is None or found.refusal or _is_taken_back(entry):
            return found
        if question.text == entry.question.text:
            return replace(found, entry=replace(entry, question=question))
        await self._journal.revise(question)
        stored = await self._journal.entry(question.id) or entry
        return replace(found, entry=replace(stored, posted=entry.posted))

    async def _with_orphan(self, entry: JournalEntry, me: UserId) -> JournalEntry:
        """Add an answer's first message that was posted but not noted before the process died.

        Within minutes its nonce would find it again; after that only a look at the channel does.
        """
        message = entry.question.message
        if entry.posted or entry.state is QuestionState.ACCEPTED or message is None:
            return entry
        later = await self._source.history(message.place, after=message.id, limit=LOOK_MESSAGES)
        for each in later:
            if each.reference_id == message.id and each.author.id == me:
                if await self._journal.entry_of_message(each.id) is None:
                    return replace(entry, posted=(each.id,))
                break
        return entry
