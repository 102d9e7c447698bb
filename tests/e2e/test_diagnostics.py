"""``/diag``: acknowledged at once, the cause named, nothing said that a member needn't know."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.support.application import running, settings_for


async def network(discord: DiscordSandbox, ada: Person, channel: Channel) -> str:
    """Run ``/diag network`` and return its whole report."""
    interaction = await ada.slash(channel, "diag network")
    await interaction.wait_response(timeout_s=2)
    assert interaction.ephemeral
    await discord.wait_until(lambda: "Completion" in interaction.content, timeout_s=20)
    return interaction.content


async def test_all_well(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        report = await network(discord, ada, channel)
    assert "❌" not in report
    assert "127.0.0.1" not in report


async def test_a_machine_that_is_off_is_named_as_the_cause(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    async with running(settings_for(discord, lm, tmp_path)):
        report = await network(discord, ada, channel)
    assert "❌ **Connection**" in report
    assert "127.0.0.1" not in report


async def test_a_wrong_api_token_is_named_as_the_cause(
    discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with LMStudioSandbox([Model("qwen/qwen3-next-80b")], token="sk-lm-right:one") as lm:
        settings = settings_for(discord, lm, tmp_path, LMSTUDIO_API_TOKEN="sk-lm-wrong:one")
        async with running(settings):
            report = await network(discord, ada, channel)
    assert "❌ **API token**" in report
    assert "sk-lm" not in report


@pytest.mark.parametrize("name", ["diag queue", "diag model", "diag channel", "help", "stop"])
async def test_each_looking_command_answers_the_person_alone(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    name: str,
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        interaction = await ada.slash(channel, name)
        await interaction.wait_response(timeout_s=3)
        assert interaction.ephemeral
        assert interaction.content
