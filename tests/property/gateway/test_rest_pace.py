"""The pace of requests: never more than allowed, and nobody waits for another server's flood."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import MagicMock

import pytest
from aiohttp import TraceConfig, TraceRequestStartParams
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from bot.gateway.rest import LIMIT, WINDOW_S, RestPace
from tests.support.clock import FakeClock, settle


class Asked(NamedTuple):
    """A request: its group, seconds since the one before, its way to Discord, and the way back."""

    group: int
    gap_s: float = 0.0
    there_s: float = 0.0
    back_s: float = 0.0


WAYS = st.sampled_from((0.0, 0.02, 0.3, 1.5))
ASKED = st.lists(
    st.builds(Asked, st.integers(0, 4), st.sampled_from((0.0, 0.0, 0.01, 0.7)), WAYS, WAYS),
    max_size=60,
)


async def _arrived(asked: Sequence[Asked], most: int) -> list[tuple[int, float]]:
    """Return group and time of each request as it reached Discord."""
    clock = FakeClock()
    pace = RestPace(clock, most)
    arrived: list[tuple[int, float]] = []

    async def send(one: Asked) -> None:
        await pace.turn(one.group)
        await clock.sleep(one.there_s)
        arrived.append((one.group, clock.monotonic()))
        await clock.sleep(one.back_s)
        pace.ended()

    async with asyncio.TaskGroup() as tasks:
        for one in asked:
            await clock.advance(one.gap_s)
            tasks.create_task(send(one))
        await clock.advance(len(asked) * (WINDOW_S + 3.0) + 1)
    return arrived


@settings(max_examples=60, deadline=None)
@given(ASKED, st.integers(1, 7))
def test_no_second_at_discord_has_more_requests_than_allowed_however_late_they_come(
    asked: list[Asked], most: int
) -> None:
    arrived = asyncio.run(_arrived(asked, most))
    assert sorted(group for group, _ in arrived) == sorted(one.group for one in asked)
    times = sorted(at_s for _, at_s in arrived)
    for index, at_s in enumerate(times):
        assert bisect_left(times, at_s + WINDOW_S - 1e-9) - index <= most


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 9))
def test_a_request_waits_one_turn_of_every_other_server_however_much_they_ask(
    flood: int, others: int, most: int
) -> None:
    asked = [Asked(group) for group in range(1, others + 1) for _ in range(flood)]
    arrived = asyncio.run(_arrived([*asked, Asked(99)], most))
    place = [group for group, _ in arrived].index(99)
    assert place <= most + others


async def test_a_request_that_is_given_up_takes_no_room() -> None:
    clock = FakeClock()
    pace = RestPace(clock, 1)
    await pace.turn(1)
    given_up = [asyncio.create_task(pace.turn(1)) for _ in range(2)]
    kept = asyncio.create_task(pace.turn(1))
    await settle()
    given_up[0].cancel()
    await settle()
    pace.ended()
    await clock.advance(WINDOW_S)
    assert given_up[1].done()
    pace.ended()
    await clock.advance(WINDOW_S)
    assert kept.done()


@pytest.mark.parametrize("step", range(10))
async def test_a_request_given_up_at_whichever_step_of_its_turn_hands_it_on(step: int) -> None:
    clock = FakeClock()
    pace = RestPace(clock, 1)
    await pace.turn(1)
    given_up, kept = (asyncio.create_task(pace.turn(1)) for _ in range(2))
    await settle()
    pace.ended()
    await settle()
    moving = asyncio.create_task(clock.advance(WINDOW_S))
    await settle(21 + step)  # the clock lets others run for 20 rounds before it moves
    was_granted = given_up.done()
    given_up.cancel()
    await moving
    assert kept.done() != was_granted


def _traced(pace: RestPace) -> TraceConfig:
    trace = pace.pace(TraceConfig())
    trace.freeze()
    return trace


async def _start(trace: TraceConfig, context: SimpleNamespace, path: str = "x") -> None:
    url = URL(f"https://discord.example/api/v10/{path}")
    asked = TraceRequestStartParams("GET", url, CIMultiDict())
    await trace.on_request_start.send(MagicMock(), context, asked)


async def test_waiting_for_its_turn_is_no_part_of_a_requests_limit() -> None:
    clock = FakeClock()
    trace = _traced(RestPace(clock, 1))
    limits: list[asyncio.Timeout] = []

    async def request() -> None:
        context = SimpleNamespace()
        async with asyncio.timeout(15) as limit:
            limits.append(limit)
            LIMIT.set(limit)
            await _start(trace, context)
            await clock.sleep(1)
            await trace.on_request_end.send(MagicMock(), context, MagicMock())

    tasks = [asyncio.create_task(request()) for _ in range(2)]
    await settle()
    assert [limit.when() is None for limit in limits] == [False, True]
    await clock.advance(1 + WINDOW_S)
    assert [limit.when() is None for limit in limits] == [False, False]
    await clock.advance(WINDOW_S)
    await asyncio.gather(*tasks)


async def test_answers_to_interactions_take_no_room_and_lost_requests_give_theirs_back() -> None:
    clock = FakeClock()
    trace = _traced(RestPace(clock, 1))
    free, lost = SimpleNamespace(), SimpleNamespace()
    for _ in range(3):
        await _start(trace, free, "interactions/1/token/callback")
        await trace.on_request_end.send(MagicMock(), free, MagicMock())
    await _start(trace, lost)
    waiting = asyncio.create_task(_start(trace, SimpleNamespace()))
    await settle()
    await trace.on_request_exception.send(MagicMock(), lost, MagicMock())
    await clock.advance(WINDOW_S / 2)
    assert not waiting.done()
    await clock.advance(WINDOW_S / 2)
    assert waiting.done()


async def test_the_pace_is_shared_with_other_processes_and_taken_back(clock: FakeClock) -> None:
    pace = RestPace(clock, 4)
    for _ in range(4):
        await pace.turn(1)
    pace.share(2)
    waiting = asyncio.create_task(pace.turn(1))
    for _ in range(2):  # the two that it has no more
        pace.ended()
    await clock.advance(WINDOW_S)
    assert not waiting.done()
    pace.ended()
    await clock.advance(WINDOW_S)
    assert waiting.done()
    others = [asyncio.create_task(pace.turn(1)) for _ in range(2)]
    await settle()
    assert not any(each.done() for each in others)
    pace.share(4)
    await settle()
    assert all(each.done() for each in others)
