"""One person's buttons: a yes before what others feel or what can't be taken back, and a form once more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import discord

from bot.gateway.client import Interaction
from cogs import _respond

ASKED_S: Final = 600.0
"""Seconds that the question stays open; the interaction it is edited by holds 15 minutes."""

NOT_YOURS: Final = "Only the person who asked for this can answer here."
LEFT: Final = "Nothing was changed."
TOO_OLD: Final = "Nothing was changed: nobody said yes. Use the command again if you still want it."
OVER: Final = (
    "That question is answered already, or I was restarted since I asked it. Use the command again if "
    "you still want it."
)
WORKING: Final = "One moment…"
LEFT_SO_FAR: Final = "That wasn't done, or not to its end. Please use the command again."

YES_ID: Final = "clawbot:yes"
NO_ID: Final = "clawbot:no"
EDIT_ID: Final = "clawbot:edit"
"""The same in every run, so that a press after a restart is known."""

EDIT: Final = "Edit"

Do = Callable[[Interaction], Awaitable[str]]
"""Does it; returns what was done. What takes long shows ``WORKING`` in the question's place first."""

Open = Callable[[Interaction], Awaitable[None]]
"""Opens a form."""

Check = Callable[[Interaction], Awaitable[bool]]
"""Returns whether whoever presses may have it done, at the moment of the press; says or raises why not."""


class Own(discord.ui.View):
    """Buttons for whoever used the command and nobody else.

    Args:
        asked: The interaction that they are shown by.
        check: Asked at each press.
    """

    too_old = TOO_OLD
    """Stands in the place of the message once nobody has pressed for long."""

    def __init__(self, asked: Interaction, check: Check) -> None:
        super().__init__(timeout=ASKED_S)
        self._asked = asked
        self._check = check

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Let only the same person press, and ask again whether they may have it done."""
        if interaction.user.id != self._asked.user.id:
            await _respond.say(interaction, NOT_YOURS)
            return False
        return await self._check(interaction)

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
        """Take the buttons away."""
        await _respond.close(self._asked, self.too_old)


class Again(Own):
    """A button that opens a form again, with what was typed into it.

    Args:
        asked: The interaction that it is shown by.
        check: Asked at each press.
        open_form: Opens it.
    """

    too_old = LEFT

    def __init__(self, asked: Interaction, check: Check, open_form: Open) -> None:
        super().__init__(asked, check)
        self._open = open_form

    @discord.ui.button(label=EDIT, style=discord.ButtonStyle.primary, custom_id=EDIT_ID)
    async def edit(self, interaction: Interaction, _button: discord.ui.Button[Again]) -> None:
        """Open it."""
        await self._open(interaction)


class Yes(Own):
    """Two buttons below a question.

    Args:
        asked: The interaction that it is shown by.
        label: Of the button that means yes.
        do: What it does.
        check: Asked at each press.
    """

    def __init__(self, asked: Interaction, label: str, do: Do, check: Check) -> None:
        super().__init__(asked, check)
        self._do = do
        self.yes.label = label

    async def end(self, interaction: Interaction, text: str) -> None:
        """Say what became of it, in the question's place."""
        await _respond.say_lines(interaction, text.splitlines(), is_replacing=True)

    @discord.ui.button(style=discord.ButtonStyle.danger, custom_id=YES_ID)
    async def yes(self, interaction: Interaction, _button: discord.ui.Button[Yes]) -> None:
        """Do it."""
        self.stop()
        await _respond.Acknowledgement(interaction).give()
        try:
            done = await self._do(interaction)
        except Exception:
            await self.end(interaction, LEFT_SO_FAR)
            raise
        await self.end(interaction, done)

    @discord.ui.button(label="Leave it", style=discord.ButtonStyle.secondary, custom_id=NO_ID)
    async def no(self, interaction: Interaction, _button: discord.ui.Button[Yes]) -> None:
        """Leave everything as it is."""
        self.stop()
        await self.end(interaction, LEFT)


class Over(discord.ui.View):
    """Answers presses on questions that nobody waits for any more, those of earlier runs too."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        for custom_id in (YES_ID, NO_ID, EDIT_ID):
            button = discord.ui.Button[Over](custom_id=custom_id, label="-")
            button.callback = _say_over  # type: ignore[method-assign]
            self.add_item(button)


async def _say_over(interaction: discord.Interaction[Any]) -> None:
    await _respond.say(interaction, OVER)


async def anybody(_: Interaction) -> bool:
    """Require nothing more than that it is the same person."""
    return True


async def ask(
    interaction: Interaction, question: str, label: str, do: Do, check: Check = anybody
) -> None:
    """Ask, and do it once the same person says yes."""
    await _respond.say(interaction, question, view=Yes(interaction, label, do, check))
