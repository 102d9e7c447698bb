"""One line over several processes: as in one queue, whatever is asked where and in which order answers end."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cluster.slots import YIELD_S
from bot.core.ports import Capacity
from bot.queue.scheduler import Scheduler, Ticket
from tests.support.clock import FakeClock, settle
from tests.unit.cluster.processes import ROOMY, Pool, job, running

PERSONS, CHANNELS = 4, 6
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(1, PERSONS), st.integers(0, CHANNELS - 1)),  # somebody asks somewhere
        st.integers(0, 9),  # one of the answers ends
    ),
    max_size=40,
)


class OneQueue:
    """The same questions in one process."""

    def __init__(self, slots: int, clock: FakeClock) -> None:
        self.line = Scheduler(ROOMY, clock, lambda: Capacity(slots), lambda: True)
        self.tickets: dict[int, Ticket] = {}

    @property
    def running(self) -> list[int]:
        """Return the keys of those that run, in order."""
        return [key for key, ticket in self.tickets.items() if running([ticket])]

    def ask(self, key: int, person: int, channel: int) -> None:
        """Ask a question."""
        self.tickets[key] = self.line.submit(job(key, person, channel))

    def end(self, key: int) -> None:
        """Have an answer come to its end."""
        self.tickets[key].first_token()
        self.tickets[key].release()


@given(st.integers(1, 3), st.integers(1, 3), STEPS)
@settings(max_examples=60, deadline=None)
def test_the_line_of_several_processes_is_that_of_one(
    slots: int, processes: int, steps: list[tuple[int, int] | int]
) -> None:
    asyncio.run(_compare(slots, processes, steps))


async def _compare(slots: int, processes: int, steps: list[tuple[int, int] | int]) -> None:
    pool = Pool(slots, processes, clock := FakeClock())
    one = OneQueue(slots, clock)
    key = 0
    for step in steps:
        if isinstance(step, tuple):
            key += 1
            one.ask(key, *step)
            pool.processes[step[1] % processes].ask(key, *step)
            await pool.settle()
        elif one.running:
            ended = one.running[step % len(one.running)]
            one.end(ended)
            await pool.end(_tickets(pool)[ended])
        assert sorted(one.running) == _running(pool)
        for each in pool.processes:
            assert each.line.queue.order() == one.line.queue.order()
    while one.running:
        ended = one.running[0]
        one.end(ended)
        await pool.end(_tickets(pool)[ended])
        assert sorted(one.running) == _running(pool)
    assert not pool.waiting


NEWS = st.lists(
    st.one_of(
        st.tuples(st.integers(1, PERSONS), st.integers(0, CHANNELS - 1)),
        st.integers(0, 9),
        st.sampled_from(["hears", "is gone", "passes"]).flatmap(
            lambda what: st.tuples(st.just(what), st.integers(0, 2))
        ),
    ),
    max_size=40,
)


@given(st.integers(1, 3), NEWS)
@settings(max_examples=60, deadline=None)
def test_whatever_is_heard_late_no_more_run_than_there_are_slots_and_all_have_their_turn(
    slots: int, steps: list[tuple[int, int] | int | tuple[str, int]]
) -> None:
    asyncio.run(_hear_late(slots, steps))


async def _hear_late(slots: int, steps: list[tuple[int, int] | int | tuple[str, int]]) -> None:
    pool = Pool(slots, 3, FakeClock())
    key = 0
    for step in steps:
        if isinstance(step, int):
            if found := _running(pool):
                ticket = _tickets(pool)[found[step % len(found)]]
                ticket.release()
        elif isinstance(step[0], str):
            await _happen(pool, *step)
        else:
            key += 1
            pool.processes[step[1] % len(pool.processes)].ask(key, step[0], step[1])
        await settle()
        assert pool.running <= slots
    for _ in range(100):
        await pool.settle()
        await pool.clock.advance(YIELD_S)
        if not (found := _running(pool)):
            break
        _tickets(pool)[found[0]].release()
    assert not pool.waiting


async def _happen(pool: Pool, what: str, number: int) -> None:
    one = pool.processes[number % len(pool.processes)]
    if what == "hears":
        one.shared.news()
    elif what == "passes":
        await pool.clock.advance(YIELD_S * number / 2)
    elif len(pool.processes) > 1 and not one.line.running:
        pool.processes.remove(one)


def _tickets(pool: Pool) -> dict[int, Ticket]:
    return {key: ticket for each in pool.processes for key, ticket in each.tickets.items()}


def _running(pool: Pool) -> list[int]:
    return sorted(key for key, ticket in _tickets(pool).items() if running([ticket]))
