"""Components that belong to the person they were shown to."""

from __future__ import annotations

from typing import Any

import discord

from bot.gateway.client import ClawbotClient
from cogs import _respond

Interaction = discord.Interaction[ClawbotClient]


class PersonsView(discord.ui.View):
    """Components that one person may use, and nobody else.

    Args:
        shown_by: The interaction that they are shown by, of that person.
        timeout_s: Seconds without a press after which they are taken away.
        not_yours: Told to anybody else who presses.
        too_old: What stands there instead of them at the end.
    """

    def __init__(
        self, shown_by: Interaction, timeout_s: float, *, not_yours: str, too_old: str
    ) -> None:
        super().__init__(timeout=timeout_s)
        self._shown_by = shown_by
        self._not_yours = not_yours
        self._too_old = too_old

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Let only the same person press."""
        if interaction.user.id != self._shown_by.user.id:
            await _respond.say(interaction, self._not_yours)
            return False
        return True

    async def on_error(
        self,
        interaction: discord.Interaction[Any],
        error: Exception,
        _item: discord.ui.Item[Any],
        /,
    ) -> None:
        """Answer what went wrong."""
        await _respond.failure(interaction, error)

    async def on_timeout(self) -> None:
        """Take them away."""
        await _respond.close(self._shown_by, self._too_old)
