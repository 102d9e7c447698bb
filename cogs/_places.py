"""Channels as plain places and back: where messages are found, and how words of the bot get there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import discord

from bot.chat.backfill import SPACING_S, Candidate
from bot.core.domain import (
    ChannelId,
    IncomingMessage,
    MessageId,
    Place,
    PlaceKind,
    QuestionId,
    UserId,
)
from bot.core.errors import DeliveryError, DeliveryUnavailableError
from bot.core.notices import notice
from bot.core.wording import plain_reason
from bot.delivery.delivery import nonce
from bot.gateway.client import ClawbotClient
from bot.gateway.rest import POST_MESSAGE, Caller, missing
from cogs import _convert
from cogs._convert import Requests
from cogs._sink import MessageSink


def is_own_thread(channel: object, me: UserId) -> bool:
    """Return whether a channel is a thread that the bot opened."""
    return isinstance(channel, discord.Thread) and channel.owner_id == me


def may_write(client: ClawbotClient, message: IncomingMessage) -> bool:
    """Return whether an answer to a message can be posted, as far as is known without asking."""
    channel = client.get_channel(message.place.channel_id)
    return not missing(channel, POST_MESSAGE, has_files=False)


def candidates(client: ClawbotClient, dm_channels: Sequence[ChannelId]) -> list[Candidate]:
    """Return the channels where mentions may have been missed.

    Args:
        client: Online, with the guilds' channels known.
        dm_channels: The direct-message channels to look into, the latest last.
    """
    found: list[Candidate] = []
    for guild in client.guilds:
        channels: list[discord.TextChannel | discord.Thread | discord.VoiceChannel] = []
        channels += [*guild.text_channels, *guild.threads, *guild.voice_channels]
        me = guild.get_member(client.user.id)
        for channel in channels:
            if me is not None and not channel.permissions_for(me).read_message_history:
                continue
            last = channel.last_message_id
            if last is not None:
                found.append(Candidate(_convert.place(channel), MessageId(last)))
            elif not isinstance(channel, discord.VoiceChannel):  # these are nearly always empty
                found.append(Candidate(_convert.place(channel), None))
    latest_first = reversed(dm_channels)
    found += [Candidate(Place(PlaceKind.DM, channel_id), None) for channel_id in latest_first]
    return found


async def archived_threads(
    client: ClawbotClient, channel_ids: Sequence[ChannelId]
) -> list[Candidate]:
    """Return those of some channels that are threads which a session doesn't begin with: archived ones.

    Each costs a request; discord.py knows them from then on.
    """
    found = []
    for channel_id in channel_ids:
        thread = client.get_channel(channel_id) or await _looked_up(client, channel_id)
        if isinstance(thread, discord.Thread) and client.serves(thread.guild.id):
            thread.guild._add_thread(thread)  # noqa: SLF001 - what it does with those it is told of
            last = thread.last_message_id
            found.append(Candidate(_convert.place(thread), MessageId(last) if last else None))
    return found


async def _looked_up(client: ClawbotClient, channel_id: ChannelId) -> object:
    clock = client.services.clock
    await clock.sleep(SPACING_S)
    try:
        return await Caller(clock).call(lambda: client.fetch_channel(channel_id))
    except (DeliveryError, discord.ClientException) as exc:
        _log.debug("channel %d isn't there any more (%s)", channel_id, plain_reason(exc))
        return None


def own_permissions(interaction: discord.Interaction[Any]) -> discord.Permissions:
    """Return what the bot may do where an interaction happens: as stated, or else computed."""
    stated, guild, channel = interaction.app_permissions, interaction.guild, interaction.channel
    if (
        stated.value
        or guild is None
        or not isinstance(channel, discord.TextChannel | discord.Thread)
    ):
        return stated
    return channel.permissions_for(guild.me)


def message_sink(client: ClawbotClient, place: Place, reply_to: MessageId | None) -> MessageSink:
    """Return the way into a channel, replying to a message if one is given and stands there."""
    chat = client.services.overrides.effective(place)
    mark = WAITING if chat.waiting_mark else ""
    clock, source = client.services.clock, client.services.source
    requests = Requests(client, clock)

    def learn(data: object) -> None:
        message = requests.read(place, data)
        if message is not None:
            source.posted(message)

    return MessageSink(client, place, reply_to, clock, waiting_mark=mark, learn=learn)


WAITING: Final = "👀"
THREAD_MINUTES: Final = 1440
"""Minutes of silence after which Discord archives a question's thread: one of its four choices."""
NAME_CHARS: Final = 100
"""Longest name of a thread (Discord: channel resource)."""


