"""What counts as asking: the ways in which people's clients address the bot."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Permission, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for

pytestmark = pytest.mark.usefixtures("online")


@pytest.fixture
async def online(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> AsyncGenerator[None, None]:
    """The application, running."""
    async with running(settings_for(discord, lm, tmp_path)):
        yield


async def answered(discord: DiscordSandbox, lm: LMStudioSandbox, asked: Message) -> str:
    """Wait for the answer of a message and return what the model was given last."""
    await discord.wait_reply(asked, until=lambda reply: "help you" in reply.content)
    return str(lm.completions[-1].body["messages"][-1]["content"])


async def test_the_bots_managed_role_is_a_mention_of_the_bot(
    discord: DiscordSandbox, lm: LMStudioSandbox, channel: Channel
) -> None:
    bob = discord.add_user("Bob")  # may not mention all roles: Discord's lists stay empty
    guild = channel.guild
    assert guild is not None
    guild.add_member(bob)
    channel.overwrite(guild.everyone, deny=Permission.MENTION_EVERYONE)
    asked = await bob.say(channel, f"{guild.bot_role.mention} what is it?")
    assert not asked.mention_ids
    assert not asked.mention_role_ids
    assert await answered(discord, lm, asked) == "what is it?"


async def test_the_managed_role_in_code_mentions_nobody(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    role = channel.guild.bot_role.mention
    for text in (f"`{role}` x", f"```\n{role}\n``` x", f"\\{role} x"):
        await ada.say(channel, text)
    asked = await ada.mention(channel, "the real question")
    assert "the real question" in await answered(discord, lm, asked)
    assert len(lm.completions) == 1


async def test_a_mention_added_by_an_edit_is_a_mention(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    asked = await ada.say(channel, "what is it?")
    await ada.edit(asked, "<@bot> what is it?")
    assert await answered(discord, lm, asked) == "what is it?"


async def test_a_forward_in_private_waits_for_its_comment(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    source = await ada.say(channel, "E = mc²")
    await ada.say(ada.dm_channel, forward=source)
    comment = await ada.dm("What does this mean?")
    text = await answered(discord, lm, comment)
    assert "⟦forwarded message⟧\nE = mc²\n⟦end of the forwarded message⟧" in text
    assert text.endswith("What does this mean?")
    assert len(lm.completions) == 1
    said = [m for m in ada.dm_channel.messages.values() if m.author is discord.bot_user]
    assert len(said) == 1


async def test_a_forward_poll_or_sticker_alone_in_private_is_answered_about(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    source = await ada.say(channel, "E = mc²")
    forward = await ada.say(ada.dm_channel, forward=source)
    assert "⟦forwarded message⟧\nE = mc²" in await answered(discord, lm, forward)
    poll = await ada.poll(ada.dm_channel, "Tea or coffee?", ["Tea", "Coffee"])
    text = await answered(discord, lm, poll)
    assert "⟦poll⟧\nTea or coffee?\n- Tea\n- Coffee\n⟦end of the poll⟧" in text
    sticker = await ada.sticker(ada.dm_channel, "Wave")
    assert "⟦sticker Wave⟧" in await answered(discord, lm, sticker)
    assert not any("⚠️" in m.content for m in ada.dm_channel.messages.values())


async def test_in_a_server_a_mention_without_words_is_about_what_its_author_says_right_before_or_after(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel
) -> None:
    source = await ada.say(channel, "E = mc²")
    guild = channel.guild
    assert guild is not None
    people = [discord.add_user(name) for name in ("Bob", "Cid", "Dan", "Eve", "Fay", "Gus", "Hal")]
    for person in people:
        guild.add_member(person)
    bob, cid, dan, eve, fay, gus, hal = people
    mention = discord.bot_user.mention

    async def both(first: Awaitable[Message], second: Callable[[], Awaitable[Message]]) -> str:
        await first
        return await answered(discord, lm, await second())

    forward, poll = "⟦forwarded message⟧\nE = mc²", "⟦poll⟧\nTea or coffee?"
    options = ["Tea", "Coffee"]
    assert forward in await both(
        bob.say(channel, forward=source), lambda: bob.say(channel, mention)
    )
    assert poll in await both(
        cid.poll(channel, "Tea or coffee?", options), lambda: cid.say(channel, mention)
    )
    assert "⟦sticker Wave⟧" in await both(
        dan.sticker(channel, "Wave"), lambda: dan.say(channel, f"{mention} what is this?")
    )
    assert "What is e?" in await both(
        eve.say(channel, mention), lambda: eve.say(channel, "What is e?")
    )
    assert forward in await both(
        fay.say(channel, mention), lambda: fay.say(channel, forward=source)
    )
    assert "What is pi?" in await both(
        gus.say(channel, "What is pi?"), lambda: gus.say(channel, mention)
    )
    alone = await hal.say(channel, mention)
    said = await discord.wait_reply(alone)
    assert "Write it after the mention" in said.content
    assert len(lm.completions) == 6
    assert len([m for m in channel.messages.values() if m.author is discord.bot_user]) == 7
