"""The queue in action: grants slots as they come free, holds while the model is away, and tells.

A ``Ticket`` is a question's place in it, as the one who asks sees it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from bot.core.clock import Clock, Timer
from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.errors import QueueError
from bot.core.ports import Capacity
from bot.core.wording import counted
from bot.queue.fair_queue import Bound, CapacityGate, Durations, Entry, FairQueue, Strain, in_words
from config.settings import QueueSettings


@dataclass(frozen=True, slots=True)
class Job:
    """What the queue must know of a question.

    Attributes:
        prompt_tokens: Estimated size of the prompt.
        cost_tokens: Prompt and longest answer together: what it would like of the shared pool.
        least_tokens: What it needs of the pool to begin at all; ``None`` for all of it.
        model: The model it asks for; ``None`` for whichever is loaded.
        is_prepared: Its prompt is built, so that it can begin; until then the sizes are guesses.
    """

    question_id: QuestionId
    person_id: UserId
    channel_id: ChannelId
    guild_id: GuildId | None
    prompt_tokens: int
    cost_tokens: int
    model: str | None = None
    least_tokens: int | None = None
    is_prepared: bool = True


class TicketState(Enum):
    """Where a ticket is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


class StoppedError(QueueError):
    """The question was taken out of the queue by ``Ticket.cancel``."""

    can_retry = False


class HoldExpiredError(QueueError):
    """The model's machine stayed away for longer than questions are held."""


