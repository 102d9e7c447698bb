"""Where and how I answer, by channel: mentions, every message or none; in place or in a thread; a mark."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, Timing
from tests.support.application import running, settings_for


@dataclass
class Room:
    """A running bot and a channel that Ada, its server's owner, may arrange."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    ada: Person
    bob: Person
    channel: Channel

    async def set(self, **options: object) -> None:
        """Change how the bot answers in this channel, also where it asks first."""
        asked = await self.ada.slash(self.channel, "config chat", scope="channel", **options)
        await self.discord.wait_until(lambda: asked.content)
        if "⚠️" in asked.content:
            assert asked.message is not None
            await (await self.ada.click(asked.message, "Change it")).wait_answer()

    async def answered(self, message: Message, where: Channel | None = None) -> Message:
        """Wait for the whole answer."""
        del where
        return await self.discord.wait_reply(
            message, until=lambda reply: "help you" in reply.content
        )

    async def is_silent(self, message: Message) -> bool:
        """Return whether a message is left alone, seen from a later one that isn't."""
        later = await self.bob.mention(self.channel, "Hello?")
        await self.answered(later)
        return not self.discord.replies(message)


@pytest.fixture
async def room(
    discord: DiscordSandbox, lm: LMStudioSandbox, ada: Person, channel: Channel, tmp_path: Path
) -> AsyncGenerator[Room, None]:
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    extra = {"CLAWBOT_QUEUE__BURST_WINDOW_S": "0"}
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        yield Room(discord, lm, ada, bob, channel)


async def test_every_message_is_answered_where_that_is_set_and_the_channel_is_the_conversation(
    room: Room,
) -> None:
    assert await room.is_silent(await room.bob.say(room.channel, "Anyone?"))
    await room.set(answer_to="every_message")
    await room.answered(await room.bob.say(room.channel, "My cat is called Mimi."))
    await room.answered(await room.ada.say(room.channel, "What is her name?"))
    sent = str(room.lm.completions[-1].body["messages"])
    assert "Mimi" in sent


async def test_what_is_for_somebody_else_is_left_alone(room: Room) -> None:
    await room.set(answer_to="every_message")
    to_ada = await room.bob.say(room.channel, f"{room.ada.tag} are you there?")
    assert await room.is_silent(to_ada)
    first = await room.ada.mention(room.channel, "Hello?")
    await room.answered(first)
    assert await room.is_silent(await room.bob.reply(first, "I think so too"))


async def test_who_goes_on_with_their_own_words_speaks_to_nobody_else(room: Room) -> None:
    await room.set(answer_to="every_message")
    first = await room.bob.say(room.channel, "My cat is called Mimi.")
    await room.answered(first)
    await room.answered(await room.bob.reply(first, "What is her name?"))
    await room.answered(await room.bob.say(room.channel, f"{room.bob.tag} is who I am."))


async def test_nobody_is_answered_where_that_is_switched_off(room: Room) -> None:
    await room.set(answer_to="never")
    asked = await room.bob.mention(room.channel, "Hello?")
    reply = await room.discord.wait_reply(asked)
    assert "switched on" in reply.content
    assert room.lm.completions == []
    await room.set(answer_to="mention")
    await room.answered(await room.bob.mention(room.channel, "Hello?"))


async def test_an_unasked_message_is_refused_without_a_word(room: Room) -> None:
    await room.set(answer_to="every_message")
    said = await room.ada.slash(room.channel, "config access", blocked_user_ids=room.bob)
    await room.discord.wait_until(lambda: said.content)
    quiet = await room.bob.say(room.channel, "Anyone?")
    await room.answered(await room.ada.mention(room.channel, "Hello?"))
    assert room.discord.replies(quiet) == []


async def test_a_question_gets_a_thread_of_its_own_which_goes_on_without_a_mention(
    room: Room,
) -> None:
    await room.set(answer_in="thread")
    guild = room.channel.guild
    assert guild is not None
    asked = await room.bob.mention(room.channel, "How do cats purr, and why do they do it?")
    thread = await room.discord.wait_until(lambda: guild.channels.get(asked.id))
    assert thread is not None
    assert thread.name == "How do cats purr, and why do they do it?"
    assert thread.auto_archive_minutes == 1440
    await room.discord.wait_until(lambda: "help you" in str(_texts(room, thread)))
    assert room.lm.completions[-1].body["messages"][-1]["content"].count("cats purr") == 1
    await room.bob.say(thread, "And dogs?")
    await room.discord.wait_until(lambda: len(room.lm.completions) == 2)
    sent = str(room.lm.completions[-1].body["messages"])
    assert "cats purr" in sent
    assert "And dogs?" in sent


