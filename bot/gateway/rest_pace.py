"""The bot's share of requests to Discord, given to servers in turn.

Discord allows a bot 50 requests a second over all servers (Discord: rate limits, global rate limit),
and discord.py only learns of it from refusals. So a request waits here, right before it is sent, and
whoever has many of them in one server delays that server's own, and others by their turn only.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Final

from aiohttp import TraceConfig, TraceRequestStartParams

from bot.core.clock import Clock
from bot.core.tasks import TaskOwner

WINDOW_S: Final = 1.0
"""Discord counts by the second."""

NOBODYS: Final = 0
"""The group of requests that are about no server."""

_FREE: Final = ("/interactions/", "/webhooks/")
"""Interaction endpoints don't count (Discord: global rate limit)."""

ASKED_FOR: ContextVar[int] = ContextVar("asked_for", default=NOBODYS)
"""The group that the request under way counts for."""

LIMIT: ContextVar[asyncio.Timeout | None] = ContextVar("limit", default=None)
"""The limit of the request under way; waiting for its turn is no part of it."""


class RestPace:
    """Grants so many requests a second, one group after the other while several wait.

    Args:
        clock: Time.
        most: Requests in any second.
    """

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._sent: deque[float] = deque(maxlen=most)
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_granting = False
        self._tasks = TaskOwner()

    async def turn(self, group: int) -> None:
        """Wait until a request of this group may be sent; cancelling gives the place up."""
        if not self._waiting and self._wait_s() <= 0:
            self._sent.append(self._clock.monotonic())
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group, deque()).append(place)
        if not self._is_granting:
            self._is_granting = True
            self._tasks.start(self._grant(), name="rest-pace")
        await place

    def pace(self, trace: TraceConfig) -> TraceConfig:
        """Have the requests that a trace sees wait for their turn."""

        async def wait(_session: object, _context: object, asked: TraceRequestStartParams) -> None:
            if not any(part in asked.url.path for part in _FREE):
                await _outside(LIMIT.get(), self.turn(ASKED_FOR.get()))

        trace.on_request_start.append(wait)
        return trace

    async def close(self) -> None:
        """Stop granting."""
        await self._tasks.cancel()

    async def _grant(self) -> None:
        while self._waiting:
            delay_s = self._wait_s()
            if delay_s > 0:
                await self._clock.sleep(delay_s)
                continue
            group, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self._waiting[group] = places
            if not place.done():
                self._sent.append(self._clock.monotonic())
                place.set_result(None)
        self._is_granting = False

    def _wait_s(self) -> float:
        """Return the seconds until a request has room; 0 or less is now."""
        if len(self._sent) < (self._sent.maxlen or 0):
            return 0.0
        return self._sent[0] + WINDOW_S - self._clock.monotonic()


async def _outside(limit: asyncio.Timeout | None, waiting: Awaitable[None]) -> None:
    """Wait while a limit stands still."""
    ends_s = None if limit is None else limit.when()
    if limit is None or ends_s is None or limit.expired():
        await waiting
        return
    now_s = asyncio.get_running_loop().time
    left_s = ends_s - now_s()
    limit.reschedule(None)
    await waiting
    limit.reschedule(now_s() + left_s)
