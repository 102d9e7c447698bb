"""The circuit breaker, the probe loop, deadlines and retries, on a clock that stands still."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.clock import within
from bot.core.domain import UserId
from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.learned import Cause, Circuit, ReadingSpeed
from bot.lmstudio.nodes import watch_server
from bot.lmstudio.recovery import Retries
from bot.lmstudio.transport import first_token_patience_s
from tests.support.clock import FakeClock, settle


def cause(number: int) -> Cause:
    """Return a question of its own, in a conversation of its own, of somebody else."""
    return Cause(f"conversation {number}", number, UserId(number))


async def test_a_circuit_opens_on_the_third_failure_and_lets_one_trial_through(
    clock: FakeClock,
) -> None:
    circuit = Circuit(clock)
    for number in range(2):
        circuit.fail(cause(number))
        await clock.advance(2)
    assert str(circuit.state) == "closed"
    circuit.fail(cause(2))
    assert str(circuit.state) == "open"
    assert not can_go(circuit)
    await clock.advance(15)
    assert str(circuit.state) == "half-open"
    circuit.begin()
    assert not can_go(circuit)
    circuit.fail(cause(3))
    await clock.advance(15)
    assert str(circuit.state) == "open"
    await clock.advance(15)
    assert can_go(circuit)
    circuit.begin()
    circuit.succeed()
    assert str(circuit.state) == "closed"
    circuit.fail(cause(4))
    assert str(circuit.state) == "closed"


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=30),
    st.sampled_from(["question", "conversation", "moment", "person"]),
)
async def test_failures_that_only_one_question_or_person_has_never_open_a_circuit(
    failures: list[tuple[int, int, bool]], alike: str
) -> None:
    clock = FakeClock()
    circuit = Circuit(clock)
    for conversation, question, passes in failures:
        if passes and alike != "moment":
            await clock.advance(10)
        circuit.fail(
            Cause(
                "c" if alike == "conversation" else f"c{conversation}",
                0 if alike == "question" else question,
                UserId(0 if alike == "person" else question),
            )
        )
    assert str(circuit.state) == "closed"


async def test_who_opened_a_circuit_cant_keep_it_open_for_the_others(clock: FakeClock) -> None:
    circuit = Circuit(clock)
    for number in range(3):
        circuit.fail(cause(number))
        await clock.advance(2)
    await clock.advance(15)
    for number in range(20):
        circuit.begin()
        circuit.fail(Cause(f"another {number}", number, UserId(number % 3)))
        circuit.end()
        assert can_go(circuit)
        await clock.advance(2)
    circuit.begin()
    circuit.fail(cause(3))
    assert not can_go(circuit)


async def test_a_trial_that_was_cancelled_leaves_room_for_the_next(clock: FakeClock) -> None:
    circuit = Circuit(clock)
    circuit.open()
    await clock.advance(15)
    circuit.begin()
    circuit.end()
    assert can_go(circuit)


async def test_a_server_that_is_down_is_probed_with_growing_pauses(clock: FakeClock) -> None:
    probes: list[float] = []
    is_up = False

    async def probe() -> bool:
        probes.append(clock.monotonic())
        return is_up

    look_again = asyncio.Event()
    task = asyncio.create_task(watch_server(probe, clock, 15.0, look_again))
    await clock.advance(300)
    gaps = [later - sooner for sooner, later in itertools.pairwise(probes)]
    assert 1 <= gaps[0] <= 1.2
    assert gaps[:5] == sorted(gaps[:5])
    assert max(gaps) <= 36
    asked = len(probes)
    look_again.set()
    await settle()
    assert len(probes) == asked + 1
    is_up = True
    await clock.advance(40)
    probes.clear()
    await clock.advance(60)
    assert len(probes) == 4
    is_up = False
    probes.clear()
    await clock.advance(17)
    assert probes[1] - probes[0] <= 1.2, "the pauses begin anew"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_work_that_takes_too_long_is_ended(clock: FakeClock) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(within(clock, work(), 5))
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.2)
    with pytest.raises(TimeoutError):
        await task
    assert ended.is_set()


@given(st.lists(st.tuples(st.integers(0, 100_000), st.floats(0, 1000)), max_size=30))
def test_a_reading_speed_stays_a_speed(measurements: list[tuple[int, float]]) -> None:
    speed = ReadingSpeed()
    for tokens, seconds in measurements:
        speed.learn(tokens, seconds)
    assert speed.tokens_per_s >= 1
    assert speed.expected_s(1000) <= 1000


def test_a_slow_machine_is_learned_at_once_and_a_warm_cache_hardly() -> None:
    speed = ReadingSpeed()
    speed.learn(4000, 80)
    assert speed.tokens_per_s < 90
    before = speed.tokens_per_s
    speed.learn(4000, 0.5)
    assert speed.tokens_per_s < before * 20


def test_patience_grows_with_prompt_queue_and_loading() -> None:
    plain = first_token_patience_s(180, 10)
    assert plain == 180
    assert first_token_patience_s(180, 200) == 400
    assert first_token_patience_s(180, 200, queued=1) == 800
    assert first_token_patience_s(180, 10, is_loading=True) == 360


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (errors.ServerRefusedError(), 4),
        (errors.DisconnectedError(), 2),
        (errors.ModelUnloadedError(), 3),
        (errors.ModelCrashedError(), 3),
        (errors.PoolFullError(), 3),
        (errors.ComputeError(), 2),
        (errors.ChannelError(), 2),
        (errors.ServerFaultError(), 3),
        (errors.TruncatedStreamError(), 2),
        (errors.AuthenticationError(), 1),
        (errors.ModelNotFoundError(), 1),
        (errors.LoadFailedError(), 1),
        (errors.WrongEndpointError(), 1),
        (errors.ContextOverflowError(), 1),
        (errors.FirstTokenTimeoutError(), 1),
        (errors.StalledError(), 1),
        (errors.TotalTimeoutError(), 1),
    ],
    ids=str,
)
async def test_each_failure_has_its_number_of_tries(
    failure: BackendError, tries: int, clock: FakeClock
) -> None:
    assert len(await times_tried(clock, failure, attempts=3, budget_s=60)) == tries


async def test_the_budget_bounds_the_waiting(clock: FakeClock) -> None:
    times = await times_tried(clock, errors.ServerRefusedError(), attempts=10, budget_s=20)
    assert times[-1] - times[0] <= 20
    assert len(times) == 5


async def test_a_busy_server_is_asked_when_it_says(clock: FakeClock) -> None:
    times = await times_tried(clock, errors.BusyError(12), attempts=1, budget_s=60)
    assert times[1] - times[0] >= 12


async def times_tried(
    clock: FakeClock, failure: BackendError, *, attempts: int, budget_s: float
) -> list[float]:
    """Fail until the policy gives up; return when each try was made."""
    times: list[float] = []

    retries = Retries(attempts=attempts, budget_s=budget_s)

    async def tried() -> None:
        while True:
            times.append(clock.monotonic())
            await clock.sleep(retries.after(failure))

    task = asyncio.create_task(tried())
    await clock.advance(400)
    with pytest.raises(type(failure)):
        await task
    return times


def can_go(circuit: Circuit) -> bool:
    """Look anew, whatever was seen before."""
    return circuit.allows


async def test_a_probe_that_fails_unexpectedly_does_not_end_the_looking(clock: FakeClock) -> None:
    looks = 0

    async def probe() -> bool:
        nonlocal looks
        looks += 1
        raise ValueError("a list of models that nobody expected")

    watching = asyncio.create_task(watch_server(probe, clock, 10.0, asyncio.Event()))
    await clock.advance(60)
    assert looks > 3
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
