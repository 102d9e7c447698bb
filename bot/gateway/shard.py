"""One connection to the gateway: made again for ever, and read event by event.

A bot in many servers holds several, each with a share of the servers (Discord: gateway, sharding). Each
has a session of its own, which is resumed by itself.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any, Protocol

import discord
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from bot.core.wording import plain_reason
from bot.gateway.endpoints import NETWORK_ERRORS
from bot.gateway.readable import UNREADABLE
from bot.gateway.reconnect import Governor, IdentifyTurns

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 60.0
"""Seconds from opening the socket to the log-in being sent; discord.py's own figure."""
STRAY_FAILURES = 3
"""Failures in a row after which the session's own gateway address is given up for the main one."""


class ShardClient(Protocol):
    """The client, as far as its shards ask for it."""

    def is_closed(self) -> bool:
        """Return whether it has ended."""
        ...

    def connected(self, shard: Shard) -> None:
        """Take note of a shard's new connection."""
        ...

    def dropped(self, shard: Shard) -> None:
        """Take note of a shard's connection that has ended."""
        ...

    def refused(self, exc: discord.ConnectionClosed) -> None:
        """Take note of a code that Discord closed with.

        Raises:
            ConfigurationError: Connecting again can't mend it.
        """
        ...


class Shard:
    """One shard.

    Args:
        client: The client whose connection it is.
        number: From 0 on; ``None`` for one that holds all servers, and isn't named in the log-in.
        governor: Paces its connections and log-ins.
        turns: When it may log in, among several.

    Attributes:
        ws: Its connection, or the last one; ``None`` before the first.
        is_up: It has a session.
    """

    def __init__(
        self,
        client: ShardClient,
        number: int | None,
        governor: Governor,
        turns: IdentifyTurns,
    ) -> None:
        self.number = number
        self.governor = governor
        self.ws: DiscordWebSocket | None = None
        self.is_up = False
        self._client = client
        self._turns = turns
        self._params: dict[str, Any] = {"initial": number in {None, 0}, "shard_id": number}

    async def connect(self) -> None:
        """Hold the connection until the client is closed.

        Raises:
            ConfigurationError: Discord closed with a code that connecting again can't mend.
        """
        while not self._client.is_closed():
            await self.governor.before_connect(identify=not self._params.get("resume"))
            try:
                await self._open()
                await self.read()
            except ReconnectWebSocket as exc:
                self._after_drop(resume=exc.resume)
            except discord.ConnectionClosed as exc:
                self._client.refused(exc)
                self._after_drop(resume=exc.code != 1000)
            except NETWORK_ERRORS as exc:
                if self._client.is_closed():
                    return
                _log.warning("the gateway connection failed (%s)", plain_reason(exc))
                self._after_drop(resume=True)

    async def _open(self) -> None:
        if self._params.get("resume"):
            await self._connect()
            return
        async with self._turns.turn(self.number):
            await self._connect()

    async def _connect(self) -> None:
        client: Any = self._client
        connecting = DiscordWebSocket.from_client(client, **self._params)
        self.ws = await asyncio.wait_for(connecting, CONNECT_TIMEOUT_S)
        self._client.connected(self)
        self._params["initial"] = False

    async def read(self) -> None:
        """Read the connection's events until it ends, which one of discord.py's exceptions tells."""
        assert self.ws is not None  # noqa: S101 - it is open
        failed_at: int | None = -1
        while True:
            try:
                await self.ws.poll_event()
                await asyncio.sleep(0)  # what it began runs now: many may have come at once
            except UNREADABLE as exc:
                at = traceback.extract_tb(exc.__traceback__)[-1].name
                _log.warning("an event of an unknown form was left out (%s)", at)
                if self.ws.sequence == failed_at:
                    raise ReconnectWebSocket(self.number, resume=False) from exc
                failed_at = self.ws.sequence

    def _after_drop(self, *, resume: bool) -> None:
        self.governor.ended()
        self._client.dropped(self)
        params = self._params
        session = getattr(self.ws, "session_id", None)
        if self.ws is None or not (resume and session):
            for key in ("resume", "session", "sequence", "gateway"):
                params.pop(key, None)
            return
        params.update(resume=True, session=session, sequence=self.ws.sequence)
        if self.governor.failures < STRAY_FAILURES:
            params["gateway"] = self.ws.gateway
        else:
            params.pop("gateway", None)
