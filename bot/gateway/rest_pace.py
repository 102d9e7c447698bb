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
from types import SimpleNamespace
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

    A request counts from the moment it may be sent until a second after its answer: it reached
    Discord somewhere between the two, so that no second there has more, however late each came.

    Args:
        clock: Time.
        most: Requests that reach Discord in any second.
    """

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._free = most
        self._ended: deque[float] = deque()
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()
        self._is_releasing = False
        self._tasks = TaskOwner()

    async def turn(self, group: int) -> None:
        """Wait until a request of this group may be sent; cancelling gives the place up.

        Whoever was granted one calls ``ended``.
        """
        if self._free:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(group, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self._grant()
            raise

    def ended(self) -> None:
        """Note that a request was answered, or given up."""
        self._ended.append(self._clock.monotonic())
        if not self._is_releasing:
            self._is_releasing = True
            self._tasks.start(self._release(), name="rest-pace")

    def pace(self, trace: TraceConfig) -> TraceConfig:
        """Have the requests that a trace sees wait for their turn."""

        async def wait(
            _session: object, context: SimpleNamespace, asked: TraceRequestStartParams
        ) -> None:
            context.is_counted = not any(part in asked.url.path for part in _FREE)
            if context.is_counted:
                await _outside(LIMIT.get(), self.turn(ASKED_FOR.get()))

        async def end(_session: object, context: SimpleNamespace, _ended: object) -> None:
            if context.is_counted:
                self.ended()

        trace.on_request_start.append(wait)
        trace.on_request_end.append(end)
        trace.on_request_exception.append(end)
        return trace

    async def close(self) -> None:
        """Stop granting."""
        await self._tasks.cancel()

    async def _release(self) -> None:
        while self._ended:
            delay_s = self._ended[0] + WINDOW_S - self._clock.monotonic()
            if delay_s > 0:
                await self._clock.sleep(delay_s)
                continue
            self._ended.popleft()
            self._grant()
        self._is_releasing = False

    def _grant(self) -> None:
        """Give the next who waits the room of one request."""
        while self._waiting:
            group, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self._waiting[group] = places
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


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
