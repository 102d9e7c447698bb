"""Discord's messages for the core's cache: by request through discord.py."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import discord
from discord.ext import commands

from bot.core.clock import Clock
from bot.core.domain import IncomingMessage, MessageId, Person, Place, PlaceKind, UserId
from bot.core.errors import DeliveryError
from bot.core.wording import plain_reason
from bot.gateway.readable import UNREADABLE, read_message
from bot.gateway.rest import Caller
from cogs import _convert

_log = logging.getLogger(__name__)


class Requests:
    """Messages by request. What may not be read is as if it weren't there.

    Args:
        client: Asks Discord.
        clock: Paces retries.
    """

    def __init__(self, client: commands.Bot, clock: Clock) -> None:
        self._client = client
        self._caller = Caller(clock)

    async def fetch_message(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message; ``None`` if it is gone or unreadable."""
        try:
            return await self.look(place, message_id)
        except (DeliveryError, discord.ClientException) as exc:
            _log.debug("message %d couldn't be fetched: %s", message_id, plain_reason(exc))
            return None

    async def look(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message as Discord has it now; ``None`` if it is unreadable.

        Raises:
            TargetGoneError: It is gone.
            DeliveryError: Discord can't be asked, or may not be.
        """
        channel = self._channel(place)
        if channel is None:
            return None
        http = self._client.http
        data = await self._caller.call(lambda: http.get_message(place.channel_id, message_id))
        return self._read(channel, place, data)

    async def fetch_history(
        self, place: Place, *, before: MessageId | None, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage] | None:
        channel = self._channel(place)
        if channel is None:
            return None

        http = self._client.http
        around = {"before": before} if after is None else {"after": after}

        async def read() -> list[Any]:
            return list(await http.logs_from(place.channel_id, limit, **around))

        try:
            found = await self._caller.call(read)
        except (DeliveryError, discord.ClientException, TypeError) as exc:
            _log.info("channel %d couldn't be read: %s", place.channel_id, plain_reason(exc))
            return None
        messages = (self._read(channel, place, data) for data in found)
        return sorted((m for m in messages if m is not None), key=lambda message: message.id)

    def read(self, place: Place, data: Any) -> IncomingMessage | None:  # noqa: ANN401 - as parsed
        """Return a message that Discord told of in a reply; ``None`` if nothing can be said of it."""
        channel = self._channel(place)
        return None if channel is None else self._read(channel, place, data)

    def _read(
        self,
        channel: discord.abc.Messageable,
        place: Place,
        data: Any,  # noqa: ANN401 - as parsed
    ) -> IncomingMessage | None:
        """Return a message; one that can't be read as one without words, so that it still counts."""
        state = self._client._connection  # noqa: SLF001 - what discord.py's own reading hands on

        def read(form: Any) -> IncomingMessage:  # noqa: ANN401 - as parsed
            made = state.create_message(channel=channel, data=form)  # type: ignore[arg-type]
            return _convert.message(made)

        try:
            return read_message(read, data)
        except UNREADABLE:
            _log.info("a message in channel %d can't be read and is skipped", place.channel_id)
        try:
            return _unread(place, MessageId(int(data["id"])))
        except UNREADABLE:
            return None

    async def fetch_starter(self, place: Place) -> IncomingMessage | None:
        """Return a thread's first message: it has the thread's own id."""
        starter_id = MessageId(place.channel_id)
        if place.kind is PlaceKind.FORUM_POST:
            return await self.fetch_message(place, starter_id)
        if place.kind is not PlaceKind.THREAD or place.parent_id is None:
            return None
        parent = Place(PlaceKind.GUILD_TEXT, place.parent_id, place.guild_id)
        return await self.fetch_message(parent, starter_id)

    def _channel(self, place: Place) -> discord.abc.Messageable | None:
        """Return the channel; one that isn't cached needs no request either."""
        client = self._client
        channel = client.get_channel(place.channel_id)
        if channel is None and place.guild_id is not None:
            guild = client.get_guild(place.guild_id)
            channel = guild.get_thread(place.channel_id) if guild is not None else None
        if channel is not None:
            return channel if isinstance(channel, discord.abc.Messageable) else None
        kind = discord.ChannelType.private if place.guild_id is None else None
        return client.get_partial_messageable(place.channel_id, guild_id=place.guild_id, type=kind)


def _unread(place: Place, message_id: MessageId) -> IncomingMessage:
    """Return what stands for a message that can't be read: nobody's, and without words."""
    nobody = Person(UserId(0), "", is_bot=True)
    moment = discord.utils.snowflake_time(message_id)
    return IncomingMessage(message_id, place, nobody, "", moment, is_ordinary=False)
