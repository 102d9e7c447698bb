"""What the cogs need of a discord.py bot: any that is derived from this one can load them."""

from __future__ import annotations

import math

import discord
from discord.ext import commands

from bot.core.domain import UserId
from bot.gateway.rest import RestWatch
from bot.gateway.services import Services

EXTENSIONS = ("cogs.chat", "cogs.admin", "cogs.models", "cogs.diagnostics", "cogs.privacy")


def intents_for(*, message_content: bool) -> discord.Intents:
    """Return the intents the bot asks for: only what it handles."""
    intents = discord.Intents.none()
    intents.guilds = True
    intents.guild_messages = True
    intents.dm_messages = True
    intents.message_content = message_content
    return intents


class ClawbotClient(commands.Bot):
    """A bot that has what the cogs use.

    Attributes:
        services: Everything the cogs may use.
        rest: What Discord's REST answers.
    """

    user: discord.ClientUser
    services: Services
    rest: RestWatch

    @property
    def me(self) -> UserId:
        """The bot's own user."""
        return UserId(self.user.id)

    def is_online(self) -> bool:
        """Return whether the gateway session is up."""
        return self.is_ready() and not self.is_closed()

    def serves(self, _guild_id: int | None, /) -> bool:
        """Return whether this process has all that Discord tells of a server, or of direct messages."""
        return True

    def heartbeat_pause_s(self) -> float:
        """Return the time between two heartbeats, in seconds; infinite before Discord said it."""
        keeper = getattr(self.ws, "_keep_alive", None)  # nothing public tells it
        return getattr(keeper, "interval", None) or math.inf
