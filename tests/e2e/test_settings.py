"""Settings by slash command: who may, what is refused, when it holds, and that it stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.clock import SystemClock
from bot.core.domain import ChannelId, GuildId, UserId
from bot.storage.database import DATABASE_FILE, open_database
from bot.storage.setting_types import Scope, StoredSetting
from bot.storage.settings_sql import load, save_all
from sandbox.discord import Channel, DiscordSandbox, Interaction, Permission, Person
from sandbox.lmstudio import Fault, LMStudioSandbox
from tests.support.application import running, settings_for


async def answer(
    discord: DiscordSandbox, person: Person, channel: Channel, name: str, **options: object
) -> Interaction:
    """Use a command and wait for its answer."""
    interaction = await person.slash(channel, name, **options)
    await interaction.wait_response()
    await discord.wait_until(lambda: interaction.content)
    return interaction


async def ask(discord: DiscordSandbox, person: Person, channel: Channel) -> None:
    """Mention the bot and wait for the whole answer."""
    message = await person.mention(channel, "Hello?")
    await discord.wait_reply(message, until=lambda reply: "help you" in reply.content)


async def test_an_admins_setting_is_in_the_very_next_request_and_survives_a_restart(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        said = await answer(
            discord, ada, channel, "config set", setting="temperature", value="0.31"
        )
        assert said.ephemeral
        assert "0.31" in said.content
        await ask(discord, ada, channel)
        assert lm.completions[-1].body["temperature"] == 0.31
    async with running(settings):
        await ask(discord, ada, channel)
        assert lm.completions[-1].body["temperature"] == 0.31
        shown = await answer(discord, ada, channel, "config show", setting="temperature")
        assert "0.31" in shown.content
        assert "this server" in shown.content


@pytest.mark.parametrize("value", ["hot", "99", "-1", "nan", "1e999", " "])
async def test_a_bad_value_is_refused_with_the_range_and_changes_nothing(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    value: str,
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        said = await answer(discord, ada, channel, "config set", setting="temperature", value=value)
        assert said.ephemeral
        assert "0" in said.content
        assert "2" in said.content
        await ask(discord, ada, channel)
        assert lm.completions[-1].body["temperature"] == 0.7


async def test_a_member_may_neither_change_settings_nor_see_choices(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    channel.guild.open_command("config")
    async with running(settings_for(discord, lm, tmp_path)):
        said = await answer(
            discord, bob, channel, "config set", setting="temperature", value="0.31"
        )
        assert said.ephemeral
        assert "Manage Server" in said.content
        assert await bob.autocomplete(channel, "config set", "value", "0", setting="model") == []
        await ask(discord, ada, channel)
        assert lm.completions[-1].body["temperature"] == 0.7


async def test_a_manager_may_not_change_what_holds_everywhere(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel
) -> None:
    carol = discord.add_user("Carol")
    assert channel.guild is not None
    channel.guild.add_member(carol, permissions=Permission.MANAGE_GUILD)
    async with running(settings_for(discord, lm, tmp_path)):
        said = await answer(
            discord,
            carol,
            channel,
            "config set",
            setting="temperature",
            value="0.31",
            scope="global",
        )
        assert said.ephemeral
        assert "whoever runs me" in said.content


async def test_the_network_timeout_set_by_command_holds_from_the_next_answer_on(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel
) -> None:
    owner = discord.owner
    assert channel.guild is not None
    channel.guild.add_member(owner)
    channel.guild.open_command("config")
    async with running(settings_for(discord, lm, tmp_path)):
        said = await answer(
            discord,
            owner,
            channel,
            "config set",
            setting="network_timeout",
            value="1000",
            scope="global",
        )
        assert "1000" in said.content
        lm.faults.next(Fault.HANG_AFTER_TOKENS, times=None, after_tokens=3)
        message = await owner.mention(channel, "Hello?")
        await discord.wait_reply(message, until=lambda reply: "in the middle here" in reply.content)


async def test_owners_are_told_by_config_show_that_the_database_was_set_aside(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    owner = discord.owner
    assert channel.guild is not None
    channel.guild.add_member(owner, permissions=Permission.MANAGE_GUILD)
    (tmp_path / "clawbot.db").write_bytes(b"this is no database" * 1000)
    async with running(settings_for(discord, lm, tmp_path)):
        told = await answer(discord, owner, channel, "config show")
        assert "was set aside" in told.content
        others = await answer(discord, ada, channel, "config show")
        assert "was set aside" not in others.content


async def test_settings_of_channels_deleted_while_the_bot_was_away_leave_room_for_others(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    guild = channel.guild
    assert guild is not None
    guild_id, now = GuildId(guild.id), SystemClock().now()
    kept = [Scope.in_channel(ChannelId(guild.add_channel(f"c{n}").id), guild_id) for n in range(98)]
    gone = [Scope.in_channel(ChannelId(n), guild_id) for n in (901, 902)]
    places = [StoredSetting(scope, "max_tokens", 77, UserId(1), now) for scope in (*kept, *gone)]
    async with open_database(tmp_path / DATABASE_FILE, SystemClock()) as database:
        await database.write(lambda c: save_all(c, places))
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_command("config")
        wish = {"setting": "max_tokens", "value": "88", "scope": "channel"}
        said = await answer(discord, ada, channel, "config set", **wish)
        assert "88" in said.content
    async with open_database(tmp_path / DATABASE_FILE, SystemClock()) as database:
        left = {stored.scope for stored in await database.read(load)}
    assert left == {*kept, Scope.in_channel(ChannelId(channel.id), guild_id)}
