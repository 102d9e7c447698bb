"""The model's idle time: who gets it, how much of it, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.tasks import end_tasks
from bot.idle.owner import LOOK_S, MOST_S, PAUSE_S, SETTLE_S, SHARE, IdleTime, IdleWork
from bot.lmstudio.errors import BackendUnavailableError
from config.settings import ContextSettings
from tests.support.clock import FakeClock, settle


class Work:
    """A work of so many pieces.

    Attributes:
        pieces: How many there are still.
        done: Begun and ended pieces, as clock times of their ends.
        cancelled: Pieces that were ended early.
    """

    def __init__(self, clock: FakeClock, pieces: int, piece_s: float = 1.0) -> None:
        self.clock = clock
        self.pieces = pieces
        self.piece_s = piece_s
        self.failure: Exception | None = None
        self.done: list[float] = []
        self.cancelled = 0

    async def step(self) -> bool:
        if self.failure is not None:
            raise self.failure
        if not self.pieces:
            return False
        try:
            await self.clock.sleep(self.piece_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.pieces -= 1
        self.done.append(self.clock.monotonic())
        return True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Rig:
    """Runs owners of idle time, and ends them."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def run(self, clock: FakeClock, *works: IdleWork) -> IdleTime:
        idle = IdleTime(clock, ContextSettings())
        self.tasks.append(asyncio.get_running_loop().create_task(idle.run(works)))
        return idle


@pytest.fixture
async def rig() -> AsyncGenerator[Rig, None]:
    made = Rig()
    yield made
    await end_tasks(*made.tasks)


async def test_nothing_is_begun_right_after_a_question(clock: FakeClock, rig: Rig) -> None:
    work = Work(clock, 3)
    rig.run(clock, work)
    await clock.advance(SETTLE_S + 0.9)
    assert not work.done
    await clock.advance(3)
    assert len(work.done) == 3


async def test_a_question_ends_the_piece_at_once_and_the_work_goes_on_after_it(
    clock: FakeClock, rig: Rig
) -> None:
    work = Work(clock, 2)
    idle = rig.run(clock, work)
    await clock.advance(SETTLE_S + 0.5)
    idle.set_idle(False)
    await settle()
    assert work.cancelled == 1
    await clock.advance(600)
    assert not work.done
    idle.set_idle(True)
    await clock.advance(SETTLE_S + 2)
    assert len(work.done) == 2


async def test_the_first_work_that_has_something_to_do_goes_first(
    clock: FakeClock, rig: Rig
) -> None:
    first, second = Work(clock, 2), Work(clock, 2)
    rig.run(clock, first, second)
    await clock.advance(SETTLE_S + 4)
    assert max(first.done) < min(second.done)


async def test_work_that_turns_up_is_begun_when_that_is_told(clock: FakeClock, rig: Rig) -> None:
    work = Work(clock, 0)
    idle = rig.run(clock, work)
    await clock.advance(SETTLE_S + 1)
    work.pieces = 1
    idle.wake()
    await clock.advance(SETTLE_S + 1)
    assert len(work.done) == 1


@pytest.mark.parametrize("failure", [BackendUnavailableError("away"), RuntimeError("a fault")])
async def test_a_failure_pauses_all_work_for_a_while(
    clock: FakeClock, rig: Rig, failure: Exception
) -> None:
    failing, other = Work(clock, 1), Work(clock, 1)
    failing.failure = failure
    rig.run(clock, failing, other)
    await clock.advance(SETTLE_S + PAUSE_S - 2)
    assert not other.done
    failing.failure = None
    await clock.advance(2 * LOOK_S)
    assert failing.done
    assert other.done


@given(st.lists(st.tuples(st.floats(0.1, 30), st.booleans()), max_size=12), st.floats(0.1, 20))
async def test_idle_work_takes_no_more_than_its_share_whatever_happens(
    moves: list[tuple[float, bool]], piece_s: float
) -> None:
    clock, rig = FakeClock(), Rig()
    work = Work(clock, 1_000_000, piece_s)
    idle = rig.run(clock, work)
    began_s = clock.monotonic()
    for delay_s, is_idle in moves:
        await clock.advance(delay_s)
        idle.set_idle(is_idle)
    idle.set_idle(True)
    await clock.advance(300)
    passed_s = clock.monotonic() - began_s
    assert len(work.done) * piece_s <= MOST_S + SHARE * passed_s + piece_s
    await end_tasks(*rig.tasks)
