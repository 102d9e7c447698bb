"""Takes every question in: mentions, slash commands, buttons and recovery all come here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Container, Sequence
from datetime import timedelta

from bot.chat.parts import ReplyParts
from bot.chat.reply import Ending, Reply, job_of
from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Origin,
    Place,
    Question,
    QuestionId,
    UserId,
)
from bot.core.errors import AdmissionError, MovedError
from bot.core.ports import JournalEntry, ReplySink
from bot.core.recent import Recent
from bot.core.tasks import TaskOwner, end_tasks
from bot.queue.rate_limit import RateLimiter
from bot.queue.scheduler import Ticket

_log = logging.getLogger(__name__)


_AGAIN = frozenset({Origin.REGENERATE, Origin.CONTINUE})
"""Sources of what was asked before: never part of a burst."""

ESTIMATES = "token_estimates"
"""State: what was learned of each model's characters per token."""
MODELS = "models"
"""State: which models leave out the opening tag of their thinking."""
ACCEPTED_LOOK_S = 0.05
"""Seconds between looks whether questions are still being accepted that are to be left or stopped for good."""
HAND_OVER_S = 3.0
"""Seconds for the last edits once the grace time is over."""
MOST_NOTED = 1000
"""Deleted messages, and ended questions, that are remembered: one may be on its way to its turn."""


Acknowledge = Callable[[], Awaitable[None]]
"""Tells whoever asked that the question is taken."""

Move = Callable[[], Awaitable[tuple[Question, ReplySink]]]
"""Finds another place for an answer; returns the question there, and the way."""


class RateLimitedError(AdmissionError):
    """A person or a guild asks too often."""


