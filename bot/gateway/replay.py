"""What the bot was told since it was killed or stopped: the session that it left is resumed once.

Discord lists no direct-message channels at a start, so the message of somebody who never wrote before
would be lost with the process. Resuming replays the events since a given one (Discord: gateway,
resuming). Only the channels of direct messages are taken from that: a resumed session tells of no
guilds, so the bot logs in afresh afterwards, and the scan for missed messages reads those channels.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import discord
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from bot.core.domain import ChannelId
from bot.core.wording import plain_reason
from bot.gateway.endpoints import NETWORK_ERRORS
from bot.gateway.readable import UNREADABLE

_log = logging.getLogger(__name__)

SESSION = "gateway_session"
"""State: the session that is in use, and from which event on it is to be replayed."""
REPLAY_S = 10.0
"""Seconds that a start spends on the replay at most."""
WORTH_IT = timedelta(minutes=10)
"""A session left longer ago isn't resumed. Discord doesn't say how long it keeps one."""


@dataclass(frozen=True, slots=True)
class LeftSession:
    """A gateway session that can be resumed.

    Attributes:
        id: Its name.
        sequence: The number of the last event that was certainly dealt with.
        gateway: Where it is resumed.
    """

    id: str
    sequence: int
    gateway: str

    def dump(self) -> dict[str, object]:
        """Return the session in the form in which the state keeps it."""
        return asdict(self)


def left_session(stored: object) -> LeftSession | None:
    """Read what the state holds under ``SESSION``."""
    if not isinstance(stored, dict):
        return None
    name, sequence, gateway = (stored.get(key) for key in ("id", "sequence", "gateway"))
    if isinstance(name, str) and isinstance(sequence, int) and isinstance(gateway, str):
        return LeftSession(name, sequence, gateway)
    return None


async def missed_dm_channels(client: discord.Client, left: LeftSession) -> frozenset[ChannelId]:
    """Resume a session, and return the channels of the direct messages that it replays.

    The session is given up afterwards. Never raises for Discord: where it can't be resumed, nothing
    is found.

    Args:
        client: Logged in, not connected.
        left: The session.
    """
    listener = _Listener()
    try:
        async with asyncio.timeout(REPLAY_S):
            await listener.listen(client, left)
    except (*NETWORK_ERRORS, ReconnectWebSocket, discord.ConnectionClosed) as exc:
        _log.debug("the last session can't be resumed (%s)", plain_reason(exc))
    return frozenset(listener.channel_ids)


class _Listener:
    """Takes a replay's events in the place of discord.py's parsers."""

    def __init__(self) -> None:
        self.channel_ids: set[ChannelId] = set()
        self._is_over = False

    async def listen(self, client: discord.Client, left: LeftSession) -> None:
        socket = await DiscordWebSocket.from_client(
            client,
            resume=True,
            session=left.id,
            sequence=left.sequence,
            gateway=yarl.URL(left.gateway),
        )
        socket._discord_parsers = {"MESSAGE_CREATE": self._message, "RESUMED": self._resumed}  # noqa: SLF001 - its events are for nobody else
        socket._dispatch = lambda *_: None  # noqa: SLF001 - its events are for nobody else
        try:
            while not self._is_over:
                await socket.poll_event()
        finally:
            await socket.close(code=1000)

    def _message(self, data: Mapping[str, Any]) -> None:
        try:
            if data.get("guild_id") is None:
                self.channel_ids.add(ChannelId(int(data["channel_id"])))
        except UNREADABLE:
            _log.debug("a replayed message can't be read")

    def _resumed(self, _data: object) -> None:
        self._is_over = True
