"""Why is it slow, or silent? ``/diag`` looks and says what to do."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import ClawbotClient
from cogs import _respond

Interaction = discord.Interaction[ClawbotClient]


class DiagnosticsCog(commands.Cog):
    """Read-only; everything it says is for the person who asked alone."""

    diag = app_commands.Group(name="diag", description="Find out why I'm slow or silent")

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services

    @diag.command(name="queue")
    async def queue(self, interaction: Interaction) -> None:
        """Show how many questions wait, and how many are being answered."""
        scheduler = self._services.scheduler
        await _respond.say(
            interaction,
            f"{scheduler.running} being answered on {scheduler.slots} slots, "
            f"{scheduler.waiting} waiting. An answer takes about {scheduler.mean_answer_s:.0f} s.",
        )


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    await bot.add_cog(DiagnosticsCog(bot))