async def test_a_question_that_is_refused_gets_no_thread(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    extra = {"CLAWBOT_CHAT__ANSWER_IN": "thread", "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1"}
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        first = await ada.mention(channel, "Hello?")
        await discord.wait_until(lambda: first.thread)
        second = await ada.mention(channel, "And again?")
        await discord.wait_reply(second)
    assert second.thread is None


async def test_without_the_permission_for_threads_the_answer_comes_in_place(room: Room) -> None:
    await room.set(answer_in="thread")
    guild = room.channel.guild
    assert guild is not None
    room.channel.overwrite(guild, deny="create_public_threads")
    await room.answered(await room.bob.mention(room.channel, "Hello?"))
    said = await room.ada.slash(
        room.channel, "config set", setting="answer_in", value="thread", scope="channel"
    )
    await room.discord.wait_until(lambda: said.content)
    assert "I lack Create Public Threads" in said.content


@pytest.mark.parametrize("where", ["here", "thread"])
async def test_the_mark_stands_while_the_question_waits_and_goes_with_the_first_words(
    room: Room, where: str
) -> None:
    await room.set(waiting_mark=True, answer_in=where)
    room.lm.set_timing(Timing(prefill_tokens_s=100.0))
    asked = await room.bob.mention(room.channel, "Hello?")
    await room.discord.wait_until(lambda: "👀" in asked.reactions)
    await room.discord.wait_until(lambda: "👀" not in asked.reactions)


async def test_the_mark_goes_with_words_that_take_the_place_of_what_stands(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__WAITING_MARK="true")
    lm.script(Answer(pause_after=0), Answer(pause_after=0))
    async with running(settings):
        asked = await ada.mention(channel, "Hello?")
        await discord.wait_until(lambda: "👀" in asked.reactions)
        await lm.wait_until(lambda: len(lm.completions) == 1)
    await discord.wait_until(lambda: not asked.reactions)
    async with running(settings):
        await discord.wait_until(lambda: "👀" in asked.reactions)
        await discord.wait_reply(asked, until=lambda reply: "⏳" in reply.content)
        lm.resume()
        await discord.wait_reply(asked, until=lambda reply: "help you" in reply.content)
        await discord.wait_until(lambda: not asked.reactions)
    assert len(discord.replies(asked)) == 1


async def test_the_marks_of_an_earlier_run_go_where_questions_are_declined(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = discord.add_user("Bob")
    assert channel.guild is not None
    channel.guild.add_member(bob)
    extra = {"CLAWBOT_CHAT__WAITING_MARK": "true"}
    lm.script(Answer(pause_after=0), Answer(pause_after=0))
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        asked = [await who.mention(channel, "Hello?") for who in (ada, bob)]
        await discord.wait_until(lambda: all("👀" in each.reactions for each in asked))
        channel.overwrite(channel.guild.everyone, deny="send_messages")
    assert all("👀" in each.reactions for each in asked)
    channel.overwrite(channel.guild.everyone)
    extra["CLAWBOT_DISCORD__BLOCKED_USER_IDS"] = f"{ada.id},{bob.id}"
    async with running(settings_for(discord, lm, tmp_path, **extra)):
        await discord.wait_until(lambda: all(discord.replies(each) for each in asked))
        await discord.wait_until(lambda: not any(each.reactions for each in asked))


async def test_a_message_that_goes_on_is_no_longer_marked_as_waiting(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(pause_after=0))
    async with running(settings_for(discord, lm, tmp_path, CLAWBOT_CHAT__WAITING_MARK="true")):
        asked = await ada.mention(channel, "Hello?")
        await discord.wait_until(lambda: "👀" in asked.reactions)
        await ada.say(channel, "Are you there?")
        await discord.wait_until(lambda: "➕" in asked.reactions)
        assert "👀" not in asked.reactions


def _texts(room: Room, channel: Channel) -> list[str]:
    """Return what the bot said in a channel."""
    return [
        message.content
        for message in room.bob.view(channel)
        if message.author.is_bot and message.content
    ]
