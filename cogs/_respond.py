"""Answers to interactions, in whatever state they are: fresh, deferred, answered or expired."""

from __future__ import annotations

import logging

import discord
from discord import app_commands

from bot.errors import BotError, describe

_log = logging.getLogger(__name__)

GONE_CODES = frozenset({10062, 10008, 10015, 50027, 40060})
"""Unknown interaction, message or webhook, invalid token, already answered: nobody is waiting."""
LONGEST_CHARS = 2000


async def say(
    interaction: discord.Interaction,
    text: str,
    *,
    ephemeral: bool = True,
    view: discord.ui.View | None = None,
) -> None:
    """Answer an interaction in one message, whatever state it is in.

    Args:
        interaction: Fresh, deferred or answered already.
        text: Cut at Discord's 2000 characters.
        ephemeral: Only the person sees it; decided by ``defer`` for a deferred one.
        view: Buttons.
    """
    content = text if len(text) <= LONGEST_CHARS else text[: LONGEST_CHARS - 1] + "…"
    buttons = view if view is not None else discord.utils.MISSING
    try:
        if not interaction.response.is_done():
            await interaction.response.send_message(
                content, ephemeral=ephemeral, suppress_embeds=True, view=buttons
            )
        elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
            await interaction.edit_original_response(content=content, view=buttons)
        else:
            await interaction.followup.send(
                content, ephemeral=ephemeral, suppress_embeds=True, view=buttons
            )
    except discord.HTTPException as exc:
        if exc.code not in GONE_CODES:
            _log.warning("an interaction could not be answered (%s, %s)", exc.status, exc.code)


async def failure(interaction: discord.Interaction, error: BaseException) -> None:
    """Answer any failure of a command, button or modal in one plain sentence."""
    original = error
    if isinstance(error, app_commands.CommandInvokeError):
        original = error.original
    if isinstance(original, app_commands.CheckFailure):
        await say(interaction, str(original) or "You may not do that here.")
        return
    if isinstance(original, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        await say(interaction, "That command has changed. Please reload Discord and try again.")
        return
    report = describe(original)
    _log.log(
        report.log_level,
        "command %s failed: %s %s",
        interaction.command.qualified_name if interaction.command else "?",
        type(original).__name__,
        report.reference,
        exc_info=None if isinstance(original, BotError) else original,
    )
    await say(interaction, report.user_text)
