"""The command tree: our permission gate before every interaction, our error table after it."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.gateway.client import ClawbotClient
from cogs import _gate, _respond

NEEDS_TREE = "Make the bot with tree_cls=ClawbotTree: it asks who may use a command."


class ClawbotTree(app_commands.CommandTree[ClawbotClient]):
    """Asks the one gate, and answers any failure in one sentence. Others' commands are let alone."""

    async def interaction_check(self, interaction: discord.Interaction[ClawbotClient], /) -> bool:
        """Let a command or its autocomplete through; a refusal is answered by the gate.

        A command is acknowledged before anything is done for it, since Discord waits 3 s: all but those
        that are answered ``OTHERWISE``.
        """
        command = interaction.command
        if _is_others(command):
            return True
        if not await _gate.admits(interaction):
            return False
        is_used = interaction.type is discord.InteractionType.application_command
        if (
            is_used
            and command is not None
            and not command.extras.keys() & _respond.OTHERWISE.keys()
        ):
            await _respond.Acknowledgement(interaction, is_private=True).give()
        return True

    async def on_error(
        self,
        interaction: discord.Interaction[ClawbotClient],
        error: app_commands.AppCommandError,
        /,
    ) -> None:
        """Answer a failed command."""
        if _is_others(interaction.command):
            await super().on_error(interaction, error)
        else:
            await _respond.failure(interaction, error)


def _is_others(command: object) -> bool:
    """Return whether a command is known to be none of these cogs': a bot may have further ones."""
    root = getattr(command, "root_parent", None) or command
    module: Any = getattr(root, "module", None)
    return isinstance(module, str) and module.partition(".")[0] != __package__


def require_tree(client: ClawbotClient) -> None:
    """Let the cogs be loaded only where somebody asks who may use their commands.

    Raises:
        TypeError: The bot's tree doesn't.
    """
    if not isinstance(client.tree, ClawbotTree):
        raise TypeError(NEEDS_TREE)
