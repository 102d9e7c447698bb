"""The gate in front of the model: slots, pool, and how it adapts."""

from __future__ import annotations

from bot.core.ports import Capacity
from bot.queue.fair_queue import CapacityGate


def _gate(slots: int, pool_tokens: int | None = None) -> CapacityGate:
    gate = CapacityGate()
    gate.update(Capacity(slots, pool_tokens))
    return gate


def test_no_more_run_than_there_are_slots() -> None:
    gate = _gate(2)
    for key in (1, 2):
        assert gate.room_for(100, 100)
        gate.begin(key, 100)
    assert not gate.room_for(100, 100)
    gate.end(1)
    assert gate.room_for(100, 100)


def test_all_that_run_fit_the_pool_together() -> None:
    gate = _gate(4, pool_tokens=4096)
    gate.begin(1, 2548)
    assert not gate.room_for(2548, 2548)
    assert gate.room_for(1548, 1548)


def test_one_alone_always_fits() -> None:
    assert _gate(1, pool_tokens=10).room_for(5000, 5000)


def test_a_crash_halves_and_calm_brings_back() -> None:
    gate = _gate(8)
    for key in range(8):
        gate.begin(key, 1)
    gate.overloaded(0)
    assert gate.slots == 4
    for key in range(1, 8):
        gate.overloaded(key)
    assert gate.slots == 4, "those that began before the cut tell nothing new"
    for _ in range(4 + 5 + 6 + 7 + 8):
        gate.went_well()
    assert gate.slots == 8


def test_never_less_than_one() -> None:
    gate = _gate(4)
    for key in range(20):
        gate.begin(key, 1)
        gate.overloaded(key)
        gate.end(key)
    assert gate.slots == 1


def test_after_the_server_was_away_one_begins_then_two_then_all() -> None:
    gate = _gate(8)
    gate.ramp()
    seen = [gate.slots]
    for _ in range(3):
        for _ in range(gate.slots):
            gate.went_well()
        seen.append(gate.slots)
    assert seen == [1, 2, 4, 8]


def test_a_smaller_server_after_a_reload_is_obeyed() -> None:
    gate = _gate(4)
    gate.update(Capacity(2))
    assert gate.slots == 2


def test_a_full_pool_grants_what_is_left_down_to_the_least() -> None:
    """Of 8,192 tokens three take 2,148 each: the fourth gets the rest, a fifth nothing."""
    gate = _gate(8, pool_tokens=8192)
    for key in range(3):
        assert gate.room_for(2148, 1124) == 2148
        gate.begin(key, 2148)
    assert gate.room_for(2148, 1124) == 8192 - 3 * 2148
    gate.begin(3, 8192 - 3 * 2148)
    assert gate.room_for(2148, 1124) == 0


def test_beyond_the_return_of_a_server_the_window_widens_by_one_for_each_full_round() -> None:
    gate = _gate(3)
    gate.ramp()
    for _ in range(1 + 2):
        gate.went_well()
    assert gate.slots == 3
    gate.went_well()
    gate.update(Capacity(32, None))
    gate.overloaded(0)
    assert gate.slots == 16
    for _ in range(16):
        gate.went_well()
    assert gate.slots == 16
    gate.went_well()
    assert gate.slots == 17


def test_trouble_while_a_server_comes_back_ends_the_quick_widening() -> None:
    gate = _gate(8)
    gate.ramp()
    for _ in range(3):
        gate.went_well()
    gate.begin(1, 1)
    gate.overloaded(1)
    assert gate.slots == 2
    gate.went_well()
    assert gate.slots == 2