class Ticket:
    """A place in the queue. Made by ``Scheduler.submit``.

    Attributes:
        job: What was handed in.
        state: Waiting, running, or done.
        on_change: Called when place, expected wait or being held changed, at most once a second.
        requeues: How often it was put back.
        away_since_s: Since when the model's machine is away under it, in seconds of the monotonic
            clock; ``None`` while it isn't.
        losses: How often the machine went away while it read this question.
        has_first_token: The answer's first token came; its duration then teaches expected waits.
    """

    def __init__(
        self, job: Job, scheduler: Scheduler, on_change: Callable[[Ticket], None] | None
    ) -> None:
        self.job = job
        self.state = TicketState.WAITING
        self.on_change = on_change
        self.requeues = 0
        self.away_since_s: float | None = None
        self.losses = 0
        self.granted_tokens = job.cost_tokens
        self.has_first_token = False
        self._is_resting = False
        self._is_read = False
        self._scheduler = scheduler
        loop = asyncio.get_running_loop()
        self._turn: asyncio.Future[None] = loop.create_future()
        self._near: asyncio.Future[None] = loop.create_future()

    @property
    def position(self) -> int | None:
        """Place in the queue, 1 is next; ``None`` when not waiting."""
        return self._scheduler.position_of(self)

    @property
    def expected_wait_s(self) -> float | None:
        """Expected seconds until it begins; ``None`` when not waiting, or held."""
        return self._scheduler.wait_of(self)

    @property
    def is_held(self) -> bool:
        """It waits for the model's machine to come back."""
        return self._scheduler.is_held(self)

    @property
    def is_near(self) -> bool:
        """It is, or was, so near the front that its prompt is wanted."""
        return self._near.done()

    async def near(self) -> None:
        """Wait until the prompt is wanted; ``prepared`` tells that it is built.

        Cancelling the waiting task leaves the queue.

        Raises:
            QueueError: As ``wait`` does.
        """
        await self._until(self._near)

    def prepared(self, job: Job) -> None:
        """Tell what the question is like, its prompt being built; it may begin from now on."""
        self._scheduler.prepared(self, job)

    async def wait(self) -> None:
        """Wait for the turn; then the slot is held until ``release`` or ``requeue``.

        Cancelling the waiting task leaves the queue.

        Raises:
            StoppedError: ``cancel`` was called.
            HoldExpiredError: The model's machine stayed away too long.
            QueueError: The queue was closed.
        """
        await self._until(self._turn)

    async def _until(self, moment: asyncio.Future[None]) -> None:
        try:
            await asyncio.shield(moment)
        except asyncio.CancelledError:
            self._scheduler.leave(self)
            raise

    def release(self) -> None:
        """Give the slot back; without a slot it changes nothing."""
        if self.state is TicketState.RUNNING:
            self._scheduler.leave(self)

    def cancel(self) -> bool:
        """Leave at any stage. A waiting ``wait`` raises ``StoppedError``; a slot is given back.

        Returns:
            Whether it was still waiting: then nothing was begun. Running work is its owner's to
            end.
        """
        was_waiting = self._scheduler.leave(self)
        if was_waiting:
            self.fail(StoppedError("Stopped, before I began."))
        return was_waiting

    def requeue(self) -> bool:
        """Give the slot back while the model's machine is away, and wait again; ``wait`` anew.

        It goes first of the person's questions.

        Returns:
            False where the machine was away for too long, or went away under it too often: then the
            question still has its slot, and should end.
        """
        self.losses += self._is_read
        self._is_read = False
        return self.state is TicketState.RUNNING and self._scheduler.put_back(self)

    def begin_again(self) -> None:
        """Wait for another turn; for the scheduler."""
        self.state = TicketState.WAITING
        self.requeues += 1
        self.has_first_token = self._is_resting = False
        self._turn = asyncio.get_running_loop().create_future()

    def reads(self) -> None:
        """Tell that the model has begun to read the question: its machine is there."""
        self._is_read = True
        self.away_since_s = None

    def first_token(self) -> None:
        """Tell that the answer's first token came: more may begin. Only the first call counts."""
        if not self.has_first_token:
            self.has_first_token = True
            self._scheduler.went_well(self)

    def overloaded(self) -> None:
        """Tell that the server was full or fell over: the second work in a row narrows the window."""
        self._scheduler.overloaded(self)

    def rest(self) -> None:
        """Lend the slot to others while the work only waits between two tries."""
        if not self._is_resting:
            self._is_resting = True
            self._scheduler.rests(self, is_resting=True)

    def resume(self) -> None:
        """Take the slot again, at once: for a moment one more may run than there are slots."""
        if self._is_resting:
            self._is_resting = False
            self._scheduler.rests(self, is_resting=False)

    def call_up(self) -> None:
        """Have the prompt built; for the scheduler."""
        if not self._near.done():
            self._near.set_result(None)

    def grant(self, tokens: int) -> None:
        """Let it run with so many tokens of the pool; for the scheduler."""
        self.state = TicketState.RUNNING
        self.granted_tokens = tokens
        if not self._turn.done():
            self._turn.set_result(None)

    def fail(self, error: QueueError) -> None:
        """End the waiting with an error; for the scheduler."""
        self.state = TicketState.DONE
        for moment in (self._near, self._turn):
            if not moment.done():
                moment.set_exception(error)
                # Nobody may be waiting yet; asyncio must not complain when nobody ever does.
                moment.exception()


_log = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""Seconds between looks at the queue while somebody waits; nothing ticks when nobody does."""

PROMPT_SHARE: Final = 0.1
"""What a prompt token costs, counted in written tokens: reading is about ten times as fast."""

MOST_LOSSES: Final = 3
"""How often the machine may go away while it reads one question before that is asked no more."""

RESERVES: Final = 16
"""A server's reserve is the queue's length by this number: as many of its questions wait although
others fill the queue, until it is twice as long as it should be."""

BYPASSES: Final = 12
"""How many may pass a question whose model must be loaded first, so that models don't take turns."""

AHEAD: Final = 4
"""How many questions have their prompts built beyond those that could begin, so that no slot waits
for a prompt, and those further back hold neither memory nor the event loop."""

_RESTARTING: Final = (
    "I'm restarting, so I can't take questions right now. Please try again in a minute."
)
_KEPT: Final = "I'm restarting. Your question is kept, and I'll answer it when I'm back."


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One question in the queue, for show.

    Attributes:
        job: Which one.
        for_s: How long it has waited, or has been worked on, in seconds.
        place: Its place, 1 is next; ``None`` while it is worked on.
        expected_s: Seconds until it is expected to begin; ``None`` when running or held.
        is_elsewhere: It is another process's, which uses the same slots.
    """

    job: Job
    for_s: float
    place: int | None = None
    expected_s: float | None = None
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A question of another process that uses the same slots.

    Attributes:
        job: Which one.
        member: The process's number.
        since_s: Since when this process knows that it waits, or is worked on; in seconds of the
            monotonic clock.
    """

    job: Job
    member: int
    since_s: float


