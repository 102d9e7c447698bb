"""The scheduler under any sequence of events: nobody is lost, nothing overflows."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.core.domain import ChannelId, QuestionId, UserId
from bot.core.errors import QueueError
from bot.core.ports import Capacity
from bot.queue.scheduler import AHEAD, Job, Scheduler, Ticket, TicketState
from config.settings import QueueSettings
from tests.support.clock import FakeClock, settle

POOL = 3000
HOLD_S = 100.0
WHICH = st.integers(0, 30)


def is_being_built(ticket: Ticket) -> bool:
    """Return whether the line waits for a question's prompt."""
    return ticket.state is TicketState.WAITING and ticket.is_near and not ticket.job.is_prepared


class SchedulerMachine(RuleBasedStateMachine):
    """Each question has a task that waits for its turn; the machine ends and disturbs them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.numbers = itertools.count(1)
        self.tickets: list[Ticket] = []
        self.waits: dict[Ticket, asyncio.Task[None]] = {}
        self.slots = 2
        self.is_up = True
        self.clock: FakeClock
        self.scheduler: Scheduler

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        self.clock = FakeClock()
        self.scheduler = Scheduler(
            QueueSettings(max_waiting=8, max_waiting_person=4, hold_s=HOLD_S),
            self.clock,
            lambda: Capacity(self.slots, POOL),
            lambda: self.is_up,
        )

    @rule(
        person=st.integers(1, 3),
        tokens=st.sampled_from([500, 1500, 9000]),
        is_prepared=st.booleans(),
    )
    def submit(self, person: int, tokens: int, is_prepared: bool) -> None:
        self.run(self._submit(person, tokens, is_prepared=is_prepared))

    async def _submit(self, person: int, tokens: int, *, is_prepared: bool) -> None:
        number = next(self.numbers)
        job = Job(
            QuestionId(number),
            UserId(person),
            ChannelId(person % 2),
            None,
            100,
            tokens,
            is_prepared=is_prepared,
        )
        waiting = self.scheduler.waiting
        try:
            ticket = self.scheduler.submit(job)
        except QueueError:
            assert waiting >= 4
            return
        self.tickets.append(ticket)
        await self._wait(ticket)

    async def _wait(self, ticket: Ticket) -> None:
        self.waits[ticket] = asyncio.create_task(ticket.wait())
        await settle()

    @rule(which=WHICH, tokens=st.sampled_from([600, 2000]))
    def build_a_prompt(self, which: int, tokens: int) -> None:
        building = [ticket for ticket in self.tickets if is_being_built(ticket)]
        if building:
            self.run(self._build(building[which % len(building)], tokens))

    async def _build(self, ticket: Ticket, tokens: int) -> None:
        ticket.prepared(replace(ticket.job, cost_tokens=tokens, is_prepared=True))
        await settle()

    def _pick(self, which: int, state: TicketState) -> Ticket | None:
        found = [ticket for ticket in self.tickets if ticket.state is state]
        return found[which % len(found)] if found else None

    @rule(which=WHICH, is_answered=st.booleans())
    def finish(self, which: int, is_answered: bool) -> None:
        ticket = self._pick(which, TicketState.RUNNING)
        if ticket is not None:
            self.run(self._finish(ticket, is_answered))

    async def _finish(self, ticket: Ticket, is_answered: bool) -> None:
        if is_answered:
            ticket.first_token()
            await self.clock.advance(3)
        else:
            ticket.overloaded()
        ticket.release()
        await settle()

    @rule(which=WHICH, state=st.sampled_from([TicketState.WAITING, TicketState.RUNNING]))
    def cancel(self, which: int, state: TicketState) -> None:
        ticket = self._pick(which, state)
        if ticket is not None:
            self.run(self._cancel(ticket))

    async def _cancel(self, ticket: Ticket) -> None:
        before = self.scheduler.waiting + self.scheduler.running
        ticket.cancel()
        assert self.scheduler.waiting + self.scheduler.running == before - 1
        await settle()

    @rule(which=WHICH)
    def leave_by_cancelling_the_task(self, which: int) -> None:
        ticket = self._pick(which, TicketState.WAITING)
        if ticket is not None:
            self.run(self._cancel_task(ticket))

    async def _cancel_task(self, ticket: Ticket) -> None:
        self.waits[ticket].cancel()
        await settle()

    @rule(which=WHICH)
    def put_back(self, which: int) -> None:
        ticket = self._pick(which, TicketState.RUNNING)
        if ticket is not None:
            self.run(self._put_back(ticket))

    async def _put_back(self, ticket: Ticket) -> None:
        ticket.requeue()
        await self._wait(ticket)

    @rule(is_up=st.booleans(), slots=st.integers(1, 4))
    def the_server_changes(self, is_up: bool, slots: int) -> None:
        self.is_up, self.slots = is_up, slots

    @rule(seconds=st.sampled_from([1, 40, 101]))
    def time_passes(self, seconds: int) -> None:
        self.run(self.clock.advance(seconds))

    @invariant()
    def everyone_is_somewhere_exactly_once(self) -> None:
        states = [ticket.state for ticket in self.tickets]
        if not states:
            return
        assert states.count(TicketState.WAITING) == self.scheduler.waiting
        assert states.count(TicketState.RUNNING) == self.scheduler.running
        places = [ticket.position for ticket in self.tickets if ticket.position is not None]
        assert sorted(places) == list(range(1, self.scheduler.waiting + 1))
        for ticket, task in self.waits.items():
            assert task.done() is (ticket.state is not TicketState.WAITING)

    @invariant()
    def only_what_is_prepared_runs(self) -> None:
        running = [t for t in self.tickets if t.state is TicketState.RUNNING]
        assert all(ticket.job.is_prepared for ticket in running)

    @invariant()
    def the_first_in_line_have_their_prompts_built(self) -> None:
        near = [t for t in self.tickets if t.position is not None and t.position <= AHEAD]
        assert all(ticket.is_near for ticket in near)

    @invariant()
    def what_runs_fits_the_pool(self) -> None:
        running = [t.granted_tokens for t in self.tickets if t.state is TicketState.RUNNING]
        assert sum(running) <= POOL or len(running) == 1
        assert len(running) <= 4

    def teardown(self) -> None:
        """With the server up and every answer given, all that wait get their turn."""
        if hasattr(self, "scheduler"):
            self.is_up = True
            self.run(self._serve_all())
        self.runner.close()

    async def _serve_all(self) -> None:
        for _ in range(200):
            await self.clock.advance(31)
            for ticket in self.tickets:
                ticket.release()
                if is_being_built(ticket):
                    await self._build(ticket, 600)
        assert self.scheduler.waiting == 0
        for task in self.waits.values():
            if not task.cancelled():
                task.exception()


SchedulerMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None
)
TestScheduler = SchedulerMachine.TestCase