def thread_name(text: str) -> str:
    """Return what a question's thread is called: the beginning of its words."""
    words = " ".join(text.split())
    if len(words) <= NAME_CHARS:
        return words or "Question"
    return f"{words[: NAME_CHARS - 1].rpartition(' ')[0] or words[: NAME_CHARS - 1]}…"


async def open_thread(client: ClawbotClient, message: IncomingMessage, name: str) -> Place | None:
    """Open a thread on a message; ``None`` where that can't be.

    One that is there already, of an earlier run, is taken.
    """
    place = message.place
    channel = client.get_channel(place.channel_id)
    if place.kind is not PlaceKind.GUILD_TEXT or not isinstance(channel, discord.TextChannel):
        return None
    granted = channel.permissions_for(channel.guild.me)
    if not (granted.create_public_threads and granted.send_messages_in_threads):
        return None
    start = client.http.start_thread_with_message
    try:
        await Caller(client.services.clock).call(
            lambda: start(
                place.channel_id, message.id, name=name, auto_archive_duration=THREAD_MINUTES
            )
        )
    except DeliveryError as exc:
        if not isinstance(exc.__cause__, discord.HTTPException) or exc.__cause__.code != HAS_THREAD:
            _log.info("a question gets no thread of its own (%s)", plain_reason(exc))
            return None
    return replace(
        place,
        kind=PlaceKind.THREAD,
        channel_id=ChannelId(message.id),
        parent_id=place.channel_id,
    )


HAS_THREAD: Final = 160004
"""Discord's JSON error code for a message that has a thread already."""


_log = logging.getLogger(__name__)


class Signals:
    """Tells people by Discord; see ``bot.chat.turned_away.Signals``.

    Args:
        client: The bot.
    """

    def __init__(self, client: ClawbotClient) -> None:
        self._client = client

    async def reply(self, message: IncomingMessage, sentence: str) -> bool:
        """Say a sentence in reply; return whether it stands."""
        try:
            await self._say(message.place, message.id, QuestionId(message.id), sentence)
        except DeliveryError as exc:
            _log.info("a notice could not be posted (%s)", plain_reason(exc))
            return False
        return True

    async def announce(self, place: Place, about: QuestionId, sentence: str) -> bool:
        """Say a sentence to a channel; return whether it stands, or never will."""
        try:
            await self._say(place, None, about, sentence)
        except DeliveryUnavailableError:
            return False
        except DeliveryError as exc:
            _log.warning("messages there are left without a word (%s)", plain_reason(exc))
        return True

    async def mark(self, message: IncomingMessage, mark: str) -> bool:
        """Put a mark on a message; return whether it is there."""
        try:
            await message_sink(self._client, message.place, message.id).mark(mark)
        except DeliveryError as exc:
            _log.debug("a message could not be marked (%s)", plain_reason(exc))
            return False
        return True

    async def _say(
        self, place: Place, reply_to: MessageId | None, about: QuestionId, sentence: str
    ) -> None:
        sink = message_sink(self._client, place, reply_to)
        message_id = await sink.send(notice(sentence), nonce=nonce(about, "n", 0), is_reply=True)
        await self._client.services.own_words.posted_notice(message_id)
