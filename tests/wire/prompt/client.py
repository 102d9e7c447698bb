"""A plain discord.py client on the sandbox, with the message source under test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import discord
from discord.ext import commands

from bot.core.clock import SystemClock
from bot.core.domain import (
    ChannelId,
    MessageId,
    ModelInfo,
    Origin,
    Question,
    QuestionId,
    Reasoning,
    UserId,
)
from bot.core.ports import ChatSettings
from bot.gateway.endpoints import discord_endpoints
from bot.prompt.attachments.cdn import CdnReader
from bot.prompt.attachments.decoder import DecoderPool
from bot.prompt.builder import ContextBuilder, Prompt
from bot.prompt.cache import MessageCache
from bot.prompt.tokens import TokenEstimator
from cogs import _convert
from cogs._convert import Requests
from config.settings import ContextSettings, DiscordSettings
from sandbox.discord import DiscordSandbox, Message
from tests.support.conversation import FakeAccess, NothingKept

CHAT = ChatSettings(None, 0.7, 0.95, 512, "You are {bot}.", Reasoning.AUTO)
SEEING = ModelInfo("model", is_loaded=True, context_tokens=16_384, sees_images=True)


@dataclass(slots=True)
class Reader:
    """What a test asks the bot's side for."""

    sandbox: DiscordSandbox
    client: commands.Bot
    source: MessageCache
    builder: ContextBuilder

    async def received(self, message: Message) -> discord.Message:
        """Return a message as the gateway or REST brings it."""
        found = self.client.get_channel(message.channel.id)
        channel = found or self.client.get_partial_messageable(message.channel.id)
        assert isinstance(channel, discord.abc.Messageable)
        return await channel.fetch_message(message.id)

    async def prompt(self, message: Message) -> Prompt:
        """Build the prompt for a message as if it had just arrived."""
        incoming = _convert.message(await self.received(message))
        question = Question(
            id=QuestionId(incoming.id),
            origin=Origin.MENTION,
            place=incoming.place,
            asker=incoming.author,
            text=incoming.text,
            asked_at=incoming.created_at,
            message=incoming,
        )
        return await self.builder.build(question, CHAT, SEEING)

    def history_calls(self) -> int:
        """Return how many requests for messages were made so far."""
        return sum(
            request.method == "GET" and "/messages" in request.route
            for request in self.sandbox.requests
        )


@contextlib.asynccontextmanager
async def connected(
    sandbox: DiscordSandbox, *, content: bool = True
) -> AsyncGenerator[Reader, None]:
    """Connect a client to the sandbox."""
    settings = DiscordSettings(api_base=sandbox.api_base, gateway_url=sandbox.gateway_url)
    intents = discord.Intents.none()
    intents.guilds = intents.guild_messages = intents.dm_messages = True
    intents.message_content = content
    host = sandbox.api_base.split("/")[2]
    with discord_endpoints(settings):
        client = commands.Bot(
            command_prefix=(),
            intents=intents,
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=0.1,
        )
        decoder = DecoderPool(SystemClock())
        async with client, CdnReader((host,)) as files, decoder:
            running = asyncio.create_task(client.start(sandbox.token))
            await asyncio.wait(
                {running, asyncio.create_task(sandbox.wait_online())},
                return_when=asyncio.FIRST_COMPLETED,
            )
            await client.wait_until_ready()
            source = MessageCache(Requests(client, SystemClock()), 1000, SystemClock())
            _feed(client, source)
            builder = ContextBuilder(
                source=source,
                files=files,
                decoder=decoder,
                estimator=TokenEstimator(),
                settings=ContextSettings(),
                access=FakeAccess(bot_id=lambda: UserId(sandbox.bot_user.id)),
                clock=SystemClock(),
                answers=NothingKept(),
                summaries=NothingKept(),
            )
            yield Reader(sandbox, client, source, builder)
        await asyncio.gather(running, return_exceptions=True)


def _feed(client: commands.Bot, source: MessageCache) -> None:
    """Tell a source of what the gateway brings, as the bot does."""

    async def on_message(message: discord.Message) -> None:
        source.observe(_convert.message(message))

    async def on_raw_message_edit(payload: discord.RawMessageUpdateEvent) -> None:
        source.edited(_convert.message(payload.message))

    async def on_raw_message_delete(payload: discord.RawMessageDeleteEvent) -> None:
        source.deleted(ChannelId(payload.channel_id), [MessageId(payload.message_id)])

    async def on_connect() -> None:
        source.session_lost()

    for listener in (on_message, on_raw_message_edit, on_raw_message_delete, on_connect):
        client.add_listener(listener)
