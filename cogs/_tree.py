"""The command tree: our permission gate before every interaction, our error table after it."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.gateway.client import ClawbotClient
from cogs import _gate, _respond


class ClawbotTree(app_commands.CommandTree[ClawbotClient]):
    """Asks the one gate, and answers any failure in one sentence."""

    async def interaction_check(self, interaction: discord.Interaction[ClawbotClient], /) -> bool:
        """Let a command or its autocomplete through; a refusal is answered by the gate."""
        return await _gate.admits(interaction)

    async def on_error(
        self,
        interaction: discord.Interaction[ClawbotClient],
        error: app_commands.AppCommandError,
        /,
    ) -> None:
        """Answer a failed command."""
        await _respond.failure(interaction, error)
