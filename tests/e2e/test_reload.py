"""The settings file is edited while the bot runs: good edits hold, broken ones are told, some wait."""

from __future__ import annotations

from pathlib import Path

from bot.ops.reload import Origin
from config.environment import read_environment
from sandbox.discord import Channel, DiscordSandbox, Permission, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import environment_between, running
from tests.support.clock import SwiftClock


async def test_edits_of_the_settings_file_hold_at_once_or_are_told(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    channel.guild.add_member(discord.owner, permissions=Permission.MANAGE_GUILD)
    environment = environment_between(discord, lm, tmp_path / "data")
    file = tmp_path / "clawbot.json"
    origin = Origin(
        lambda: read_environment(environment, folder=tmp_path), (tmp_path / ".env", file)
    )
    file.write_text('{"temperature": 0.5, "max_tokens": 100}')

    async def show(person: Person, text: str, **options: object) -> str:
        """Look at the settings again and again until they say something."""
        content = ""
        for _ in range(200):
            content = await shown(person, **options)
            if text in content:
                break
        assert text in content
        return content

    async def shown(person: Person, **options: object) -> str:
        said = await person.slash(channel, "config show", **options)
        await discord.wait_until(lambda: said.content)
        return said.content

    settings = origin.read().load().settings
    async with running(settings, SwiftClock(50), origin):
        owner = discord.owner
        await show(owner, "`0.5` · from the settings file", setting="temperature")
        file.write_text('{"temperature": 0.9, "max_tokens": 100}')
        await show(owner, "`0.9` · from the settings file", setting="temperature")
        message = await ada.mention(channel, "Hello?")
        await discord.wait_reply(message, until=lambda reply: "help you" in reply.content)
        assert lm.completions[-1].body["temperature"] == 0.9

        file.write_text('{"temperature": 99}')
        told = await show(owner, "aren't used", setting="temperature")
        assert "from 0 to 2" in told
        assert "`0.9`" in told
        file.write_text('{"temperature": 0.4, "logging": {"level": "DEBUG"}}')
        told = await show(owner, "restart me", setting="temperature")
        assert "logging.level" in told
        assert "`0.4`" in told
        others = await ada.slash(channel, "config show", setting="temperature")
        await discord.wait_until(lambda: others.content)
        assert "logging.level" not in others.content

        file.unlink()
        await show(owner, "`2048", setting="max_tokens")
