"""Discord's messages for the core: by request through discord.py, and from a bounded cache."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import discord
from discord.ext import commands

from bot.core.clock import Clock, SystemClock
from bot.core.domain import ChannelId, IncomingMessage, MessageId, Person, Place, PlaceKind, UserId
from bot.core.errors import DeliveryError
from bot.core.reasons import plain_reason
from bot.gateway.readable import UNREADABLE, read_message
from bot.prompt.cache import MessageCache
from cogs import _convert
from cogs._calls import Caller
from config.settings import ContextSettings

_log = logging.getLogger(__name__)


class DiscordSource:
    """A ``MessageSource`` over discord.py.

    The first use adds listeners to the client, so that the cache follows what is posted, changed
    and deleted. The client may be made later than this.

    Args:
        client: Returns the client.
        settings: How much is kept.
        clock: Tells when attachment addresses have expired.
    """

    def __init__(
        self,
        client: Callable[[], commands.Bot],
        settings: ContextSettings,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._cache = MessageCache(
            Requests(client, clock or SystemClock()),
            settings.cache_messages,
            clock or SystemClock(),
        )
        self._is_listening = False

    async def fetch(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message of this place; ``None`` if it is gone or unreadable."""
        self._listen()
        return await self._cache.fetch(place, message_id)

    async def history(
        self,
        place: Place,
        *,
        before: MessageId | None = None,
        after: MessageId | None = None,
        limit: int = 50,
    ) -> Sequence[IncomingMessage]:
        """Return up to ``limit`` (1 to 100) messages of this place, oldest first."""
        self._listen()
        return await self._cache.history(place, before=before, after=after, limit=limit)

    async def starter(self, place: Place) -> IncomingMessage | None:
        """Return the message that a thread or forum post began with."""
        self._listen()
        return await self._cache.starter(place)

    def _listen(self) -> None:
        if self._is_listening:
            return
        self._is_listening = True
        client = self._client()
        client.add_listener(self._on_message, "on_message")
        client.add_listener(self._on_edit, "on_raw_message_edit")
        client.add_listener(self._on_delete, "on_raw_message_delete")
        client.add_listener(self._on_bulk_delete, "on_raw_bulk_message_delete")
        client.add_listener(self._on_channel_delete, "on_guild_channel_delete")
        client.add_listener(self._on_thread_delete, "on_raw_thread_delete")
        client.add_listener(self._on_connect, "on_connect")

    async def _on_message(self, message: discord.Message) -> None:
        if self._cache.wants(ChannelId(message.channel.id)):
            self._cache.observe(_convert.message(message))

    async def _on_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        if self._cache.wants(ChannelId(payload.channel_id)):
            self._cache.edited(_convert.message(payload.message))

    async def _on_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        self._cache.deleted(ChannelId(payload.channel_id), [MessageId(payload.message_id)])

    async def _on_bulk_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        ids = [MessageId(message_id) for message_id in payload.message_ids]
        self._cache.deleted(ChannelId(payload.channel_id), ids)

    async def _on_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        self._cache.channel_gone(ChannelId(channel.id))

    async def _on_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        self._cache.channel_gone(ChannelId(payload.thread_id))

    async def _on_connect(self) -> None:
        """Begin a fresh session, before its first event: those of the time between are lost."""
        self._cache.session_lost()


class Requests:
    """Messages by request. What may not be read is as if it weren't there."""

    def __init__(self, client: Callable[[], commands.Bot], clock: Clock) -> None:
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
        http = self._client().http
        data = await self._caller.call(lambda: http.get_message(place.channel_id, message_id))
        return self._read(channel, place, data)

    async def fetch_history(
        self, place: Place, *, before: MessageId | None, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage] | None:
        channel = self._channel(place)
        if channel is None:
            return None

        http = self._client().http
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

    def _read(
        self,
        channel: discord.abc.Messageable,
        place: Place,
        data: Any,  # noqa: ANN401 - as parsed
    ) -> IncomingMessage | None:
        """Return a message; one that can't be read as one without words, so that it still counts."""
        state = self._client()._connection  # noqa: SLF001 - what discord.py's own reading hands on

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
        client = self._client()
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
