"""Which of Discord's refusals keep a request from being made again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import discord
import pytest
from discord.http import Route

from bot.gateway.rest import PER_PLACE, GuardedRequests, NotAllowedError
from tests.support.clock import FakeClock

REACTION = Route(
    "PUT",
    "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me",
    channel_id=1,
    message_id=2,
    emoji="👀",
)


@pytest.mark.parametrize(("code", "is_asked_again"), [(50013, False), (90001, True)])
async def test_who_has_blocked_the_bot_keeps_no_mark_from_others(
    clock: FakeClock, code: int, is_asked_again: bool
) -> None:
    answer = cast("aiohttp.ClientResponse", SimpleNamespace(status=403, reason="Forbidden"))
    asked: list[Route] = []

    async def refuse(route: Route, **_: Any) -> None:
        asked.append(route)
        raise discord.Forbidden(answer, {"code": code, "message": "no"})

    requests = GuardedRequests(refuse, lambda _: None, clock)
    for _ in range(PER_PLACE + 1):
        with pytest.raises(discord.Forbidden):
            await requests.request(REACTION)
    assert len(asked) == PER_PLACE + is_asked_again
    if not is_asked_again:
        with pytest.raises(NotAllowedError):
            await requests.request(REACTION)
