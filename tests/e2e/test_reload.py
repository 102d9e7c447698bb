"""The settings file is edited while the bot runs: good edits hold, broken ones are told, some wait."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.ops.reload import Origin
from config.environment import read_environment
from sandbox.discord import Channel, DiscordSandbox, Permission, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import environment_between, running
from tests.support.clock import SwiftClock


@dataclass
class Edited:
    """A running bot whose settings file is edited."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    ada: Person
    channel: Channel
    file: Path

    async def show(self, person: Person, setting: str) -> str:
        """Return what ``/config show`` says of a setting."""
        said = await person.slash(self.channel, "config show", setting=setting)
        await self.discord.wait_until(lambda: said.content)
        return said.content

    async def shows(self, text: str, setting: str = "temperature") -> str:
        """Look at a setting again and again until an owner is told something."""
        content = ""
        for _ in range(200):
            content = await self.show(self.discord.owner, setting)
            if text in content:
                break
        assert text in content
        return content


@pytest.fixture
async def edited(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> AsyncGenerator[Edited, None]:
    assert channel.guild is not None
    channel.guild.add_member(discord.owner, permissions=Permission.MANAGE_GUILD)
    environment = environment_between(discord, lm, tmp_path / "data")
    file = tmp_path / "clawbot.json"
    file.write_text('{"temperature": 0.5, "max_tokens": 100}')
    origin = Origin(
        lambda: read_environment(environment, folder=tmp_path), (tmp_path / ".env", file)
    )
    settings = origin.read().load().settings
    async with running(settings, SwiftClock(50), origin):
        yield Edited(discord, lm, ada, channel, file)


async def test_an_edit_of_the_settings_file_is_in_the_next_request(edited: Edited) -> None:
    await edited.shows("`0.5` · from the settings file")
    edited.file.write_text('{"temperature": 0.9, "max_tokens": 100}')
    await edited.shows("`0.9` · from the settings file")
    message = await edited.ada.mention(edited.channel, "Hello?")
    await edited.discord.wait_reply(message, until=lambda reply: "help you" in reply.content)
    assert edited.lm.completions[-1].body["temperature"] == 0.9
    edited.file.unlink()
    await edited.shows("`2048", "max_tokens")


async def test_a_broken_edit_is_told_and_the_last_good_values_hold(edited: Edited) -> None:
    edited.file.write_text('{"temperature": 99}')
    told = await edited.shows("aren't used")
    assert "from 0 to 2" in told
    assert "`0.5`" in told
    assert "aren't used" not in await edited.show(edited.ada, "temperature")
    edited.file.write_text('{"temperature": 0.4}')
    assert "aren't used" not in await edited.shows("`0.4`")


async def test_what_needs_a_restart_says_so_to_owners(edited: Edited) -> None:
    edited.file.write_text('{"temperature": 0.4, "logging": {"level": "DEBUG"}}')
    told = await edited.shows("restart me")
    assert "logging.level" in told
    assert "`0.4`" in told
    assert "logging.level" not in await edited.show(edited.ada, "temperature")
