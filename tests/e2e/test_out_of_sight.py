"""What happened while the bot saw nothing of a channel or a server: it is found, and nothing deleted is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Guild, Message, Permission, Person
from sandbox.discord.values.permissions import EVERYONE
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import running, settings_for


async def answered(discord: DiscordSandbox, asked: Message) -> Message:
    """Wait for the whole answer."""
    return await discord.wait_reply(asked, until=lambda r: "help you" in r.content and r.buttons)


def hide(guild: Guild, channel: Channel, how: str, *, is_hidden: bool) -> None:
    """Take a channel out of the bot's sight, or let it be seen again."""
    bot = next(each for each in guild.context.users.values() if each.is_bot)
    if how == "overwrite":
        channel.overwrite(guild.everyone, deny="view_channel" if is_hidden else None)
    elif how == "role":
        guild.set_permissions(guild.everyone, 0 if is_hidden else EVERYONE)
    elif is_hidden:
        guild.remove_member(bot)
    else:
        guild.add_bot(bot)


@pytest.mark.parametrize("how", ["overwrite", "role", "removed"])
async def test_what_was_said_and_deleted_out_of_sight_is_as_it_is_now(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    channel: Channel,
    ada: Person,
    how: str,
) -> None:
    guild = channel.guild
    assert guild is not None
    thread = channel.add_thread("Plans", owner=ada)
    async with running(settings_for(discord, lm, tmp_path)):
        deleted = await ada.say(thread, "the first canary")
        await answered(discord, await ada.mention(thread, "What was said?"))
        hide(guild, channel, how, is_hidden=True)
        await ada.say(thread, "the second canary")
        await ada.delete(deleted)
        hide(guild, channel, how, is_hidden=False)
        await answered(discord, await ada.mention(thread, "And now?"))
    given = str(lm.completions[-1].body["messages"])
    assert "the second canary" in given
    assert "the first canary" not in given


@pytest.mark.parametrize("how", ["overwrite", "role"])
async def test_a_question_deleted_or_changed_out_of_sight_amid_its_answer_is_as_it_is_now(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    channel: Channel,
    ada: Person,
    how: str,
) -> None:
    guild = channel.guild
    assert guild is not None
    bob = discord.add_user("Bob")
    guild.add_member(bob, permissions=Permission.ADMINISTRATOR)
    lm.script(*[Answer("In the old words.", pause_after=0)] * 2)
    async with running(settings_for(discord, lm, tmp_path)):
        deleted, changed = [await each.mention(channel, "Hello?") for each in (bob, ada)]
        await lm.wait_until(lambda: len(lm.completions) == 2)
        hide(guild, channel, how, is_hidden=True)
        await bob.delete(deleted)
        await ada.edit(changed, f"{discord.bot_user.mention} Another question")
        hide(guild, channel, how, is_hidden=False)
        await answered(discord, changed)
        await lm.wait_until(lambda: all(each.cancelled_at for each in lm.completions[:2]))
    assert len(discord.bot_messages) == 1


async def test_a_mention_is_found_in_a_server_that_comes_late_to_the_session(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    guild = channel.guild
    assert guild is not None
    other = discord.add_guild("Other", owner=ada).add_channel("other")
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        for place in (channel, other):
            await answered(discord, await ada.mention(place, "Hello"))
    missed = await ada.mention(channel, "While you were away")
    guild.set_outage(True)
    async with running(settings):
        await answered(discord, await ada.mention(other, "Are you back?"))
        guild.set_outage(False)
        await answered(discord, missed)


async def test_a_mention_at_the_edge_of_an_outage_is_found_when_the_server_is_back(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    guild = channel.guild
    assert guild is not None
    async with running(settings_for(discord, lm, tmp_path)):
        await answered(discord, await ada.mention(channel, "Hello"))
        guild.set_outage(True)
        missed = await ada.mention(channel, "Does this arrive?")
        guild.set_outage(False)
        later = await ada.mention(channel, "And this?")
        await answered(discord, later)
        await answered(discord, missed)
    assert len(discord.replies(missed)) == len(discord.replies(later)) == 1
