"""The cogs in a bot of somebody else's: the example of the documentation, run as it stands."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path

import pytest
from discord.ext import commands

from bot.core.tasks import end_tasks
from bot.gateway.client import ClawbotClient, intents_for
from bot.gateway.endpoints import discord_endpoints
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import environment_between, settings_for

EXAMPLE = Path(__file__).parents[2] / "docs" / "example_bot.py"


async def test_the_example_answers_beside_its_own_commands(
    discord: DiscordSandbox, ada: Person, channel: Channel, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    channel.guild.open_command("config")
    main = runpy.run_path(str(EXAMPLE))["main"]
    with discord_endpoints(settings_for(discord, lm, tmp_path).discord):
        work = asyncio.create_task(main(environment_between(discord, lm, tmp_path)))
        try:
            await discord.wait_command("roll")
            await discord.wait_command("setup")
            await discord.wait_online()
            asked = await ada.mention(channel, "Hello?")
            await discord.wait_reply(asked, until=lambda reply: "help you" in reply.content)
            own = await bob.slash(channel, "roll")
            await own.wait_content()
            assert own.content == "You rolled a 4."
            refused = await bob.slash(channel, "config show")
            await refused.wait_content()
            assert "Manage Server" in refused.content
            page = await ada.slash(channel, "setup")
            await page.wait_content()
            assert "1. Model" in page.content
        finally:
            await end_tasks(work)


async def test_the_cogs_load_only_where_somebody_asks_who_may_use_them() -> None:
    bot = ClawbotClient(command_prefix=(), intents=intents_for(message_content=False))
    with pytest.raises(commands.ExtensionFailed, match="tree_cls=ClawbotTree"):
        await bot.load_extension("cogs.admin")
