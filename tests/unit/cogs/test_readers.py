"""Who may read a channel's history, while Discord doesn't say which roles they have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

import aiohttp
import discord
import pytest

from bot.core.domain import ChannelId, GuildId, Person, Place, PlaceKind, RoleId, UserId
from cogs._gate import ROLES_HOLD, Rights
from tests.support.builders import question
from tests.support.clock import FakeClock
from tests.unit.cogs.test_places import made_client

THERE = Place(PlaceKind.GUILD_TEXT, ChannelId(10), GuildId(1))
MEMBER = Person(UserId(20), "Ada", role_ids=frozenset({RoleId(1)}))


@pytest.mark.parametrize(
    "failure",
    [aiohttp.ServerDisconnectedError, lambda: discord.RateLimited(40.0), TimeoutError],
)
async def test_roles_that_discord_does_not_say_are_those_that_came_with_the_question(
    clock: FakeClock, failure: Callable[[], Exception]
) -> None:
    async def fail(*_: object, **__: object) -> NoReturn:
        raise failure()

    client: Any = made_client({"id": "10", "type": 0})
    client.http.request = fail
    asked_at = clock.now() - ROLES_HOLD - timedelta(seconds=1)
    asked = question(place=THERE, asker=MEMBER, asked_at=asked_at)
    reading = asyncio.create_task(Rights(client, clock).may_read(asked))
    await clock.advance(60)
    assert await reading
