"""A logged-in discord.py client on the sandbox, and sinks over it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import discord
from discord import app_commands

from bot.core.domain import ChannelId, GuildId, MessageId, Place, PlaceKind
from bot.gateway.endpoints import discord_endpoints
from cogs._sink import InteractionSink, MessageSink, response_to
from config.settings import DiscordSettings
from sandbox.discord import Channel, DiscordSandbox, Guild, Message, Person
from tests.support.clock import FakeClock

MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = "/channels/{channel_id}/messages/{message_id}"
SUPPRESS_EMBEDS = 4


class HastyClock(FakeClock):
    """A clock whose sleeps pass at once."""

    async def sleep(self, delay_s: float) -> None:
        """Move time forward instead of waiting."""
        self._elapsed_s += max(0.0, delay_s)
        await asyncio.sleep(0)


@dataclass(slots=True)
class DiscordRig:
    """A guild with a channel, somebody who asks, and the bot's client."""

    sandbox: DiscordSandbox
    client: discord.Client
    tree: app_commands.CommandTree[discord.Client]
    guild: Guild
    channel: Channel
    ada: Person
    clock: HastyClock = field(default_factory=HastyClock)
    learnt: list[str] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """The channel as the core knows it."""
        return Place(PlaceKind.GUILD_TEXT, ChannelId(self.channel.id), GuildId(self.guild.id))

    def sink(self, asked: Message | None = None, *, timeout_s: float = 5.0) -> MessageSink:
        """Return a sink that replies to a message."""
        reply_to = MessageId(asked.id) if asked is not None else None
        return MessageSink(
            self.client,
            self.place,
            reply_to,
            self.clock,
            call_timeout_s=timeout_s,
            learn=lambda message: self.learnt.append(message["content"]),
        )

    def interaction_sink(self, interaction: discord.Interaction[Any]) -> InteractionSink:
        """Return a sink for a deferred slash command."""
        response = response_to(interaction, self.place)
        return InteractionSink(self.client, response, self.place, self.clock)

    def bot_messages(self) -> list[Message]:
        """What the bot has standing in the channel."""
        return [each for each in self.sandbox.bot_messages if each.channel is self.channel]


@contextlib.asynccontextmanager
async def discord_rig(
    *, online: bool = False, bot_permissions: int | None = None
) -> AsyncGenerator[DiscordRig, None]:
    """Set up a guild and log the bot in; ``online`` connects the gateway too.

    Without rate limits: discord.py would wait for them on the machine's clock.
    """
    async with DiscordSandbox(buckets=False) as sandbox:
        ada = sandbox.add_user("Ada")
        guild = sandbox.add_guild("Office", bot_permissions=bot_permissions)
        guild.add_member(ada)
        channel = guild.add_channel("talk")
        settings = DiscordSettings(api_base=sandbox.api_base, gateway_url=sandbox.gateway_url)
        with discord_endpoints(settings):
            client = discord.Client(
                intents=discord.Intents(guilds=True, guild_messages=True),
                allowed_mentions=discord.AllowedMentions.none(),
                max_messages=None,
                guild_ready_timeout=0.1,
            )
            tree = app_commands.CommandTree(client)
            here = DiscordRig(sandbox, client, tree, guild, channel, ada)
            async with client:
                await client.login(sandbox.token)
                running = asyncio.create_task(client.connect()) if online else None
                if running is not None:
                    await sandbox.wait_online()
                    await client.wait_until_ready()
                yield here
            if running is not None:
                await asyncio.gather(running, return_exceptions=True)