class Others(Protocol):
    """The questions of other processes that use the same slots. Those that wait stand in the queue, too."""

    @property
    def waiting(self) -> dict[int, Elsewhere]:
        """Those that wait, by their keys."""
        ...

    @property
    def running(self) -> dict[int, Elsewhere]:
        """Those that are worked on, by their keys."""
        ...

    @property
    def may_use_idle_time(self) -> bool:
        """Whether nobody asks elsewhere, and it is for this process to use that time."""
        ...

    def most_running(self) -> int:
        """Return how many may run in this process now."""
        ...

    def changed(self) -> None:
        """Take note that this process's questions have changed."""
        ...

    def drop(self, key: int) -> None:
        """Take note that a question is this process's by now."""
        ...


@dataclass(frozen=True, slots=True)
class _Running:
    job: Job
    began_s: float


@dataclass(slots=True)
class _Waiting:
    ticket: Ticket
    since_s: float
    held_since_s: float | None = None
    told: tuple[int | None, int | None, bool] = (None, None, False)


class Scheduler:
    """The queue of questions.

    Call its methods from the event loop's thread. ``submit`` grants at once where there is room.

    Args:
        settings: Bounds, and how long to hold.
        clock: For waits.
        capacity: What the servers can do, asked whenever something may begin.
        is_available: Whether a server is believed to answer; nothing begins while it says no.
        is_loaded: Whether a model is in memory; questions for one that isn't let others pass.
    """

    def __init__(
        self,
        settings: QueueSettings,
        clock: Clock,
        capacity: Callable[[], Capacity],
        is_available: Callable[[], bool],
        is_loaded: Callable[[str | None], bool] = lambda _model: True,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._read_capacity = capacity
        self._read_available = is_available
        self._is_loaded = is_loaded
        self._queue = FairQueue(
            settings.max_waiting, settings.max_waiting_channel, settings.max_waiting_person
        )
        self._gate = CapacityGate()
        self._durations = Durations()
        self._waiting: dict[QuestionId, _Waiting] = {}
        self._running: dict[QuestionId, _Running] = {}
        self._was_available = True
        self._paused_until_s = clock.monotonic()
        self._bypasses = 0
        self._strain = Strain()
        self._is_closed = False
        self._ticker: Timer | None = None
        self._view: dict[int, tuple[int, float]] | None = None
        self._others: Others | None = None
        self._was_idle = True
        self._on_idle: list[Callable[[bool], None]] = []

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    @property
    def slots(self) -> int:
        """How many may run at once, by what the servers say at this moment."""
        self._gate.update(self._capacity())
        return self._gate.slots

    @property
    def working(self) -> int:
        """How many of these use a slot at the moment, and don't wait between two tries."""
        return self._gate.running

    @property
    def room(self) -> int:
        """How many could run at this moment, if the slots were for this process alone."""
        is_paused = self._clock.monotonic() < self._paused_until_s
        if self._is_closed or is_paused or not self._was_available:
            return 0
        return self._gate.slots

    @property
    def queue(self) -> FairQueue:
        """Who waits, also elsewhere."""
        return self._queue

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits or is answered, and the model's idle time is this process's."""
        is_empty = not self._waiting and not self._running
        return is_empty and (self._others is None or self._others.may_use_idle_time)

    def jobs(self) -> tuple[list[Job], list[Job]]:
        """Return who waits and who is answered in this process."""
        waiting = [each.ticket.job for each in self._waiting.values()]
        return waiting, [each.job for each in self._running.values()]

    def share(self, others: Others) -> None:
        """Use the same slots as other processes."""
        self._others = others

    @property
    def pool_tokens(self) -> int | None:
        """The context that all answers share, in tokens; ``None`` where each has its own."""
        self._gate.update(self._capacity())
        return self._gate.pool_tokens

    @property
    def used_tokens(self) -> int:
        """How much of the shared context running answers may use."""
        return self._gate.used_tokens + self._tokens_elsewhere()

    @property
    def entries(self) -> list[QueueEntry]:
        """What runs, oldest first, and then who waits, in order."""
        now_s = self._clock.monotonic()
        running = [QueueEntry(each.job, now_s - each.began_s) for each in self._running.values()]
        waiting = []
        for key, (place, wait_s) in self._look().items():
            if (own := self._waiting.get(QuestionId(key))) is not None:
                job, since_s, ticket = own.ticket.job, own.since_s, own.ticket
                waiting.append(QueueEntry(job, now_s - since_s, place, ticket.expected_wait_s))
            elif self._others is not None:
                there = self._others.waiting[key]
                for_s = now_s - there.since_s
                waiting.append(QueueEntry(there.job, for_s, place, wait_s, is_elsewhere=True))
        if self._others is not None:
            running += [
                QueueEntry(each.job, now_s - each.since_s, is_elsewhere=True)
                for each in self._others.running.values()
            ]
        return sorted(running, key=lambda each: -each.for_s) + waiting

    @property
    def mean_answer_s(self) -> float:
        """Expected duration of an answer, in seconds."""
        return self._durations.mean_s

    @property
    def newcomer_wait_s(self) -> float:
        """Expected wait of a question that is asked now, in seconds; without a model that is away."""
        if not self._queue and len(self._running_for_s()) < self.slots:
            return 0.0
        return self._waits_s(len(self._queue) + 1)[-1]

    def on_idle(self, callback: Callable[[bool], None]) -> None:
        """Call back with True when the last question has ended, and with False when one enters.

        The callback must not block and must not raise.
        """
        self._on_idle.append(callback)

    def submit(
        self,
        job: Job,
        on_change: Callable[[Ticket], None] | None = None,
        *,
        has_place: bool = False,
    ) -> Ticket:
        """Take a question into the queue.

        Args:
            job: The question.
            on_change: Called when its place, expected wait or being held changed.
            has_place: It was accepted before, or takes the place of one that was: no bound refuses it.

        Raises:
            QueueError: The queue is full or closed; the sentence says when to try again.
            ValueError: The question is in the queue already.
        """
        if self._is_closed:
            raise QueueError(_RESTARTING)
        if job.question_id in self._waiting or job.question_id in self._running:
            raise ValueError(f"question {job.question_id} is in the queue already")
        if not has_place and (sentence := self.refusal(job)):
            raise QueueError(sentence)
        if self._others is not None:
            self._others.drop(job.question_id)
        ticket = Ticket(job, self, on_change)
        self._queue.push(entry_of(job))
        self._enter(ticket)
        return ticket

    def refusal(self, job: Job) -> str:
        """Return why a new question isn't taken at the moment; empty if it is."""
        if self._is_closed:
            return _RESTARTING
        most = self._settings
        self._queue.bound(most.max_waiting, most.max_waiting_channel, most.max_waiting_person)
        bound = self._queue.full(job.person_id, job.channel_id)
        if bound is None or (bound is Bound.TOTAL and self._has_reserve(job)):
            return ""
        return self._refusal(bound, job)

    def wake(self) -> None:
        """Look at once whether something may begin; call when capacity or availability changed."""
        self._pump()
        self._tell_idle()
        self._tell()

    def close(self) -> list[Job]:
        """Take no more questions and send away those who wait; running work goes on.

        Returns:
            Those who waited, in order.
        """
        self._is_closed = True
        order = map(QuestionId, self._queue.order())
        jobs = [self._waiting[key].ticket.job for key in order if key in self._waiting]
        for job in jobs:
            self._fail(job.question_id, QueueError(_KEPT))
        if self._ticker is not None:
            self._ticker.cancel()
        return jobs

    def position_of(self, ticket: Ticket) -> int | None:
        """Return the place in the queue, 1 is next; ``None`` when not waiting."""
        seen = self._look().get(ticket.job.question_id)
        return None if seen is None else seen[0]

    def wait_of(self, ticket: Ticket) -> float | None:
        """Return the expected wait in seconds; ``None`` when not waiting or held."""
        seen = self._look().get(ticket.job.question_id)
        return None if seen is None or self.is_held(ticket) else seen[1]

    def is_held(self, ticket: Ticket) -> bool:
        """Return whether it waits for the model's machine to come back."""
        waiting = self._waiting.get(ticket.job.question_id)
        return waiting is not None and waiting.held_since_s is not None

    def prepared(self, ticket: Ticket, job: Job) -> None:
        """Take note of what is known of a question once its prompt is built: it may begin now."""
        ticket.job = job
        if ticket.state is TicketState.WAITING:
            self._queue.reprice(job.question_id, entry_of(job).cost)
            self._pump()

    def leave(self, ticket: Ticket) -> bool:
        """Take a ticket out, waiting or running; return whether it was waiting."""
        question_id = ticket.job.question_id
        was_waiting = self._waiting.pop(question_id, None) is not None
        if was_waiting:
            self._queue.remove(question_id)
        elif ticket.state is TicketState.RUNNING:
            if ticket.has_first_token:
                self._durations.learn(self._clock.monotonic() - self._running[question_id].began_s)
            self._end(question_id)
        ticket.state = TicketState.DONE
        self._fill()
        self._tell_idle()
        return was_waiting

    def put_back(self, ticket: Ticket) -> bool:
        """Put running work back to the front; nothing begins for a moment, then one by one.

        Returns:
            False where the question is held no longer; it runs on then.
        """
        now_s = self._clock.monotonic()
        if ticket.away_since_s is None:
            ticket.away_since_s = now_s
        is_late = now_s - ticket.away_since_s > self._settings.hold_s
        if is_late or ticket.losses >= MOST_LOSSES:
            return False
        self._end(ticket.job.question_id)
        ticket.begin_again()
        if self._is_closed:
            ticket.fail(QueueError(_KEPT))
            return True
        self._queue.put_back(entry_of(ticket.job))
        self._gate.ramp()
        self._paused_until_s = now_s + min(30.0, 2.0**ticket.requeues - 1.0)
        self._enter(ticket)
        return True

    def went_well(self, ticket: Ticket) -> None:
        """Note that running work has brought its first token."""
        if ticket.state is TicketState.RUNNING:
            self._gate.went_well()
            self._strain.eased()
            self._fill()

    def overloaded(self, ticket: Ticket) -> None:
        """Note that the server was full, or fell over, under running work."""
        if ticket.state is TicketState.RUNNING:
            if self._strain.is_shared(ticket.job.person_id):
                self._gate.overloaded(ticket.job.question_id)
            self._fill()

    def rests(self, ticket: Ticket, *, is_resting: bool) -> None:
        """Note that running work begins to wait between two tries, or goes on after that."""
        if ticket.state is TicketState.RUNNING:
            if is_resting:
                self._gate.end(ticket.job.question_id)
            else:
                self._gate.begin(ticket.job.question_id, ticket.granted_tokens)
            self._fill()

    def _enter(self, ticket: Ticket) -> None:
        self._waiting[ticket.job.question_id] = _Waiting(ticket, self._clock.monotonic())
        self._tell_idle()
        self._pump()
        if self._waiting and self._ticker is None:
            self._ticker = self._clock.call_later(TICK_S, self._tick)

    def _end(self, question_id: QuestionId) -> None:
        self._running.pop(question_id, None)
        self._gate.end(question_id)
        if not self._running and (self._others is None or not self._others.running):
            self._queue.forget_people()

    def _tell_idle(self) -> None:
        is_idle = self.is_idle
        if is_idle is not self._was_idle:
            self._was_idle = is_idle
            for callback in self._on_idle:
                callback(is_idle)

    def _fill(self) -> None:
        """Give room that may have come to those who wait; without them the servers aren't asked."""
        self._view = None
        if self._waiting:
            self._pump()
        elif self._others is not None:
            self._others.changed()

    def _pump(self) -> None:
        """Grant what may begin, and have built what may begin soon."""
        self._view = None
        self._gate.update(self._capacity())
        if self._may_begin():
            self._grant_all()
        for waiting in itertools.islice(self._own_ahead(), self._gate.slots + AHEAD):
            waiting.ticket.call_up()
        if self._others is not None:
            self._others.changed()

    def _call_up_another(self) -> None:
        """Have one more prompt built where a slot is free, and those being built take long."""
        has_room = self._was_available and self._gate.running < self._gate.slots
        if not has_room or next(self._prepared(), None) is not None:
            return
        tickets = (each.ticket for each in self._own_ahead())
        further = next((ticket for ticket in tickets if not ticket.is_near), None)
        if further is not None:
            further.call_up()

    def _own_ahead(self) -> Iterator[_Waiting]:
        """Yield those that wait here, in order; others' before them may have a machine that is away."""
        found = (self._waiting.get(QuestionId(key)) for key in self._queue.ahead())
        return (each for each in found if each is not None)

    def _grant_all(self) -> None:
        """Grant the fair choice, or the first whose model is loaded, a bounded number of times."""
        while (head := next(self._prepared(), None)) is not None:
            if self._others is not None and self._gate.running >= self._others.most_running():
                return
            is_alone = len(self._waiting) == 1 and not self._bypasses
            is_loaded = is_alone or self._has_model(head)
            key = head
            if not is_loaded and self._bypasses < BYPASSES:
                key = next(filter(self._has_model, self._prepared()), head)
            ticket = self._waiting[QuestionId(key)].ticket
            if not (tokens := self._room_for(ticket.job)):
                return
            if key != head:
                self._bypasses += 1
            elif not is_loaded:
                self._bypasses = 0
            self._grant(ticket, tokens)

    def _room_for(self, job: Job) -> int:
        least = job.cost_tokens if job.least_tokens is None else job.least_tokens
        elsewhere = 0 if self._others is None else self._tokens_elsewhere()
        return self._gate.room_for(job.cost_tokens, least, elsewhere)

    def _tokens_elsewhere(self) -> int:
        there = () if self._others is None else self._others.running.values()
        return sum(each.job.cost_tokens for each in there)

    def _grant(self, ticket: Ticket, tokens: int) -> None:
        question_id = ticket.job.question_id
        self._queue.take(question_id)
        del self._waiting[question_id]
        self._gate.begin(question_id, tokens)
        self._running[question_id] = _Running(ticket.job, self._clock.monotonic())
        self._view = None
        ticket.grant(tokens)

    def _prepared(self) -> Iterator[int]:
        """Yield those that can begin here, in order; whoever's prompt is being built lets others pass."""
        return (
            key
            for key in self._queue.ahead()
            if (waiting := self._waiting.get(QuestionId(key))) is not None
            and waiting.ticket.job.is_prepared
        )

    def _has_model(self, key: int) -> bool:
        return self._is_loaded(self._waiting[QuestionId(key)].ticket.job.model)

    def _may_begin(self) -> bool:
        now_s = self._clock.monotonic()
        is_available = self._read_available()
        if is_available and not self._was_available:
            self._gate.ramp()
            _log.info("the model is back; %s waiting", counted(len(self._waiting), "question"))
        elif self._was_available and not is_available:
            _log.warning("the model is away; %s waiting", counted(len(self._waiting), "question"))
        self._was_available = is_available
        for waiting in self._waiting.values():
            if is_available:
                waiting.held_since_s = None
            elif waiting.held_since_s is None:
                waiting.held_since_s = now_s
        return is_available and now_s >= self._paused_until_s

    def _capacity(self) -> Capacity:
        capacity = self._read_capacity()
        if self._settings.slots is None:
            return capacity
        return Capacity(self._settings.slots, capacity.pool_tokens)

    def _tick(self) -> None:
        self._ticker = None
        if not self._waiting:
            return
        try:
            self._pump()
            self._call_up_another()
            self._expire()
            self._tell()
        except Exception:  # noqa: BLE001 - the seam of the timer: the next look may succeed
            _log.exception("Looking at the queue failed")
        self._ticker = self._clock.call_later(TICK_S, self._tick)

    def _expire(self) -> None:
        now_s = self._clock.monotonic()
        expired = [
            question_id
            for question_id, waiting in self._waiting.items()
            if waiting.held_since_s is not None
            and now_s - waiting.held_since_s >= self._settings.hold_s
        ]
        for question_id in expired:
            hold = in_words(self._settings.hold_s)
            self._fail(
                question_id,
                HoldExpiredError(
                    f"The model's machine hasn't answered for {hold}, so I gave this question up. "
                    "Please ask again later."
                ),
            )

    def _fail(self, question_id: QuestionId, error: QueueError) -> None:
        ticket = self._waiting.pop(question_id).ticket
        self._queue.remove(question_id)
        self._view = None
        ticket.fail(error)
        self._tell_idle()

    def _look(self) -> dict[int, tuple[int, float]]:
        """Return place and expected wait of everyone who waits, worked out once per change."""
        if self._view is None:
            order = self._queue.order()
            places = zip(order, self._waits_s(len(order)), strict=True)
            self._view = {key: (index, wait) for index, (key, wait) in enumerate(places, 1)}
        return self._view

    def _waits_s(self, waiting: int) -> list[float]:
        running_for_s = self._running_for_s()
        # What runs is what fits: with somebody waiting, a free slot is kept free by the pool.
        slots = len(running_for_s) or self._gate.slots
        return self._durations.waits_s(running_for_s, slots, waiting)

    def _running_for_s(self) -> list[float]:
        now_s = self._clock.monotonic()
        began_s = [each.began_s for each in self._running.values()]
        if self._others is not None:
            began_s += [each.since_s for each in self._others.running.values()]
        return [now_s - each for each in began_s]

    def _tell(self) -> None:
        """Call those whose place, wait (in tens of seconds) or being held changed."""
        for waiting in tuple(self._waiting.values()):
            ticket = waiting.ticket
            wait_s = ticket.expected_wait_s
            rounded = None if wait_s is None else round(wait_s / 10)
            now = (ticket.position, rounded, ticket.is_held)
            if now != waiting.told:
                waiting.told = now
                self._call(ticket)

    def _call(self, ticket: Ticket) -> None:
        if ticket.on_change is None:
            return
        try:
            ticket.on_change(ticket)
        except Exception:  # noqa: BLE001 - the seam to a listener: one that fails stops no queue
            _log.exception(
                "telling question %d its place in the queue failed", ticket.job.question_id
            )

    def _refusal(self, bound: Bound, job: Job) -> str:
        if bound is Bound.PERSON:
            own = [s for key, s in self._look().items() if key in self._queue.of(job.person_id)]
            retry = in_words(min(own)[1])
            return (
                f"You already have {counted(len(own), 'question')} waiting. "
                f"Please ask again in about {retry}, when one of them has had its turn."
            )
        retry = in_words(min(self._look().values())[1])
        if bound is Bound.CHANNEL:
            return (
                "Too many questions of this channel are waiting. "
                f"Please ask again in about {retry}."
            )
        return f"Too many questions are waiting. Please ask again in about {retry}."

    def _has_reserve(self, job: Job) -> bool:
        """Return whether a server, or a person in direct messages, is let into a full queue."""
        most = self._settings.max_waiting
        jobs = [waiting.ticket.job for waiting in self._waiting.values()]
        ours = sum(_group(other) == _group(job) for other in jobs)
        return ours < max(1, most // RESERVES) and len(self._queue) < 2 * most


def _group(job: Job) -> tuple[bool, int]:
    return (True, job.person_id) if job.guild_id is None else (False, job.guild_id)


def entry_of(job: Job) -> Entry:
    """Return what stands in the queue for a question."""
    answer_tokens = max(1, job.cost_tokens - job.prompt_tokens)
    cost = answer_tokens + PROMPT_SHARE * job.prompt_tokens
    return Entry(job.question_id, job.person_id, job.channel_id, cost)
