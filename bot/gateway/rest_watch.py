"""What Discord's REST answers: the last status, and what time it is there."""

from __future__ import annotations

import asyncio
from datetime import UTC
from email.utils import parsedate_to_datetime

import aiohttp
import discord

from bot.core.clock import Clock
from bot.diagnostics.discord_side import RestAnswer
from bot.gateway.endpoints import NETWORK_ERRORS
from bot.gateway.readable import UNREADABLE

LIMIT_S = 5.0
"""Longest wait for an answer, in seconds; discord.py would try again for longer."""


class RestWatch:
    """Listens to a discord.py client's requests.

    Attributes:
        status: Of the last reply; 0 before one.
        skew_s: Discord's clock minus ours at the last reply, if it said its time.
    """

    def __init__(self, clock: Clock) -> None:
        self.status = 0
        self.skew_s: float | None = None
        self._clock = clock

    def listen(self, trace: aiohttp.TraceConfig) -> aiohttp.TraceConfig:
        """Listen to what is traced, and return it."""
        trace.on_request_end.append(self._note)
        return trace

    async def _note(
        self, _session: object, _context: object, ended: aiohttp.TraceRequestEndParams
    ) -> None:
        self.status = ended.response.status
        try:
            told = parsedate_to_datetime(ended.response.headers.get("Date", ""))
        except ValueError:
            return
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        self.skew_s = (told - self._clock.now()).total_seconds()

    async def ask(self, client: discord.Client) -> RestAnswer:
        """Ask Discord who the bot is, once, and return what came of it."""
        self.status, self.skew_s = 0, None
        began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(LIMIT_S):
                await client.http.request(discord.http.Route("GET", "/users/@me"))
        except NETWORK_ERRORS:
            return RestAnswer(None, self.status, self.skew_s)
        except UNREADABLE:
            return RestAnswer(None, self.status, is_foreign=True)
        return RestAnswer(self._clock.monotonic() - began_s, self.status, self.skew_s)
