"""A yes that is asked for before something that can't be taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import discord

from bot.gateway.client import ClawbotClient
from cogs import _respond, _views

Interaction = discord.Interaction[ClawbotClient]

ASKED_S: Final = 600.0
"""Seconds that the question stays open; the interaction it is edited by holds 15 minutes."""

NOT_YOURS: Final = "Only the person who asked for this can answer here."
LEFT: Final = "Nothing was changed."
TOO_OLD: Final = "Nothing was changed: nobody said yes. Use the command again if you still want it."
WORKING: Final = "One moment…"

Do = Callable[[Interaction], Awaitable[str]]
"""Does it; returns what was done."""

Require = Callable[[Interaction], object]


class Yes(_views.PersonsView):
    """Two buttons below a question, for whoever used the command.

    Args:
        asked: The interaction that it is shown by.
        label: Of the button that means yes.
        do: What it does.
        require: Raises where whoever presses may not have it done, at the moment of the press.
    """

    def __init__(self, asked: Interaction, label: str, do: Do, require: Require) -> None:
        super().__init__(asked, ASKED_S, not_yours=NOT_YOURS, too_old=TOO_OLD)
        self._do = do
        self._require = require
        self.yes.label = label

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Let only the same person press, and ask again whether they may have it done."""
        if not await super().interaction_check(interaction):
            return False
        self._require(interaction)
        return True

    @discord.ui.button(style=discord.ButtonStyle.danger)
    async def yes(self, interaction: Interaction, _button: discord.ui.Button[Yes]) -> None:
        """Do it."""
        self.stop()
        await _respond.replace(interaction, WORKING)
        try:
            done = await self._do(interaction)
        except Exception:
            await _respond.revise(interaction, LEFT_SO_FAR)
            raise
        await _respond.revise(interaction, done)

    @discord.ui.button(label="Leave it", style=discord.ButtonStyle.secondary)
    async def no(self, interaction: Interaction, _button: discord.ui.Button[Yes]) -> None:
        """Leave everything as it is."""
        self.stop()
        await _respond.replace(interaction, LEFT)


LEFT_SO_FAR: Final = "That wasn't done, or not to its end. Please use the command again."


def _nothing(_: Interaction) -> None:
    """Require nothing more than that it is the same person."""


async def ask(
    interaction: Interaction, question: str, label: str, do: Do, require: Require = _nothing
) -> None:
    """Ask, and do it once the same person says yes."""
    await _respond.say(interaction, question, view=Yes(interaction, label, do, require))
