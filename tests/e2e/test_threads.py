"""Forum posts and threads: what was said there is the conversation, from its first message on."""

from __future__ import annotations

from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for

GREETING = "Hello! How can I help you today?"


async def answered(discord: DiscordSandbox, asked: Message) -> Message:
    """Wait for the whole answer."""
    return await discord.wait_reply(
        asked, until=lambda reply: reply.content == GREETING and "Regenerate" in str(reply.buttons)
    )


def said(lm: LMStudioSandbox) -> list[tuple[str, str]]:
    """Return what the model was last given, without its instructions."""
    turns = lm.completions[-1].body["messages"]
    return [(turn["role"], turn["content"]) for turn in turns if turn["role"] != "system"]


async def test_an_answer_replies_to_the_post_that_asks_and_is_remembered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    assert channel.guild is not None
    forum = channel.guild.add_channel("ask", "forum")
    async with running(settings_for(discord, lm, tmp_path)):
        post = await ada.post(forum, "Cats", "<@bot> Why do cats purr?")
        first = await answered(discord, post)
        assert first.reference is post
        await answered(discord, await ada.mention(post.channel, "And dogs?"))
    assert said(lm) == [
        ("user", "Why do cats purr?"),
        ("assistant", GREETING),
        ("user", "And dogs?"),
    ]


async def test_the_first_answer_in_a_thread_of_its_own_is_remembered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    assert channel.guild is not None
    places = channel.guild.channels
    async with running(settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__ANSWER_IN="thread")):
        asked = await ada.mention(channel, "Why do cats purr?")
        thread = await discord.wait_until(lambda: places.get(asked.id))
        assert thread is not None
        await discord.wait_until(
            lambda: any("Regenerate" in str(m.buttons) for m in discord.bot_messages)
        )
        await answered(discord, await ada.say(thread, "And dogs?"))
    assert said(lm) == [
        ("user", "Why do cats purr?"),
        ("assistant", GREETING),
        ("user", "And dogs?"),
    ]


async def test_a_question_changed_after_its_thread_was_deleted_is_answered_where_it_was_asked(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, channel: Channel, ada: Person
) -> None:
    assert channel.guild is not None
    places = channel.guild.channels
    async with running(settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__ANSWER_IN="thread")):
        asked = await ada.mention(channel, "Why do cats purr?")
        thread = await discord.wait_until(lambda: places.get(asked.id))
        assert thread is not None
        await discord.wait_until(lambda: GREETING in [m.content for m in thread.messages.values()])
        thread.delete()
        await ada.edit(asked, f"{discord.bot_user.mention} Why do dogs bark?")
        await answered(discord, asked)
    assert said(lm) == [("user", "Why do dogs bark?")]