class ChatService:
    """Takes questions, keeps the running ones, and ends them.

    Args:
        parts: What each reply works with.
        limiter: Questions a minute, per person and guild.
    """

    def __init__(self, parts: ReplyParts, limiter: RateLimiter) -> None:
        self._parts = parts
        self._limiter = limiter
        self._replies: dict[QuestionId, Reply] = {}
        self._working: dict[QuestionId, tuple[Question, asyncio.Future[None]]] = {}
        self._accepting: dict[QuestionId, Question] = {}
        self._tasks = TaskOwner()
        self._deleted: Recent[MessageId, None] = Recent(MOST_NOTED)
        self._ended: Recent[QuestionId, Ending] = Recent(MOST_NOTED)
        self._stops: Recent[tuple[UserId, ChannelId], QuestionId] = Recent(MOST_NOTED)
        self._is_ours: Callable[[Question], bool] | None = None
        self._is_closing = False
        self._is_closed = False

    @property
    def running(self) -> int:
        """How many questions are waiting or being answered."""
        return len(self._replies)

    @property
    def is_closing(self) -> bool:
        """Whether what is open is left to the next start from here on."""
        return self._is_closing

    def learned(self) -> dict[str, object]:
        """Return what was learned of each model, to be kept over a restart, by state key."""
        return {ESTIMATES: self._parts.estimator.dump(), MODELS: self._parts.memory.dump()}

    def knows(self, question_id: QuestionId) -> bool:
        """Return whether this question is being accepted, waits or is being answered now."""
        return question_id in self._replies or question_id in self._accepting

    async def has_taken(self, question_id: QuestionId) -> bool:
        """Return whether this question was ever accepted, as far as that is still stored."""
        return self.knows(question_id) or await self._parts.journal.entry(question_id) is not None

    @property
    def asked_in(self) -> Sequence[IncomingMessage]:
        """The messages whose questions are waiting or being answered."""
        questions = [reply.question for reply in self._replies.values()]
        return [message for q in questions for message in (*q.messages, *q.rests_on)]

    async def submit(
        self,
        question: Question,
        sink: ReplySink,
        *,
        replaces: Sequence[MessageId] = (),
        changed_id: MessageId | None = None,
        is_counted: bool = False,
        acknowledge: Acknowledge | None = None,
        move: Move | None = None,
    ) -> None:
        """Accept a new question and answer it in the background.

        Args:
            question: What was asked.
            sink: Where the answer goes.
            replaces: Messages of an earlier answer that this one takes the place of.
            changed_id: The asking message, when its author has changed it. Work on its earlier
                words is ended and taken back, but only once this question is accepted.
            is_counted: It takes the place of a question that was counted already.
            acknowledge: Awaited once the question is accepted, before anything is done for it.
            move: Awaited before the question is accepted; may refuse it.

        Raises:
            AdmissionError: The person or guild asks too often, or the queue is full.
            MovedError: Another process answers there since a moment ago.
        """
        if self.knows(question.id):
            return
        if self._is_moved(question):
            raise MovedError
        self._accepting[question.id] = question
        try:
            if await self._parts.journal.entry(question.id) is not None:
                return
            if move is not None:
                question, sink = await move()
                self._accepting[question.id] = question
            reply = await self._accept(question, sink, replaces, changed_id, is_counted=is_counted)
            if reply is not None:
                try:
                    if acknowledge is not None:
                        await acknowledge()
                except BaseException:
                    reply.leave_queue()
                    raise
                self._start(reply)
        finally:
            self._accepting.pop(question.id, None)

    async def _accept(
        self,
        question: Question,
        sink: ReplySink,
        replaces: Sequence[MessageId],
        changed_id: MessageId | None,
        *,
        is_counted: bool,
    ) -> Reply | None:
        """Give a question its place in the queue and store it.

        Returns:
            ``None`` when the journal has it already, and couldn't say so before.
        """
        is_merged = False
        if not is_counted:
            self.check_rate(question)
            merged = self._merge_burst(question)
            is_merged = merged is not question
            self._accepting[question.id] = question = merged
        open_replies = self._asking_in(changed_id)
        with contextlib.ExitStack() as place:
            ticket = self._place(question, has_place=is_counted or is_merged or bool(open_replies))
            if ticket is not None:
                place.callback(ticket.cancel)
            if not is_counted:
                self._limiter.take(question.counts_for, question.place.guild_id)
            stored = replaces = () if open_replies else replaces
            if not await self._parts.journal.accept(question, replaces):
                return None
            # Looked for again: an earlier run's may have been taken up while this was stored.
            for reply in dict.fromkeys([*open_replies, *self._asking_in(changed_id)]):
                # One that can't be ended is answered meanwhile, and that answer stands.
                replaces = () if reply.end(Ending.SUPERSEDED) else reply.standing
            # Stored, and not begun while it is acknowledged.
            if self._end_coming(
                lambda q: q.id != question.id and _asks_in(q, changed_id), Ending.SUPERSEDED
            ):
                replaces = ()
            self._end_all(lambda q: _goes_on_with(q, stored), Ending.SUPERSEDED)
            if replaces != stored:
                await self._parts.journal.posted(question.id, replaces)
            self._parts.metrics.accepted(question.origin)
            place.pop_all()
            return Reply(question, sink, self._parts, posted=replaces, ticket=ticket)

    def check_rate(self, question: Question) -> None:
        """Look whether one may ask now; it is counted once there is a place in the queue, too.

        Raises:
            RateLimitedError: Not now.
        """
        if refusal := self._limiter.look(question.counts_for, question.place.guild_id):
            raise RateLimitedError(refusal)

    def _asking_in(self, message_id: MessageId | None) -> list[Reply]:
        """Return the answers to a message, but for those that are being taken back: they hold nothing."""
        found = [r for r in self._replies.values() if _asks_in(r.question, message_id)]
        return [reply for reply in found if not reply.is_taken_back]

    def _place(self, question: Question, *, has_place: bool) -> Ticket | None:
        """Take a place in the queue; what is asked during a stop is kept for the next start.

        Raises:
            QueueError: There is none.
        """
        if self._is_closing:
            return None
        chat = self._parts.overrides.effective(question.place)
        return self._parts.scheduler.submit(job_of(question, chat), has_place=has_place)

    def resume(self, entry: JournalEntry, sink: ReplySink) -> None:
        """Go on with a question that an earlier run of the process accepted."""
        self._start(Reply(entry.question, sink, self._parts, entry=entry))

    def decline(self, entry: JournalEntry, sink: ReplySink, sentence: str) -> None:
        """Say why a stored question gets no answer, in the place of what was posted of it."""
        self._start(Reply(entry.question, sink, self._parts, entry=entry, refusal=sentence))

    def withdraw(self, entry: JournalEntry, sink: ReplySink, ending: Ending) -> None:
        """End a stored question before it is worked on again.

        Args:
            entry: The question.
            sink: The way to what was posted.
            ending: ``GONE`` and ``SUPERSEDED`` take back what was posted of its answer.
        """
        reply = Reply(entry.question, sink, self._parts, entry=entry)
        reply.end(ending)
        self._start(reply)

    def _start(self, reply: Reply) -> None:
        question = reply.question
        if self._is_closed or question.id in self._replies or self._is_moved(question):
            reply.leave_queue()
            return  # accepted at the last moment: the journal has it for the next start
        if (ending := self._ending_of(question)) is not None:
            reply.end(ending)
        self._replies[question.id] = reply
        work = self._tasks.watched(self._run(reply), name=f"question-{question.id}")
        self._working[question.id] = question, work

    def _is_moved(self, question: Question) -> bool:
        return self._is_ours is not None and not self._is_ours(question)

    def _ending_of(self, question: Question) -> Ending | None:
        """Return why a question ends before its work begins: for what came while it was taken."""
        if _is_taken_back(question, self._deleted):
            return Ending.GONE
        if question.id in self._ended:
            return self._ended[question.id]
        if self._stops and any(
            question.id < self._stops.get(by, 0) for by in _stopped_by(question)
        ):
            return Ending.STOPPED
        return Ending.RESTART if self._is_closing else None

    async def _run(self, reply: Reply) -> None:
        try:
            outcome = await reply.run()
            if outcome is not None:
                await self._parts.journal.close(reply.question.id, outcome)
        finally:
            # Not before the journal knows: what is open there and unknown here is taken up again.
            self._replies.pop(reply.question.id, None)
            self._working.pop(reply.question.id, None)

    def _merge_burst(self, question: Question) -> Question:
        """Merge the same person's unanswered question of a moment ago into a new one."""
        if question.message is None or question.origin in _AGAIN:
            return question
        before = self._joinable(question.message, _goes_on)
        if before and before[-1].end(Ending.MERGED):
            return question.merge(before[-1].question)
        return question

    def continues_burst(self, message: IncomingMessage) -> bool:
        """Return whether a message goes on with its author's unanswered question of a moment ago."""
        return bool(self._joinable(message, _goes_on))

    def burst_around(self, message: IncomingMessage, *, may_come_before: bool) -> Question | None:
        """Return its author's unanswered question of a moment before a message, or after it, too."""
        found = self._joinable(message, _is_near if may_come_before else _goes_on)
        return found[-1].question if found else None

    def _joinable(
        self, message: IncomingMessage, fits: Callable[[Question, IncomingMessage, timedelta], bool]
    ) -> list[Reply]:
        """Return the answers to a message's author, in its channel, whose questions may grow."""
        window = timedelta(seconds=self._parts.settings.queue.burst_window_s)
        return [
            reply
            for reply in self._replies.values()
            if reply.question.asker.id == message.author.id
            and _is_asked_at(reply.question, message.place)
            and reply.question.pressed_by is None
            and fits(reply.question, message, window)
            and reply.may_be_joined
        ]

    def stop(self, question_id: QuestionId) -> bool:
        """Stop one question at the person's wish, or as soon as it is taken up again.

        Returns:
            False if it isn't running.
        """
        self._ended[question_id] = Ending.STOPPED
        reply = self._replies.get(question_id)
        return reply is not None and reply.end(Ending.STOPPED)

    def stop_person(self, asker_id: UserId, channel_id: ChannelId, now_id: QuestionId) -> int:
        """Stop all of a person's questions in a channel; returns how many there were.

        Args:
            asker_id: Who asked, or had something answered again.
            channel_id: Where that was said, or is answered.
            now_id: A snowflake of now: what was asked before ends too once it comes here.
        """
        self._stops[asker_id, channel_id] = now_id

        def matches(q: Question) -> bool:
            return (asker_id, channel_id) in _stopped_by(q)

        return self._end_all(matches, Ending.STOPPED)

    async def closed(self, question_id: QuestionId, within_s: float) -> bool:
        """Wait until a question that is known is closed; return whether it is.

        Args:
            question_id: Whose answer stands, so that its end is near.
            within_s: How long to wait, in seconds.
        """
        working = self._working.get(question_id)
        if working is not None:
            await asyncio.wait({working[1]}, timeout=within_s)
        return not self.knows(question_id)

    async def stop_all(self, concerns: Callable[[Question], bool], within_s: float) -> int:
        """Stop all questions of a kind, and wait until no more is done for them.

        Args:
            concerns: Which ones.
            within_s: How long to wait, in seconds.

        Returns:
            How many there were.
        """
        count = self._end_all(concerns, Ending.STOPPED)
        # Whoever deletes what is stored finds these stored, too.
        await self._accepted(concerns, within_s)
        ending = [task for q, task in self._working.values() if concerns(q)]
        if ending:
            await asyncio.wait(ending, timeout=within_s)
        return count

    def message_gone(self, message_id: MessageId) -> bool:
        """End the work on a question whose message, or whose answer, was deleted.

        What is left of a burst goes on: whoever knows the words asks it anew (see ``burst_with``).

        Returns:
            Whether the message had asked something that wasn't answered yet.
        """
        self._deleted[message_id] = None
        was_open = any(_asks_in(question, message_id) for question in self._accepting.values())
        for reply in list(self._replies.values()):
            is_asked_there = _asks_in(reply.question, message_id)
            if is_asked_there and len(reply.question.messages) > 1:
                was_open = True
            elif _is_taken_back(reply.question, {message_id}) or reply.lost(message_id):
                has_ended = reply.end(Ending.GONE)
                was_open = was_open or (has_ended and is_asked_there)
        return was_open

    def asked_now(self, message_id: MessageId) -> Question | None:
        """Return the newest question that a message asks, being accepted or not answered yet."""
        going_on = (r.question for r in self._replies.values() if not r.is_ending)
        coming = (q for q in self._accepting.values() if q.id not in self._ended)
        found = [q for q in (*going_on, *coming) if _asks_in(q, message_id)]
        return found[-1] if found else None

    def burst_with(self, message_id: MessageId) -> Question | None:
        """Return the newest question of several messages, this one among them, not answered yet."""
        found = self.asked_now(message_id)
        return found if found is not None and len(found.messages) > 1 else None

    def place_gone(self, *, channel_id: ChannelId | None, guild_id: GuildId | None) -> None:
        """End the work in a channel that is gone, or in a guild that the bot was removed from for now."""
        self._end_where(
            lambda q: (
                (channel_id is not None and channel_id in (q.place.channel_id, q.place.parent_id))
                or (guild_id is not None and q.place.guild_id == guild_id)
            ),
            Ending.GONE if guild_id is None else Ending.BARRED,
        )

    def _end_where(self, matches: Callable[[Question], bool], ending: Ending) -> int:
        replies = [reply for reply in self._replies.values() if matches(reply.question)]
        return sum(reply.end(ending) for reply in replies)

    def _end_coming(self, matches: Callable[[Question], bool], ending: Ending) -> int:
        """End questions that are being accepted, as soon as they are; returns how many there are."""
        coming = [question.id for question in self._accepting.values() if matches(question)]
        self._ended.update(dict.fromkeys(coming, ending))
        return len(coming)

    def _end_all(self, matches: Callable[[Question], bool], ending: Ending) -> int:
        """End questions, also those that are being accepted; returns how many there are."""
        return self._end_where(matches, ending) + self._end_coming(matches, ending)

    def only(self, is_ours: Callable[[Question], bool]) -> None:
        """Accept only some questions from now on: the others are other processes'."""
        self._is_ours = is_ours

    async def leave(self, concerns: Callable[[Question], bool]) -> None:
        """Leave questions to another process, which goes on with them in the same messages."""
        await self._accepted(concerns, HAND_OVER_S)
        self._end_where(concerns, Ending.RESTART)
        working = [task for question, task in self._working.values() if concerns(question)]
        if working:
            await asyncio.wait(working, timeout=HAND_OVER_S)
        left = [reply for reply in self._replies.values() if concerns(reply.question)]
        await end_tasks(*(task for question, task in self._working.values() if concerns(question)))
        for reply in left:
            await reply.hand_over()

    async def _accepted(self, concerns: Callable[[Question], bool], within_s: float) -> None:
        """Wait until no question of a kind is being accepted any more, or for long enough."""
        clock = self._parts.clock
        end_s = clock.monotonic() + within_s
        while any(map(concerns, self._accepting.values())) and clock.monotonic() < end_s:
            await clock.sleep(ACCEPTED_LOOK_S)

    async def close(self, grace_s: float) -> None:
        """Stop intake, tell those who wait, let running answers finish, hand over the rest.

        Args:
            grace_s: How long running answers may go on, in seconds.
        """
        self._is_closing = True
        for reply in list(self._replies.values()):
            if not reply.is_underway:
                reply.end(Ending.RESTART)
        if not await self._tasks.wait(grace_s):
            for reply in list(self._replies.values()):
                reply.end(Ending.RESTART)
            await self._tasks.wait(HAND_OVER_S)
        await self.cancel()

    async def cancel(self) -> None:
        """Cut everything off at once; what was accepted stays in the journal."""
        self._is_closing = self._is_closed = True
        replies = list(self._replies.values())
        await self._tasks.cancel()
        for reply in replies:
            await reply.hand_over()


