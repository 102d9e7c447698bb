"""The pace of requests: never more than allowed, and nobody waits for another server's flood."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from unittest.mock import MagicMock

from aiohttp import TraceConfig, TraceRequestStartParams
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from yarl import URL

from bot.gateway.rest_pace import LIMIT, WINDOW_S, RestPace
from tests.support.clock import FakeClock, settle

Asked = list[tuple[int, float]]
"""Requests in order: the group, and the seconds since the one before."""
ASKED = st.lists(st.tuples(st.integers(0, 4), st.sampled_from((0.0, 0.0, 0.01, 0.7))), max_size=60)


async def _sent(asked: Asked, most: int) -> list[tuple[int, float]]:
    """Return group and time of each request as it was let go."""
    clock = FakeClock()
    pace = RestPace(clock, most)
    sent: list[tuple[int, float]] = []

    async def send(group: int) -> None:
        await pace.turn(group)
        sent.append((group, clock.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        for group, gap_s in asked:
            await clock.advance(gap_s)
            tasks.create_task(send(group))
        await clock.advance(len(asked) * WINDOW_S + 1)
    return sent


@settings(max_examples=60, deadline=None)
@given(ASKED, st.integers(1, 7))
def test_no_second_has_more_requests_than_allowed_and_each_is_sent(asked: Asked, most: int) -> None:
    sent = asyncio.run(_sent(asked, most))
    assert sorted(group for group, _ in sent) == sorted(group for group, _ in asked)
    times = [at_s for _, at_s in sent]
    for index, at_s in enumerate(times):
        assert bisect_left(times, at_s + WINDOW_S - 1e-9) - index <= most


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 5), st.integers(1, 9))
def test_a_request_waits_one_turn_of_every_other_server_however_much_they_ask(
    flood: int, others: int, most: int
) -> None:
    asked = [(group, 0.0) for group in range(1, others + 1) for _ in range(flood)]
    sent = asyncio.run(_sent([*asked, (99, 0.0)], most))
    place = [group for group, _ in sent].index(99)
    assert place <= most + others


async def test_a_request_that_is_given_up_takes_no_room() -> None:
    clock = FakeClock()
    pace = RestPace(clock, 1)
    await pace.turn(1)
    given_up = asyncio.create_task(pace.turn(1))
    kept = asyncio.create_task(pace.turn(1))
    await settle()
    given_up.cancel()
    await clock.advance(WINDOW_S)
    assert kept.done()
    await pace.close()


async def test_waiting_for_its_turn_is_no_part_of_a_requests_limit() -> None:
    clock = FakeClock()
    pace = RestPace(clock, 1)
    trace = pace.pace(TraceConfig())
    trace.freeze()
    asked = TraceRequestStartParams("GET", URL("https://discord.example/api/v10/x"), CIMultiDict())
    limits: list[asyncio.Timeout] = []

    async def request() -> None:
        async with asyncio.timeout(15) as limit:
            limits.append(limit)
            LIMIT.set(limit)
            await trace.on_request_start.send(MagicMock(), MagicMock(), asked)
            await clock.sleep(1)

    tasks = [asyncio.create_task(request()) for _ in range(2)]
    await settle()
    assert [limit.when() is None for limit in limits] == [False, True]
    await clock.advance(WINDOW_S)
    assert [limit.when() is None for limit in limits] == [False, False]
    await clock.advance(WINDOW_S)
    await asyncio.gather(*tasks)
