"""discord.py's rate limit buckets under requests that are cancelled."""

from __future__ import annotations

import asyncio

import pytest
from discord.http import HTTPClient

from bot.gateway.rest import keep_buckets_steady
from tests.support.clock import settle


@pytest.mark.parametrize("rounds", range(6))
async def test_a_bucket_is_free_after_its_request_was_cancelled_at_any_moment(rounds: int) -> None:
    http = HTTPClient(asyncio.get_running_loop(), max_ratelimit_timeout=30.0)
    keep_buckets_steady(http)

    async def request() -> None:
        async with http.get_ratelimit("GET /guilds/1/members"):
            await asyncio.sleep(0)

    cancelled, waiting = asyncio.create_task(request()), asyncio.create_task(request())
    await settle(rounds)
    cancelled.cancel()
    await settle()
    later = asyncio.create_task(request())
    await settle()
    assert waiting.done()
    assert later.done()
