"""Who may be worked on together after the process died under some questions."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.work_gate import ALONE_FROM, Attempt, WorkGate
from bot.core.domain import QuestionId
from tests.support.builders import question
from tests.support.chat import FakeJournal
from tests.support.clock import settle


class Bench:
    """Starts and ends pieces of work, and notes which run."""

    def __init__(self) -> None:
        self.gate = WorkGate()
        self.running: dict[int, int] = {}
        self._ends: dict[int, asyncio.Event] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, number: int, deaths: int) -> None:
        """Begin work on a question."""
        self._ends[number] = asyncio.Event()
        self._tasks[number] = asyncio.create_task(self._work(number, deaths))

    async def _work(self, number: int, deaths: int) -> None:
        async with self.gate.work(deaths):
            self.running[number] = deaths
            try:
                await self._ends[number].wait()
            finally:
                del self.running[number]

    async def finish(self, number: int) -> None:
        """End one piece of work."""
        self._ends[number].set()
        await settle()

    async def cancel(self, number: int) -> None:
        """Give one piece of work up, whether it began or not."""
        self._tasks[number].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._tasks[number]
        await settle()


async def test_ordinary_questions_are_worked_on_together() -> None:
    bench = Bench()
    for number in range(4):
        bench.begin(number, 0)
    await settle()
    assert len(bench.running) == 4


async def test_suspects_are_worked_on_one_at_a_time_beside_others() -> None:
    bench = Bench()
    for number, deaths in enumerate((1, 1, 0)):
        bench.begin(number, deaths)
    await settle()
    assert set(bench.running) == {0, 2}
    assert not bench.gate.is_open(1)
    await bench.finish(0)
    assert set(bench.running) == {1, 2}


async def test_one_that_the_process_died_under_twice_is_worked_on_alone() -> None:
    bench = Bench()
    bench.begin(0, 0)
    await settle()
    bench.begin(1, ALONE_FROM)
    bench.begin(2, 0)
    await settle()
    assert set(bench.running) == {0}
    await bench.finish(0)
    assert set(bench.running) == {1}
    await bench.finish(1)
    assert set(bench.running) == {2}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(("finish", "cancel"))), max_size=12))
def test_all_get_their_turn_and_nobody_shares_what_must_be_alone(
    works: list[tuple[int, str]],
) -> None:
    async def play() -> None:
        bench = Bench()
        for number, (deaths, _) in enumerate(works):
            bench.begin(number, deaths)
        await settle()
        left = dict(enumerate(works))
        while left:
            assert bench.running
            beside = list(bench.running.values())
            assert sum(each > 0 for each in beside) <= 1
            assert max(beside) < ALONE_FROM or len(beside) == 1
            number = next(iter(bench.running))
            _, way = left.pop(number)
            await (bench.finish(number) if way == "finish" else bench.cancel(number))

    asyncio.run(play())


@pytest.mark.parametrize(
    ("running", "open_for"),
    [
        ((), (True, True, True)),
        ((0,), (True, True, False)),
        ((1,), (True, False, False)),
        ((ALONE_FROM,), (False, False, False)),
        ((0, ALONE_FROM), (False, False, False)),
    ],
)
async def test_it_is_known_beforehand_what_could_begin_at_once(
    running: tuple[int, ...], open_for: tuple[bool, ...]
) -> None:
    bench = Bench()
    for number, deaths in enumerate(running):
        bench.begin(number, deaths)
        await settle()
    assert tuple(map(bench.gate.is_open, (0, 1, ALONE_FROM))) == open_for


async def test_an_attempt_counts_while_it_is_worked_on_and_not_while_it_waits() -> None:
    bench, journal = Bench(), FakeJournal()
    await journal.accept(question(1))
    attempt = Attempt(bench.gate, journal, QuestionId(1), deaths=0)

    def attempts() -> int:
        return journal.entries[QuestionId(1)].attempts

    await attempt.rest()
    for _ in range(2):
        async with attempt.work():
            assert attempts() == 1
    bench.begin(0, ALONE_FROM)
    await settle()
    working = asyncio.Event()

    async def work() -> None:
        async with attempt.work():
            working.set()

    waiting = asyncio.create_task(work())
    await settle()
    assert attempts() == 0
    await bench.finish(0)
    await waiting
    assert working.is_set()
    assert attempts() == 1
    for _ in range(2):
        await attempt.rest()
        assert attempts() == 0
