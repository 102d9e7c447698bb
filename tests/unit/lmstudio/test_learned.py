"""What is learned of a model: its speeds, what it refused, and when it is left alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import UserId
from bot.lmstudio.learned import (
    FIRST_PAUSE_S,
    FORGET_AFTER_S,
    LEAST_MEASURED,
    LONGEST_PAUSE_S,
    SHORTEST_S,
    TOGETHER_S,
    Cause,
    Circuit,
    Experience,
    LearnedCapabilities,
    PieceLength,
    ReadingSpeed,
)
from tests.support.clock import FakeClock

READS = 400.0


def settled(request_s: float, least_s: float) -> tuple[int, list[float]]:
    """Read many pieces; return how often the length is doubled then, and the speed at each length.

    Args:
        request_s: What a request takes beside reading.
        least_s: What reading takes at least, however few tokens.
    """
    lengths = PieceLength()
    tokens = [round(READS * SHORTEST_S * 2**doublings) for doublings in range(4)]
    took_s = [request_s + max(least_s, each / READS) for each in tokens]
    for _ in range(50):
        doublings = lengths.doublings(READS)
        lengths.learn(doublings, tokens[doublings], took_s[doublings])
    return lengths.doublings(READS), [n / s for n, s in zip(tokens, took_s, strict=True)]


@pytest.mark.parametrize("request_s", [0.0, 0.03, 0.1])
def test_a_question_waits_a_tenth_of_a_second_where_short_pieces_cost_little(
    request_s: float,
) -> None:
    assert settled(request_s, 0.0)[0] == 0


def test_pieces_are_longer_where_few_tokens_take_as_long_as_many() -> None:
    doublings, speeds = settled(0.02, 0.4)
    assert doublings
    assert speeds[doublings] >= READS / 2


@given(request_s=st.floats(0, 5), least_s=st.floats(0, 5))
def test_no_piece_is_longer_than_serves(request_s: float, least_s: float) -> None:
    doublings, speeds = settled(request_s, least_s)
    for shorter, longer in pairwise(speeds[: doublings + 1]):
        assert longer >= shorter * 1.49
        assert shorter <= READS / 2


@pytest.mark.parametrize(
    ("rates", "doublings"),
    [
        ({}, 0),
        ({0: 200.0}, 0),
        ({0: 199.0}, 1),
        ({0: 199.0, 1: 300.0}, 1),
        ({0: 200.0, 1: 299.0}, 0),
        ({0: 100.0, 1: 150.0, 2: 225.0}, 2),
        ({0: 100.0, 1: 150.0, 2: 224.0}, 1),
        ({0: 50.0, 1: 100.0, 2: 199.0}, 3),
        ({0: 50.0, 1: 100.0, 2: 199.0, 3: 300.0}, 3),
        ({0: 50.0, 1: 100.0, 2: 199.0, 3: 200.0}, 2),
    ],
)
def test_pieces_are_doubled_while_that_makes_them_much_faster(
    rates: dict[int, float], doublings: int
) -> None:
    lengths = PieceLength()
    for level, rate in rates.items():
        lengths.learn(level, 1000, 1000 / rate)
    assert lengths.doublings(READS) == doublings


def test_a_single_odd_measurement_of_a_piece_moves_its_speed_a_little() -> None:
    lengths = PieceLength()
    lengths.learn(0, 100, 0.25)
    for _ in range(2):
        lengths.learn(0, 100, 1.0)
    assert lengths.doublings(READS) == 0, "400, then 310, then 247 tokens a second"
    lengths.learn(0, 100, 1.0)
    assert lengths.doublings(READS) == 0
    lengths.learn(0, 100, 1.0)
    assert lengths.doublings(READS) == 1


def test_a_piece_that_took_no_time_at_all_is_a_fast_one() -> None:
    lengths = PieceLength()
    lengths.learn(0, 100, 0.0)
    assert lengths.doublings(READS) == 0


@pytest.mark.parametrize(
    ("known", "tokens", "took_s", "is_certain", "expected"),
    [
        (800.0, 1000, 10.0, False, 310.0),
        (800.0, 1800, 1.0, False, 900.0),
        (0.0, 1000, 1.0, False, 575.0),
        (0.0, 1000, 1.0, True, 1000.0),
        (0.0, 100, 1.0, False, 115.0),
        (800.0, LEAST_MEASURED - 1, 10.0, False, 800.0),
        (800.0, LEAST_MEASURED, 0.64, False, 310.0),
        (800.0, 1000, 0.0, False, 800.0),
        (800.0, 1000, 0.5, False, 920.0),
        (10.0, 100, 1000.0, False, 3.7),
        (50_000.0, 100_000, 0.01, False, 55_000.0),
    ],
)
def test_a_slower_reading_counts_at_once_and_a_faster_one_little(
    known: float, tokens: int, took_s: float, *, is_certain: bool, expected: float
) -> None:
    speed = ReadingSpeed(known)
    speed.learn(tokens, took_s, is_certain=is_certain)
    assert speed.tokens_per_s == pytest.approx(expected)


def test_how_long_a_prompt_takes_follows_from_its_tokens() -> None:
    assert ReadingSpeed().expected_s(300) == 2.0
    assert ReadingSpeed(100.0).expected_s(-5) == 0


def learned(clock: FakeClock) -> LearnedCapabilities:
    return LearnedCapabilities(Circuit(clock))


def test_what_holds_while_a_model_stays_loaded_is_kept_over_a_restart(clock: FakeClock) -> None:
    before, after = learned(clock), learned(clock)
    before.speed.learn(4000, 5, is_certain=True)
    before.load_s, before.folds_system, before.takes_effort = 40.0, True, True
    before.reasoning_field = "reasoning"
    before.refused_fields |= {"stream_options", "reasoning_effort"}
    before.is_blind, before.cache_misses, before.context_tokens = True, 3, 2048
    assert before.dump() == Experience(
        reads=800.0,
        load_s=40.0,
        folds_system=True,
        refused=("reasoning_effort", "stream_options"),
        takes_effort=True,
        reasoning_field="reasoning",
    )
    after.restore(before.dump())
    assert after.dump() == before.dump()
    assert (after.is_blind, after.cache_misses, after.context_tokens) == (False, 0, None)


def test_nothing_learned_is_kept_as_nothing(clock: FakeClock) -> None:
    fresh, after = learned(clock), learned(clock)
    assert fresh.dump() == Experience()
    after.restore(fresh.dump())
    assert not after.speed.is_known
    assert (after.load_s, after.folds_system, after.takes_effort) == (None, False, False)


def test_what_was_learned_in_this_run_stands_over_what_is_stored(clock: FakeClock) -> None:
    now = learned(clock)
    now.speed.learn(4000, 5, is_certain=True)
    now.load_s, now.folds_system, now.takes_effort = 40.0, True, True
    now.restore(Experience(reads=10.0, load_s=5.0))
    assert (now.speed.tokens_per_s, now.load_s) == (800.0, 40.0)
    assert now.folds_system
    assert now.takes_effort


@pytest.mark.parametrize(
    ("saved", "reads", "load_s"),
    [
        (Experience(reads=100_000.0, load_s=3600.0), 100_000.0, 3600.0),
        (Experience(reads=100_001.0, load_s=3601.0), 150.0, None),
        (Experience(reads=0.5, load_s=0.5), 0.5, 0.5),
        (Experience(reads=-1.0, load_s=-1.0), 150.0, None),
        (Experience(reasoning_field="content"), 150.0, None),
    ],
)
def test_what_is_stored_wrongly_teaches_nothing(
    saved: Experience, reads: float, load_s: float | None, clock: FakeClock
) -> None:
    after = learned(clock)
    after.restore(saved)
    assert (after.speed.tokens_per_s, after.load_s) == (reads, load_s)
    assert (after.folds_system, after.takes_effort, after.reasoning_field) == (False, False, "")
    assert after.refused_fields == set()


def test_no_more_fields_are_taken_from_what_is_stored_than_there_may_be(clock: FakeClock) -> None:
    after = learned(clock)
    after.restore(Experience(refused=tuple(map(str, range(20)))))
    assert after.refused_fields == set(map(str, range(8)))


def fail(circuit: Circuit, *numbers: int) -> None:
    """Fail with questions that have nothing in common."""
    for number in numbers:
        circuit.fail(Cause(f"conversation {number}", number, UserId(number)))


@pytest.mark.parametrize(
    ("gaps_s", "state"),
    [
        ((TOGETHER_S + 0.1, TOGETHER_S + 0.1), "open"),
        ((TOGETHER_S, TOGETHER_S + 0.1), "closed"),
        ((FORGET_AFTER_S, FORGET_AFTER_S), "open"),
        ((2.0, FORGET_AFTER_S + 0.1), "closed"),
        ((FORGET_AFTER_S + 0.1, 2.0), "closed"),
        ((FORGET_AFTER_S + 0.1, 2.0, 2.0), "open"),
    ],
)
async def test_three_failures_apart_but_not_long_ago_open_a_circuit(
    gaps_s: tuple[float, ...], state: str, clock: FakeClock
) -> None:
    circuit = Circuit(clock)
    fail(circuit, 0)
    for number, gap_s in enumerate(gaps_s, 1):
        await clock.advance(gap_s)
        fail(circuit, number)
    assert circuit.state == state


async def test_a_success_between_failures_begins_their_count_anew(clock: FakeClock) -> None:
    circuit = Circuit(clock)
    for number in range(6):
        fail(circuit, number)
        await clock.advance(2)
        if number % 2:
            circuit.succeed()
    assert circuit.state == "closed"


async def test_each_pause_is_twice_as_long_up_to_a_bound_and_a_success_ends_that(
    clock: FakeClock,
) -> None:
    circuit = Circuit(clock)
    pauses_s = []
    for _ in range(7):
        circuit.open()
        assert circuit.open_until_s is not None
        pauses_s.append(circuit.open_until_s - clock.monotonic())
        await clock.advance(pauses_s[-1])
    assert pauses_s == [15, 30, 60, 120, 240, 300, LONGEST_PAUSE_S]
    circuit.succeed()
    circuit.open()
    assert circuit.open_until_s == clock.monotonic() + FIRST_PAUSE_S


def may_go(circuit: Circuit) -> bool:
    """Return what a circuit says now; mypy believes that an attribute stays as it is."""
    return circuit.allows


async def test_a_trial_is_one_request_while_half_open(clock: FakeClock) -> None:
    circuit = Circuit(clock, 5.0)
    circuit.begin()
    assert may_go(circuit)
    circuit.open()
    assert not may_go(circuit)
    await clock.advance(5)
    assert may_go(circuit)
    circuit.begin()
    assert not may_go(circuit)
    fail(circuit, 1)
    assert circuit.state == "open"
    await clock.advance(10)
    assert may_go(circuit), "the failed trial has ended"
    circuit.begin()
    circuit.succeed()
    assert may_go(circuit)
    circuit.open()
    await clock.advance(5)
    assert may_go(circuit), "no trial goes on from before"


async def test_a_failure_that_was_no_trial_keeps_no_circuit_open(clock: FakeClock) -> None:
    circuit = Circuit(clock, 5.0)
    circuit.open()
    await clock.advance(5)
    fail(circuit, 1)
    assert circuit.state == "half-open"


@pytest.mark.parametrize("alike", ["conversation", "question", "person_id"])
async def test_failures_that_have_one_thing_in_common_open_no_circuit(
    alike: str, clock: FakeClock
) -> None:
    circuit = Circuit(clock)
    for number in range(6):
        cause = Cause(f"conversation {number}", number, UserId(number))
        same = {"conversation": "one", "question": 1, "person_id": UserId(1)}
        circuit.fail(replace(cause, **{alike: same[alike]}))  # type: ignore[arg-type]
        await clock.advance(2)
    assert circuit.state == "closed"
