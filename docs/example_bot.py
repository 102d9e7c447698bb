"""A Discord bot of your own with Clawbot in it, beside your own commands.

The environment is Clawbot's: DISCORD_TOKEN, LMSTUDIO_BASE_URL and so on (``docs/configuration.md``); how
Discord is reached (another address, a proxy) is your bot's own affair.
Run it where Clawbot is installed: ``.venv/bin/python docs/example_bot.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import discord

from bot.app import ClawbotTree, plugged
from bot.gateway.client import ClawbotClient, intents_for
from config.loader import load_settings


async def main(environment: dict[str, str]) -> None:
    """Run the bot until it is stopped."""
    settings = load_settings(environment).settings
    token = settings.discord.token
    if token is None:
        raise SystemExit("Set DISCORD_TOKEN.")
    bot = ClawbotClient(
        command_prefix=(),
        intents=intents_for(message_content=True),
        allowed_mentions=discord.AllowedMentions.none(),
        tree_cls=ClawbotTree,
    )

    @bot.tree.command()
    async def roll(interaction: discord.Interaction) -> None:
        """Roll a die: a command of your own, which Clawbot lets alone."""
        await interaction.response.send_message("You rolled a 4.")

    async with bot, plugged(bot, settings):
        await bot.login(token.get_secret_value())
        await bot.tree.sync()
        await bot.connect()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(dict(os.environ)))
