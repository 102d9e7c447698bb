"""Conversations from Discord: what is read, with how many requests, and what never is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator

import pytest
from PIL import Image

from bot.core.domain import MessageId, PlaceKind, Role
from cogs import _convert
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from tests.wire.prompt.client import Reader, connected


@pytest.fixture
async def discord() -> AsyncGenerator[DiscordSandbox, None]:
    async with DiscordSandbox(buckets=False) as sandbox:
        yield sandbox


def place_in(sandbox: DiscordSandbox, *names: str) -> tuple[Channel, list[Person]]:
    guild = sandbox.add_guild("Club")
    people = [sandbox.add_user(name) for name in names]
    for one in people:
        guild.add_member(one)
    return guild.add_channel("general"), people


async def chain(sandbox: DiscordSandbox, channel: Channel, ada: Person, turns: int) -> Message:
    """Hold a conversation of question and answer by replies; returns the last question."""
    bot = Person(sandbox.world, sandbox.bot_user)
    last = await ada.mention(channel, "question 0")
    for number in range(1, turns):
        answer = await bot.reply(last, f"answer {number - 1}", ping=False)
        last = await ada.reply(answer, f"question {number}")
    return last


def texts(reader_turns: object) -> str:
    return repr(reader_turns)


async def test_a_chain_of_fifty_messages_costs_few_requests_after_a_restart(
    discord: DiscordSandbox,
) -> None:
    channel, (ada, bob) = place_in(discord, "Ada", "Bob")
    for number in range(20):
        await bob.say(channel, f"before {number}")
    last = await chain(discord, channel, ada, 25)
    async with connected(discord) as reader:
        calls = reader.history_calls()
        prompt = await reader.prompt(last)
        assert reader.history_calls() - calls - 1 <= 6
    users = [turn.text for turn in prompt.turns if turn.role is Role.USER]
    assert users == [f"question {number}" for number in range(25)]


async def test_the_next_turn_costs_no_request_and_begins_with_the_last_prompt(
    discord: DiscordSandbox,
) -> None:
    channel, (ada,) = place_in(discord, "Ada")
    bot = Person(discord.world, discord.bot_user)
    first = await ada.mention(channel, "one")
    async with connected(discord) as reader:
        before = await reader.prompt(first)
        answer = await bot.reply(first, "an answer\n-# 12 tokens/s", ping=False)
        second = await ada.reply(answer, "two")
        await seen(reader, second)
        calls = reader.history_calls()
        after = await reader.prompt(second)
        assert reader.history_calls() - calls == 1
    assert after.turns[: len(before.turns)] == before.turns
    assert [turn.text for turn in after.turns[-2:]] == ["an answer", "two"]
    assert after.conversation_key == before.conversation_key


async def seen(reader: Reader, message: Message) -> None:
    """Wait until the gateway has brought a message to the source."""
    place = _convert.message(await reader.received(message)).place
    for _ in range(200):
        calls = reader.history_calls()
        page = await reader.source.history(place, before=MessageId(message.id + 1), limit=1)
        if page and page[-1].id == message.id and reader.history_calls() == calls:
            return
        await reader.client.application_info()
    raise AssertionError("the message never arrived")


async def test_an_edit_and_a_deletion_are_honoured(discord: DiscordSandbox) -> None:
    channel, (ada,) = place_in(discord, "Ada")
    bot = Person(discord.world, discord.bot_user)
    first = await ada.mention(channel, "my old words")
    gone = await bot.reply(first, "an answer to be deleted", ping=False)
    async with connected(discord) as reader:
        last = await ada.reply(gone, "and now?")
        await reader.prompt(last)
        await ada.edit(first, f"{discord.bot_user.mention} my new words")
        marker = await ada.say(channel, "marker")
        await seen(reader, marker)
        assert "my new words" in texts((await reader.prompt(last)).turns)
        await discord.owner.delete(gone)
        marker = await ada.say(channel, "marker two")
        await seen(reader, marker)
        prompt = await reader.prompt(last)
    assert "deleted" not in texts(prompt.turns)
    assert prompt.turns[-1].text.endswith("and now?")


async def test_a_reply_to_a_message_of_another_channel_is_not_followed(
    discord: DiscordSandbox,
) -> None:
    channel, (ada,) = place_in(discord, "Ada")
    secret = await ada.say(channel.guild.add_channel("board"), "the canary")  # type: ignore[union-attr]
    question = await ada.mention(channel, "what did it say?")
    question.reference = secret
    async with connected(discord) as reader:
        prompt = await reader.prompt(question)
    assert "canary" not in texts(prompt.turns)


async def test_without_the_content_intent_mentions_and_replies_still_work() -> None:
    async with DiscordSandbox(buckets=False, portal_intents=0) as discord:
        channel, (ada, bob) = place_in(discord, "Ada", "Bob")
        hidden = await bob.say(channel, "words the bot may not read")
        async with connected(discord, content=False) as reader:
            asked = await ada.reply(hidden, f"{discord.bot_user.mention} what does he mean?")
            prompt = await reader.prompt(asked)
            again = await reader.prompt(asked)
    assert "what does he mean?" in prompt.turns[-1].text
    assert "may not read" not in texts(prompt.turns)
    assert any("Message Content" in remark for remark in prompt.remarks)
    assert not any("Message Content" in remark for remark in again.remarks)


async def test_a_direct_message_goes_on_by_itself(discord: DiscordSandbox) -> None:
    ada = discord.add_user("Ada")
    bot = Person(discord.world, discord.bot_user)
    await ada.dm("my name is Ada")
    await bot.say(ada.dm_channel, "hello Ada")
    last = await ada.dm("what is my name?")
    async with connected(discord) as reader:
        prompt = await reader.prompt(last)
        fresh = await reader.prompt(await ada.dm(f"{discord.bot_user.mention} start again"))
    assert [t.text for t in prompt.turns[1:]] == ["my name is Ada", "hello Ada", "what is my name?"]
    assert [t.text for t in fresh.turns[1:]] == ["start again"]


async def test_a_thread_begins_with_its_starting_message(discord: DiscordSandbox) -> None:
    channel, (ada, bob) = place_in(discord, "Ada", "Bob")
    starter = await ada.say(channel, "a plan for the party")
    thread = await ada.start_thread(starter, "party")
    await bob.say(thread, "I bring cake")
    last = await ada.mention(thread, "what is missing?")
    async with connected(discord) as reader:
        prompt = await reader.prompt(last)
    assert prompt.turns[-1].text == (
        "a plan for the party\n⟦from Bob⟧ I bring cake\n⟦from Ada⟧ what is missing?"
    )
    assert prompt.participants == ("Ada", "Bob")


def png(width: int, height: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(data, "PNG")
    return data.getvalue()


async def test_text_files_and_pictures_are_read_and_the_rest_is_named(
    discord: DiscordSandbox,
) -> None:
    channel, (ada,) = place_in(discord, "Ada")
    asked = await ada.mention(
        channel,
        "look",
        files=[
            ("notes.txt", "größe".encode("utf-16")),
            ("photo.png", png(3000, 10)),
            ("stuff.zip", b"PK\x03\x04 zipped"),
        ],
    )
    async with connected(discord) as reader:
        prompt = await reader.prompt(asked)
    turn = prompt.turns[-1]
    assert "⟦file notes.txt⟧\ngröße\n⟦end of the file notes.txt⟧" in turn.text
    assert len(turn.images) == 1
    assert turn.images[0].startswith("data:image/png;base64,")
    assert any("stuff.zip" in remark for remark in prompt.remarks)


async def test_conversion_keeps_what_the_core_needs(discord: DiscordSandbox) -> None:
    channel, (ada, bob) = place_in(discord, "Ada", "Bob")
    original = await bob.say(channel, "the original")
    forwarded = await ada.say(channel, forward=original)
    reply = await ada.reply(original, f"{bob.tag} and {channel.mention}")
    async with connected(discord) as reader:
        forward = _convert.message(await reader.received(forwarded))
        found = _convert.message(await reader.received(reply))
    assert forward.is_forward
    assert forward.forwarded_texts == ("the original",)
    assert forward.reference_id is None
    assert found.reference_id == original.id
    assert found.replied_user_id == bob.id
    assert found.place.kind is PlaceKind.GUILD_TEXT
    assert found.names[bob.id] == "Bob"
    assert found.is_ordinary


async def test_a_stumbling_discord_is_asked_again_before_messages_count_as_gone(
    discord: DiscordSandbox,
) -> None:
    channel, (ada, _) = place_in(discord, "Ada", "Bob")
    said = await ada.say(channel, "Are you there?")
    async with connected(discord) as reader:
        place = _convert.message(await reader.received(said)).place
        discord.faults.fail("GET", "/channels/{channel_id}/messages", status=503)
        found = await reader.source.history(place, after=MessageId(said.id - 1), limit=10)
    assert [message.text for message in found] == ["Are you there?"]


async def test_a_fresh_session_ends_what_was_known_before_its_first_message(
    discord: DiscordSandbox,
) -> None:
    channel, (ada, _) = place_in(discord, "Ada", "Bob")
    said = await ada.say(channel, "Before.")
    async with connected(discord) as reader:
        place = _convert.message(await reader.received(said)).place
        await reader.source.history(place, limit=10)
        reader.client.dispatch("connect")
        await asyncio.sleep(0)
        calls = reader.history_calls()
        await reader.source.history(place, after=MessageId(said.id), limit=10)
        assert reader.history_calls() == calls + 1