def _asks_in(question: Question, message_id: MessageId | None) -> bool:
    """Return whether a message is one of those that ask a question."""
    return any(message.id == message_id for message in question.messages)


def _is_asked_at(question: Question, place: Place) -> bool:
    """Return whether a question is answered at a place, or was asked there and has a thread of its own."""
    places = [question.place, *(message.place for message in question.messages)]
    return any(place.is_same(each) for each in places)


def _goes_on_with(question: Question, posted: Container[MessageId]) -> bool:
    """Return whether a question has an answer among some messages continued."""
    return question.continues is not None and question.about_id in posted


def _is_taken_back(question: Question, deleted: Container[MessageId]) -> bool:
    """Return whether nothing asks a question any more: its messages are deleted, or what it goes on with."""
    if question.continues is not None:
        return question.about_id in deleted or any(m.id in deleted for m in question.rests_on)
    messages = question.messages
    return bool(messages) and all(message.id in deleted for message in messages)


def _stopped_by(question: Question) -> set[tuple[UserId, ChannelId]]:
    """Return by whom and where a question is stopped: its people, where it was asked or is answered."""
    places = {question.place.channel_id, *(m.place.channel_id for m in question.messages)}
    return {(who, where) for who in (question.asker.id, question.counts_for) for where in places}


def _goes_on(question: Question, message: IncomingMessage, window: timedelta) -> bool:
    """Return whether a message follows a question within a moment, and replies to nothing else."""
    newest = question.message
    return (
        newest is not None
        and timedelta() < window
        and (newest.created_at, newest.id) < (message.created_at, message.id)
        and message.created_at - newest.created_at <= window
        and message.reference_id in {None, question.about_id, *(m.id for m in question.messages)}
    )


def _is_near(question: Question, message: IncomingMessage, window: timedelta) -> bool:
    """Return whether a message goes on with a question, or the question with the message."""
    if _goes_on(question, message, window):
        return True
    first = next(iter(question.messages), None)
    is_before = first is not None and timedelta() <= first.created_at - message.created_at <= window
    return is_before and question.about_id in {None, message.reference_id}
