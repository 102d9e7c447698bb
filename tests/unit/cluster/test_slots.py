"""The model's slots among several processes that ask for them at the same time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.cluster.slots import SharedSlots
from bot.core.domain import ChannelId, GuildId, QuestionId, UserId
from bot.core.errors import StoreError
from bot.core.ports import Capacity
from bot.queue.scheduler import Job, Scheduler, Ticket
from bot.storage.shares import Member, Sight
from config.settings import QueueSettings
from tests.support.clock import FakeClock, settle


class Pool:
    """All slots, and who holds them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.processes: list[Process] = []

    @property
    def running(self) -> int:
        return sum(each.line.running for each in self.processes)

    async def settle(self) -> None:
        """Let every process look as often as it may take until nothing changes."""
        for _ in range(6):
            for each in self.processes:
                each.shared.look()
                await settle()
                assert self.running <= self.most


class Process:
    """One process: its line, and its part."""

    def __init__(self, pool: Pool, clock: FakeClock) -> None:
        self.number = len(pool.processes) + 1
        self.slots: frozenset[int] = frozenset()
        self.is_away = False
        self.member = Member(self.number)
        self._pool = pool
        self._asked = 0
        self.line = Scheduler(QueueSettings(), clock, lambda: Capacity(pool.most), lambda: True)
        self.shared = SharedSlots(self, self.line, lambda: pool.most, clock.monotonic)
        self.line.bound(self.shared.look)
        pool.processes.append(self)

    @property
    def sight(self) -> Sight:
        others = [each for each in self._pool.processes if each is not self]
        return Sight(self.member, tuple(replace(each.member, slots=each.slots) for each in others))

    @property
    def is_alone(self) -> bool:
        return len(self._pool.processes) == 1

    async def take_slot(self, most: int) -> bool:
        if self.is_away:
            raise StoreError("away")
        taken = {slot for each in self._pool.processes for slot in each.slots}
        free = set(range(most)) - taken
        self.slots |= frozenset(sorted(free)[:1])
        return bool(free)

    async def free_slots(self, count: int) -> None:
        self.slots -= frozenset(sorted(self.slots)[-count:])

    async def want_slots(self, people: int, *, is_short: bool) -> None:
        self.member = Member(self.number, slots=self.slots, people=people, is_short=is_short)

    def ask(self, people: int) -> list[Ticket]:
        """Have so many people ask one question each."""
        tickets = []
        for _ in range(people):
            self._asked += 1
            number = 1_000 * self.number + self._asked
            job = Job(QuestionId(number), UserId(number), ChannelId(1), GuildId(1), 10, 20)
            tickets.append(self.line.submit(job))
        return tickets


def running(tickets: list[Ticket]) -> list[Ticket]:
    return [each for each in tickets if each.state.value == "running"]


async def test_one_process_alone_has_all_slots(clock: FakeClock) -> None:
    pool = Pool(4)
    busy = Process(pool, clock)
    Process(pool, clock)
    asked = busy.ask(6)
    await pool.settle()
    assert len(running(asked)) == 4


async def test_one_that_never_saw_another_goes_on_without_the_database(clock: FakeClock) -> None:
    pool = Pool(4)
    alone = Process(pool, clock)
    alone.is_away = True
    asked = alone.ask(6)
    await pool.settle()
    assert len(running(asked)) == 4


async def test_one_among_others_begins_nothing_without_the_database(clock: FakeClock) -> None:
    pool = Pool(4)
    cut_off = Process(pool, clock)
    Process(pool, clock)
    cut_off.is_away = True
    asked = cut_off.ask(6)
    await pool.settle()
    assert not running(asked)


async def test_another_process_gets_a_slot_with_the_next_answer_that_ends(clock: FakeClock) -> None:
    pool = Pool(4)
    busy, quiet = Process(pool, clock), Process(pool, clock)
    flood = busy.ask(20)
    await pool.settle()
    (one,) = quiet.ask(1)
    await pool.settle()
    assert not running([one])
    running(flood)[0].release()
    await pool.settle()
    assert running([one])
    assert len(running(flood)) == 3


async def test_slots_are_shared_out_by_how_many_people_ask(clock: FakeClock) -> None:
    pool = Pool(8)
    many, few = Process(pool, clock), Process(pool, clock)
    flood = many.ask(30)
    await pool.settle()
    some = few.ask(10)
    for _ in range(8):
        await pool.settle()
        if ended := running(flood)[:1]:
            ended[0].release()
            flood += many.ask(1)
    await pool.settle()
    assert (len(running(flood)), len(running(some))) == (6, 2)


@pytest.mark.parametrize("processes", [2, 3, 5])
async def test_processes_that_outnumber_the_slots_take_turns(
    clock: FakeClock, processes: int
) -> None:
    pool = Pool(1)
    asked = [Process(pool, clock).ask(4) for _ in range(processes)]
    order: list[int] = []
    for _ in range(40 * processes):
        await pool.settle()
        for number, tickets in enumerate(asked):
            for ticket in running(tickets):
                order.append(number)
                ticket.release()
                break
        await clock.advance(1.5)
    assert len(order) == 4 * processes
    assert sorted(order[:processes]) == list(range(processes))
