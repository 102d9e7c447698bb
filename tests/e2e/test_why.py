"""``/diag model``, ``queue`` and ``channel`` as members, managers and owners see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cogs.diagnostics import LOOKS
from sandbox.discord import Channel, DiscordSandbox, Interaction, Person
from sandbox.discord.values.channel_types import PRIVATE_THREAD
from sandbox.lmstudio import Answer, Fault, LMStudioSandbox
from tests.support.application import running, settings_for

SEND_MESSAGES, READ_HISTORY, VIEW_CHANNEL = 1 << 11, 1 << 16, 1 << 10


async def asked(
    discord: DiscordSandbox, asker: Person, where: Channel, command: str, /, **options: Any
) -> Interaction:
    """Use a command and wait for its text."""
    interaction = await asker.slash(where, command, **options)
    await interaction.wait_response()
    await discord.wait_until(lambda: interaction.content)
    assert interaction.ephemeral
    return interaction


def member(discord: DiscordSandbox, channel: Channel, name: str, **more: Any) -> Person:
    person = discord.add_user(name)
    assert channel.guild is not None
    channel.guild.add_member(person, **more)
    return person


async def test_the_model_comes_with_figures_and_a_picture_that_says_them_in_words(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        before = await asked(discord, ada, channel, "diag model")
        assert "no figures yet" in before.content
        message = await ada.mention(channel, "Hello?")
        await discord.wait_reply(message, until=lambda reply: "help you" in reply.content)
    async with running(settings_for(discord, lm, tmp_path)):
        after = await asked(discord, ada, channel, "diag model", span="hour")
        assert "qwen/qwen3-next-80b" in after.content
        assert "Questions: 1 question, none failed" in after.content
        shown = after.message
        assert shown is not None
        await discord.wait_until(lambda: shown.attachments, timeout_s=40)
    assert shown.attachments[0].filename == "hour.png"
    assert "last hour: 1 question, none failed" in (shown.attachments[0].description or "")
    assert "Questions: 1 question" in after.content


async def test_the_line_names_people_to_those_who_manage_the_server(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob, carl = member(discord, channel, "Bob"), member(discord, channel, "Carl")
    at_once = {"CLAWBOT_QUEUE__SLOTS": "1", "CLAWBOT_DELIVERY__STAGE_AFTER_S": "0"}
    async with running(settings_for(discord, lm, tmp_path, **at_once)):
        lm.faults.next(Fault.HANG_AFTER_TOKENS, after_tokens=3)
        first = await bob.mention(channel, "Hello?")
        await discord.wait_reply(first, until=lambda reply: "Hello" in reply.content)
        second = await carl.mention(channel, "And me?")
        await discord.wait_reply(second, until=lambda reply: "in line" in reply.content)
        own = (await asked(discord, carl, channel, "diag queue")).content
        assert "1 waiting" in own
        assert f"<@{carl.id}> for" in own
        assert f"<@{bob.id}>" not in own
        assert "1 question of people who aren't named here" in own
        shown = (await asked(discord, ada, channel, "diag queue")).content
        assert f"<@{bob.id}> for" in shown
        assert f"<@{carl.id}> for" in shown
        assert "Server 1: answers; 1 of 4 slots busy." in shown
        await asked(discord, bob, channel, "stop")


async def test_somebody_who_is_not_in_the_server_is_one_sentence_and_no_failure(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    channel: Channel,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stranger = discord.add_user("Zebedee")
    async with running(settings_for(discord, lm, tmp_path)):
        said = await asked(discord, ada, channel, "diag channel", person=stranger)
    assert said.content == "I can't find that in this server. Please choose from the list."
    assert "zebedee" not in caplog.text.lower()


async def test_members_ask_about_themselves_and_managers_about_anybody(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = member(discord, channel, "Bob")
    manager = member(discord, channel, "Mel", permissions="manage_guild")
    assert channel.guild is not None
    hidden = channel.guild.add_channel("hidden", overwrites={channel.guild.id: (0, VIEW_CHANNEL)})
    async with running(settings_for(discord, lm, tmp_path)):
        own = await asked(discord, bob, channel, "diag channel")
        assert own.content.startswith(f"✅ I answer <@{bob.id}>")
        other = await asked(discord, bob, channel, "diag channel", person=ada)
        assert "Manage Server permission" in other.content
        managed = await asked(discord, manager, channel, "diag channel", person=bob)
        assert managed.content.startswith(f"✅ I answer <@{bob.id}>")
        lacking = await asked(discord, ada, channel, "diag channel", channel=hidden, person=bob)
        assert lacking.content.startswith(f"❌ I don't answer <@{bob.id}> in <#{hidden.id}>")
        assert "View Channel (denied to everyone in the permissions of" in lacking.content


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("BLOCKED_USER_IDS", "{bob}", "this person is blocked"),
        ("ALLOWED_GUILD_IDS", "7", "I answer certain servers only"),
        ("BLOCKED_CHANNEL_IDS", "{channel}", "is blocked"),
        ("BLOCKED_CHANNEL_IDS", "{category}", "is blocked"),
        ("ALLOWED_CHANNEL_IDS", "7", "I answer in certain channels only"),
        ("ALLOWED_CHANNEL_IDS", "{category}", ""),
        ("ALLOWED_ROLE_IDS", "7", "none of the roles"),
    ],
)
async def test_what_is_said_of_a_person_is_what_a_mention_of_theirs_meets(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    tmp_path: Path,
    ada: Person,
    field: str,
    value: str,
    words: str,
) -> None:
    guild = discord.add_guild("Home", owner=ada)
    category = guild.add_channel("rooms", "category")
    channel = guild.add_channel("general", parent=category)
    bob = member(discord, channel, "Bob")
    owner = member(discord, channel, "Olga")
    ids = {"bob": bob.id, "channel": channel.id, "category": category.id}
    extra = {
        f"CLAWBOT_DISCORD__{field}": value.format_map(ids),
        "CLAWBOT_OWNER_IDS": str(owner.id),
    }
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        message = await bob.mention(channel, "Hello?")
        reply = await discord.wait_reply(message, until=lambda reply: reply.content)
        said = await asked(discord, owner, channel, "diag channel", person=bob)
    is_answered = "help you" in reply.content
    assert said.content.startswith("✅ I answer") is is_answered is not bool(words)
    assert words in said.content
    if words:
        assert f"CLAWBOT_DISCORD__{field}" in said.content


async def test_a_category_that_denies_and_a_thread_are_looked_through(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person
) -> None:
    guild = discord.add_guild("Home", owner=ada)
    denied = {guild.id: (0, SEND_MESSAGES)}
    category = guild.add_channel("rooms", "category", overwrites=denied)
    silent = guild.add_channel("silent", parent=category, overwrites=denied)
    forum = guild.add_channel("forum", "forum")
    general = guild.add_channel("general")
    async with running(settings_for(discord, lm, tmp_path)):
        opened = await ada.post(forum, "Title", "Who knows?")
        post = opened.channel
        said = await asked(discord, ada, general, "diag channel", channel=silent)
        assert said.content.startswith(f"❌ I don't answer <@{ada.id}> in <#{silent.id}>")
        assert f"Send Messages (denied to everyone by the category <#{category.id}>" in said.content
        said = await asked(discord, ada, general, "diag channel", channel=post)
        assert said.content.startswith(f"✅ I answer <@{ada.id}>")
        assert "not answered, because it doesn't mention me" in said.content


async def test_a_limit_and_the_newest_message_are_told(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE="1")
    async with running(settings):
        message = await ada.mention(channel, "Hello?")
        await discord.wait_reply(message, until=lambda reply: "help you" in reply.content)
        said = await asked(discord, ada, channel, "diag channel")
        assert "at the moment" in said.content
        assert "asking faster than I'm allowed to answer" in said.content
        assert f"/{message.id}): I" in said.content
        bob = member(discord, channel, "Bob")
        empty = await bob.mention(channel)
        said = await asked(discord, ada, channel, "diag channel", person=bob)
        assert f"/{empty.id}): it says nothing but my name" in said.content
        for _ in range(LOOKS - 2):
            said = await asked(discord, ada, channel, "diag channel")
        said = await asked(discord, ada, channel, "diag channel")
        assert said.content == "You asked for that a few times already. Try again in a minute."


async def test_a_channel_whose_every_message_is_answered_says_so_and_what_was_for_others(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = member(discord, channel, "Bob")
    async with running(settings_for(discord, lm, tmp_path)):
        said = await asked(discord, ada, channel, "diag channel")
        assert f"I answer <@{ada.id}> in <#{channel.id}> when I'm mentioned there" in said.content
        changed = await ada.slash(channel, "config set", setting="answer_to", value="every_message")
        await discord.wait_until(lambda: changed.message is not None and changed.message.buttons)
        assert changed.message is not None
        await (await ada.click(changed.message, "Change it")).wait_answer()
        await bob.say(channel, f"{ada.tag}, are you there?")
        said = await asked(discord, ada, channel, "diag channel", person=bob)
    assert f"I answer <@{bob.id}> in <#{channel.id}> also without a mention" in said.content
    assert "not answered, because it is for somebody else" in said.content


async def test_a_private_thread_is_told_of_inside_it_and_to_those_who_manage_threads(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    manager = member(discord, channel, "Mel", permissions="manage_guild")
    bob = member(discord, channel, "Bob")
    thread = channel.start_thread("planted", kind=PRIVATE_THREAD, owner_id=bob.id)
    thread.thread_member_ids.add(discord.bot_user.id)
    async with running(settings_for(discord, lm, tmp_path)):
        outside = await asked(discord, manager, channel, "diag channel", channel=thread, person=bob)
        assert "inside the private thread" in outside.content
        inside = await asked(discord, bob, thread, "diag channel")
        assert inside.content.startswith(f"✅ I answer <@{bob.id}>")
        owner = await asked(discord, ada, channel, "diag channel", channel=thread, person=bob)
        assert owner.content.startswith(f"✅ I answer <@{bob.id}>")


async def test_what_came_of_a_message_is_what_came_of_its_last_words(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer("One cat after another. " * 30, pause_after=20), Answer("About dogs."))
    async with running(settings_for(discord, lm, tmp_path)):
        message = await ada.mention(channel, "Tell me about cats")
        await discord.wait_reply(message)
        await ada.edit(message, f"<@{discord.bot_user.id}> Tell me about dogs")
        await discord.wait_reply(
            message,
            until=lambda r: r.content == "About dogs." and "Regenerate" in str(r.components),
        )
        said = await asked(discord, ada, channel, "diag channel")
    assert f"/{message.id}): I answered it." in said.content
