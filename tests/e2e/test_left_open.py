"""What an earlier run left open: ended in the place where it began, once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bot.chat.resume import MOST_ATTEMPTS, SET_ASIDE, TOO_OLD
from bot.core.clock import SystemClock
from bot.core.domain import ChannelId, GuildId, MessageId, Place, PlaceKind, Question, QuestionId
from bot.core.notices import notice
from bot.core.ports import Outcome
from bot.ops.watchdog import BLAMED_FILE
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import running, settings_for
from tests.support.builders import question


def asked_in(message: Message, channel: Channel, age: timedelta) -> Question:
    """Return a message's question, without the message itself."""
    assert channel.guild is not None
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(channel.id), GuildId(channel.guild.id))
    asked_at = SystemClock().now() - age
    return question(message.id, place=place, asked_at=asked_at, message=None)


async def leave_open(
    folder: Path, left: Question, posted: list[Message], *, attempts: int = 1
) -> None:
    """Write a journal as a killed process leaves it."""
    clock = SystemClock()
    async with open_database(folder / "clawbot.db", clock) as database:
        journal = await SqlJournal.open(database, clock, 30)
        await journal.accept(left)
        for _ in range(attempts):
            await journal.start(left.id)
        await journal.posted(left.id, [MessageId(message.id) for message in posted])


async def outcome_of(folder: Path, question_id: QuestionId) -> Outcome | None:
    """Read a question's outcome from the stopped bot's journal."""
    clock = SystemClock()
    async with open_database(folder / "clawbot.db", clock) as database:
        entry = await (await SqlJournal.open(database, clock, 30)).entry(question_id)
    return entry.outcome if entry is not None else None


async def test_an_old_question_is_declined_and_nothing_of_its_answer_stays(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    asked = await ada.say(channel, "Long ago")
    me = Person(discord.world, discord.bot_user)
    begun = [await me.say(channel, text) for text in ("The beginning of", "an answer")]
    left = asked_in(asked, channel, timedelta(hours=2))
    await leave_open(tmp_path, left, begun)
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == [notice(TOO_OLD)]
        )
    assert discord.bot_messages == begun[:1]
    assert await outcome_of(tmp_path, left.id) is Outcome.NOTIFIED


async def test_a_question_that_ended_the_process_twice_alone_is_set_aside(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    left = asked_in(await ada.say(channel, "Poison"), channel, timedelta(minutes=1))
    await leave_open(tmp_path, left, [], attempts=MOST_ATTEMPTS)
    discord.faults.fail("POST", "/channels/{channel_id}/messages", status=503, times=4)
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == [notice(SET_ASIDE)]
        )
    assert lm.completions == []
    assert await outcome_of(tmp_path, left.id) is Outcome.NOTIFIED


async def test_a_question_that_is_known_to_have_held_the_process_up_is_set_aside_at_once(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    poison, plain = [
        asked_in(await ada.say(channel, text), channel, timedelta(minutes=1))
        for text in ("Poison", "Hello")
    ]
    for left in (poison, plain):
        await leave_open(tmp_path, left, [])
    (tmp_path / BLAMED_FILE).write_text(f"{poison.id}\n")
    lm.answer("Here you are.")
    async with running(settings_for(discord, lm, tmp_path)):
        await discord.wait_until(
            lambda: (
                {m.content for m in discord.bot_messages} == {notice(SET_ASIDE), "Here you are."}
            ),
        )
    assert len(lm.completions) == 1
    assert not (tmp_path / BLAMED_FILE).exists()
