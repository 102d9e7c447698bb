"""The governor's pauses: bounded both ways, and never over the log-in budget."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.gateway.reconnect import DAY, LONGEST_PAUSE_S, STABLE_S, Governor, IdentifyTurns
from tests.support.clock import FakeClock


class InstantClock(FakeClock):
    """Sleeping moves the time instead of waiting for the test to do so."""

    async def sleep(self, delay_s: float) -> None:
        await self.advance(delay_s)


def governor(clock: FakeClock, **options: Any) -> Governor:
    values: dict[str, Any] = {"identifies_per_day": 200, "rng": random.Random(1), **options}
    return Governor(clock, **values)


async def test_500_resumable_closes_make_at_most_30_connections_a_minute() -> None:
    clock = InstantClock()
    pacer = governor(clock)
    times: list[float] = []
    for _ in range(500):
        await pacer.before_connect(identify=False)
        times.append(clock.monotonic())
        pacer.established()
        pacer.ended()
    busiest = max(sum(1 for t in times if start <= t < start + 60) for start in times)
    assert busiest <= 30


async def test_a_single_drop_is_resumed_without_a_pause() -> None:
    pacer = governor(InstantClock())
    await pacer.before_connect(identify=True)
    await pacer.identified()
    pacer.established()
    pacer.ended()
    assert pacer.pause_s(identify=False) == 0


@pytest.mark.parametrize("limit", [200, 20])
async def test_endless_invalid_sessions_stay_within_the_budget_of_a_day(limit: int) -> None:
    clock = InstantClock()
    saved: list[datetime] = []

    async def count(login: datetime) -> list[datetime]:
        saved[:] = [time for time in (*saved, login) if time > login - DAY]
        return saved

    pacer = governor(clock, identifies_per_day=limit, count=count)
    identifies: list[datetime] = []
    end = clock.now() + timedelta(hours=48)
    while clock.now() < end:
        await pacer.before_connect(identify=True)
        await pacer.identified()
        identifies.append(clock.now())
        pacer.ended()
    for start in identifies:
        assert sum(1 for t in identifies if start <= t < start + DAY) <= limit
    assert len(saved) <= limit


async def test_the_budget_holds_over_a_restart() -> None:
    clock = InstantClock()
    spent = [clock.now() - timedelta(hours=1)] * 200
    pacer = governor(clock, past_identifies=spent)
    assert pacer.pause_s(identify=True) == pytest.approx(23 * 3600 + 1)
    assert pacer.pause_s(identify=False) == 0


async def test_log_ins_from_a_clock_that_was_ahead_do_not_count() -> None:
    clock = InstantClock()
    spent = [clock.now() + timedelta(days=3650)] * 200
    assert governor(clock, past_identifies=spent).pause_s(identify=True) == 0


async def test_a_dead_network_is_tried_again_within_a_minute() -> None:
    pacer = governor(InstantClock())
    for _ in range(50):
        pacer.ended()
        assert 0 < pacer.pause_s(identify=False) <= LONGEST_PAUSE_S


async def test_discords_own_count_can_hold_a_log_in_back() -> None:
    pacer = governor(InstantClock())
    pacer.block_identify(600)
    assert pacer.pause_s(identify=True) == pytest.approx(600)
    assert pacer.pause_s(identify=False) == 0


@pytest.mark.parametrize(("lasts_s", "is_paused"), [(STABLE_S - 1, True), (STABLE_S, False)])
async def test_only_a_session_that_lasted_ends_the_pauses_between_log_ins(
    lasts_s: float, *, is_paused: bool
) -> None:
    clock = InstantClock()
    pacer = governor(clock)
    for _ in range(8):
        await pacer.before_connect(identify=True)
        await pacer.identified()
        pacer.ended()
    await pacer.before_connect(identify=True)
    await pacer.identified()
    pacer.established()
    await clock.advance(lasts_s)
    pacer.ended()
    assert (pacer.pause_s(identify=True) > 0) is is_paused


async def test_shards_share_the_log_ins_of_a_day_and_nothing_else() -> None:
    clock = InstantClock()
    first = governor(clock, identifies_per_day=2)
    second = first.beside()
    await first.identified()
    first.failed()
    assert second.pause_s(identify=True) == 0
    await second.identified()
    assert first.pause_s(identify=True) > DAY.total_seconds() / 2


async def test_discords_own_count_holds_the_log_ins_of_all_shards_back() -> None:
    first = governor(InstantClock())
    first.block_identify(300)
    assert first.beside().pause_s(identify=True) == first.pause_s(identify=True) == 300


async def test_shards_log_in_one_after_the_other_where_discord_wants_it() -> None:
    clock = InstantClock()
    turns = IdentifyTurns(clock)
    turns.among(2)
    times: dict[int, float] = {}
    for number in range(6):
        async with turns.turn(number):
            times[number] = clock.monotonic()
    for number in range(4):
        assert times[number + 2] - times[number] >= 5
    assert times[5] - times[0] < 11
    async with turns.turn(None):
        assert clock.monotonic() == times[5]
