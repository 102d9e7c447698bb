"""What the bot was told since it was killed or stopped: the session that it left is resumed.

Discord lists no direct-message channels at a start, so the message of somebody who never wrote before
would be lost with the process. Resuming replays the events since a given one (Discord: gateway,
resuming). Only the channels of direct messages are taken from that: a resumed session tells of no
guilds, so the bot logs in afresh afterwards, and the scan for missed messages reads those channels.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import discord
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from bot.core.domain import ChannelId
from bot.core.tasks import end_tasks
from bot.core.wording import plain_reason
from bot.gateway.endpoints import NETWORK_ERRORS
from bot.gateway.readable import UNREADABLE

_log = logging.getLogger(__name__)

SESSION = "gateway_session"
"""State: the session that is in use, and from which event on it is to be replayed."""
REPLAY_S = 10.0
"""Seconds that a start spends on the replay at most."""
RESUMABLE, GIVEN_UP = 4000, 1000
"""Close codes: Discord keeps a session for some minutes after the first, and ends it with the second or 1001."""


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


Heard = Callable[[ChannelId], Awaitable[None]]
"""Told of each direct-message channel in which a message came."""


async def hear_left_session(
    client: discord.Client,
    left: LeftSession,
    heard: Heard,
    *,
    is_replayed: asyncio.Event,
    is_followed: asyncio.Event,
) -> None:
    """Resume a session, and listen to it until the next one is remembered in its place.

    Until then it is the one that another start would resume, and the only one that tells of what comes
    before the next one begins; so where this ends sooner, another start can still resume it. Never raises
    for Discord: where it can't be resumed, nothing is heard.

    Args:
        client: Logged in; it may connect once the replay is over.
        left: The session.
        heard: Told of what comes.
        is_replayed: Set once everything was replayed, or nothing will be.
        is_followed: Set once the next session is remembered; this one is given up then.
    """
    listening = asyncio.create_task(_listen(client, left, heard, is_replayed, is_followed))
    following = asyncio.create_task(is_followed.wait())
    try:
        await asyncio.wait({listening, following}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_replayed.set()
        await end_tasks(listening, following)


async def _listen(
    client: discord.Client,
    left: LeftSession,
    heard: Heard,
    is_replayed: asyncio.Event,
    is_followed: asyncio.Event,
) -> None:
    try:
        async with asyncio.timeout(REPLAY_S) as limit:
            socket = await DiscordWebSocket.from_client(
                client,
                resume=True,
                session=left.id,
                sequence=left.sequence,
                gateway=yarl.URL(left.gateway),
            )
            try:
                await _poll(socket, heard, is_replayed, limit)
            finally:
                await socket.close(code=GIVEN_UP if is_followed.is_set() else RESUMABLE)
    except (*NETWORK_ERRORS, ReconnectWebSocket, discord.ConnectionClosed) as exc:
        _log.debug("the last session can't be listened to (%s)", plain_reason(exc))


async def _poll(
    socket: DiscordWebSocket, heard: Heard, is_replayed: asyncio.Event, limit: asyncio.Timeout
) -> None:
    """Take a session's events in the place of discord.py's parsers, for ever."""
    news: list[ChannelId] = []

    def message(data: Mapping[str, Any]) -> None:
        try:
            if data.get("guild_id") is None:
                news.append(ChannelId(int(data["channel_id"])))
        except UNREADABLE:
            _log.debug("a replayed message can't be read")

    def resumed(_data: object) -> None:
        limit.reschedule(None)
        is_replayed.set()

    socket._discord_parsers = {"MESSAGE_CREATE": message, "RESUMED": resumed}  # noqa: SLF001 - its events are for nobody else
    socket._dispatch = lambda *_: None  # noqa: SLF001 - its events are for nobody else
    while True:
        await socket.poll_event()
        while news:
            await heard(news.pop(0))
