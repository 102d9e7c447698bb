"""A bot whose servers are shared out among several connections to Discord."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from bot.app import ClawbotTree, plugged
from bot.core.domain import (
    ChannelId,
    GuildId,
    IncomingMessage,
    MessageId,
    Origin,
    Place,
    PlaceKind,
    Question,
    QuestionId,
    UserId,
)
from bot.core.domain import Person as Asker
from bot.core.tasks import end_tasks
from bot.gateway.client import ClawbotClient, intents_for
from bot.gateway.endpoints import discord_endpoints
from sandbox.discord import Channel, DiscordSandbox, Fault, Person
from sandbox.discord.gateway.connection import Connection
from sandbox.discord.gateway.sessions import Session
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.support.application import running, settings_for

SHARDS = 4
ANSWER = "All eleven ships answered."


class Ahead:
    """A clock that is ahead by what it was told: ids of different milliseconds are of different shards."""

    def __init__(self) -> None:
        self.by_s = 0.0

    def now(self) -> float:
        """Return UNIX time, in seconds."""
        return time.time() + self.by_s


def places(discord: DiscordSandbox, ada: Person, clock: Ahead) -> dict[int, Channel]:
    """Return a channel for each shard."""
    found: dict[int, Channel] = {}
    while len(found) < SHARDS:
        clock.by_s += 0.001
        guild = discord.add_guild("Harbour", owner=ada)
        found[(guild.id >> 22) % SHARDS] = guild.add_channel("general")
    return found


def close(session: Session, code: int) -> None:
    """End a session's connection, as Discord does."""
    assert isinstance(session.link, Connection)
    session.link.close(code)


async def asked(discord: DiscordSandbox, ada: Person, channel: Channel) -> None:
    """Ask in a channel, and wait for the answer."""
    question = await ada.mention(channel, "How many ships answered?")
    reply = await discord.wait_reply(question)
    await discord.wait_until(lambda: reply.content == ANSWER)


async def test_each_shard_answers_for_its_servers_and_is_resumed_or_begun_anew_by_itself(
    tmp_path: Path,
) -> None:
    clock = Ahead()
    async with (
        DiscordSandbox(identify_every_s=5.0, now=clock.now) as discord,
        LMStudioSandbox([Model("qwen/qwen3-4b", parallel=4)]) as lm,
    ):
        lm.answer(ANSWER)
        discord.options.shards, discord.options.max_concurrency = SHARDS, 2
        ada = discord.add_user("Ada")
        channels = places(discord, ada, clock)
        settings = settings_for(discord, lm, tmp_path, CLAWBOT_DISCORD__SHARDS="auto")
        async with running(settings):
            assert len(discord.identifies) == SHARDS
            sessions = {one.shard: one for one in discord.gateway.sessions.all()}
            assert set(sessions) == {(number, SHARDS) for number in range(SHARDS)}
            for channel in channels.values():
                await asked(discord, ada, channel)
            direct = await ada.dm("And in the evening?")
            await discord.wait_until(lambda: discord.replies(direct))
            # One loses its connection, another its session; the others don't notice.
            close(sessions[1, SHARDS], 4000)
            lost = sessions[2, SHARDS]
            discord.gateway.sessions.remove(lost)
            close(lost, 4009)
            await discord.wait_until(lambda: not discord.online)
            missed = await ada.mention(channels[2], "And at noon?")
            await discord.wait_until(lambda: discord.online)
            await discord.wait_until(lambda: discord.replies(missed))
            assert len(discord.identifies) == SHARDS + 1
            assert [record.accepted for record in discord.records.resumes] == [True, False]
            for channel in channels.values():
                await asked(discord, ada, channel)


async def test_direct_messages_can_be_replayed_after_an_end_while_another_shard_had_no_session(
    tmp_path: Path,
) -> None:
    clock = Ahead()
    async with (
        DiscordSandbox(now=clock.now) as discord,
        LMStudioSandbox([Model("qwen/qwen3-4b")]) as lm,
    ):
        discord.options.shards, discord.options.max_concurrency = SHARDS, SHARDS
        places(discord, discord.add_user("Ada"), clock)
        settings = settings_for(discord, lm, tmp_path, CLAWBOT_DISCORD__SHARDS="auto")
        async with running(settings):
            sessions = {one.shard: one for one in discord.gateway.sessions.all()}
            discord.faults.invalid_identifies = 1000
            discord.gateway.sessions.remove(sessions[2, SHARDS])
            close(sessions[2, SHARDS], 4009)
            await discord.wait_until(lambda: len(discord.identifies) > SHARDS)
        discord.faults.invalid_identifies = 0
        asked = await discord.add_user("Eve").dm("Is anybody there?")
        lm.answer(ANSWER)
        async with running(settings):
            await discord.wait_reply(asked, until=lambda r: r.content == ANSWER)


class Moving(ClawbotClient):
    """A bot whose shard another process takes."""

    moving_id: int | None = 0

    def serves(self, guild_id: int | None, /) -> bool:
        """Return whether this process still has a server."""
        return guild_id != self.moving_id


async def test_a_message_that_comes_while_its_shard_moves_is_left_to_who_takes_it(
    tmp_path: Path,
) -> None:
    async with DiscordSandbox() as discord, LMStudioSandbox([Model("qwen/qwen3-4b")]) as lm:
        lm.answer(ANSWER)
        ada = discord.add_user("Ada")
        guild = discord.add_guild("Harbour", owner=ada)
        left = guild.add_channel("left")
        kept = discord.add_guild("Lighthouse", owner=ada).add_channel("kept")
        settings = settings_for(discord, lm, tmp_path)
        bot = Moving(
            command_prefix=(), intents=intents_for(message_content=True), tree_cls=ClawbotTree
        )
        with discord_endpoints(settings.discord):
            async with bot, plugged(bot, settings):
                await bot.login(discord.token)
                connecting = asyncio.create_task(bot.connect())
                await bot.wait_for("ready")
                await asked(discord, ada, kept)
                bot.moving_id = guild.id
                bot.services.chat.only(lambda question: bot.serves(question.place.guild_id))
                moved = await ada.mention(left, "And in the evening?")
                await asked(discord, ada, kept)
                assert discord.replies(moved) == []
                assert ChannelId(left.id) not in await bot.services.journal.last_seen()
                await end_tasks(connecting)


class Coming(ClawbotClient):
    """A bot of which a shard is still to come."""

    is_complete = False

    def knows_all(self) -> bool:
        """Return whether all its servers are known."""
        return self.is_complete


@pytest.mark.parametrize("event", ["ready", "shard_left"])
async def test_what_was_missed_is_looked_for_once_all_shards_have_come_or_gone(
    tmp_path: Path, event: str
) -> None:
    async with DiscordSandbox() as discord, LMStudioSandbox([Model("qwen/qwen3-4b")]) as lm:
        lm.answer(ANSWER)
        ada = discord.add_user("Ada")
        guild = discord.add_guild("Harbour", owner=ada)
        here, there = guild.add_channel("here"), guild.add_channel("there")
        settings = settings_for(discord, lm, tmp_path)
        bot = Coming(
            command_prefix=(), intents=intents_for(message_content=True), tree_cls=ClawbotTree
        )
        with discord_endpoints(settings.discord):
            async with bot, plugged(bot, settings):
                await bot.services.journal.seen(ChannelId(here.id), MessageId(1))
                missed = await ada.mention(here, "Hello?")
                await bot.login(discord.token)
                connecting = asyncio.create_task(bot.connect())
                await bot.wait_for("ready")
                for _ in range(3):
                    await asked(discord, ada, there)
                assert not bot.services.backfill.is_caught_up
                assert (await bot.services.journal.last_seen())[ChannelId(here.id)] == 1
                bot.is_complete = True
                bot.dispatch(event)
                await discord.wait_reply(missed, until=lambda r: r.content == ANSWER)
                await end_tasks(connecting)


async def test_a_question_left_open_is_taken_up_while_a_scan_goes_on(tmp_path: Path) -> None:
    async with DiscordSandbox() as discord, LMStudioSandbox([Model("qwen/qwen3-4b")]) as lm:
        lm.answer(ANSWER)
        ada = discord.add_user("Ada")
        guild = discord.add_guild("Harbour", owner=ada)
        channel = guild.add_channel("general")
        settings = settings_for(discord, lm, tmp_path)
        bot = ClawbotClient(
            command_prefix=(), intents=intents_for(message_content=True), tree_cls=ClawbotTree
        )
        with discord_endpoints(settings.discord):
            async with bot, plugged(bot, settings):
                journal = bot.services.journal
                await journal.seen(ChannelId(channel.id), MessageId(1))
                missed = await ada.mention(channel, "Hello?")
                await bot.login(discord.token)
                path = f"/channels/{channel.id}/messages"
                reading = discord.faults.add(Fault(method="GET", route=path, hang=True))
                connecting = asyncio.create_task(bot.connect())
                await discord.wait_until(lambda: reading.played)
                left = Question(
                    QuestionId(missed.id + 1),
                    Origin.SLASH,
                    Place(PlaceKind.GUILD_TEXT, ChannelId(channel.id), GuildId(guild.id)),
                    Asker(UserId(ada.id), "Ada"),
                    "And in the evening?",
                    asked_at=bot.services.clock.now(),
                )
                await journal.accept(left)
                bot.dispatch("ready")
                await discord.wait_until(
                    lambda: any(m.content == ANSWER for m in discord.bot_messages)
                )
                await end_tasks(connecting)


async def nothing(_missed: IncomingMessage) -> None:
    """Take no message."""


async def test_direct_messages_are_left_to_the_process_that_is_told_of_them(tmp_path: Path) -> None:
    async with DiscordSandbox() as discord, LMStudioSandbox([Model("qwen/qwen3-4b")]) as lm:
        lm.answer(ANSWER)
        ada, eve = discord.add_user("Ada"), discord.add_user("Eve")
        channel = discord.add_guild("Harbour", owner=ada).add_channel("general")
        settings = settings_for(discord, lm, tmp_path)
        bot = Moving(
            command_prefix=(), intents=intents_for(message_content=True), tree_cls=ClawbotTree
        )
        with discord_endpoints(settings.discord):
            async with bot, plugged(bot, settings):
                backfill = bot.services.backfill
                bot.moving_id = None
                bot.services.chat.only(lambda question: bot.serves(question.place.guild_id))
                await bot.services.journal.seen(ChannelId(channel.id), MessageId(1))
                missed = [await ada.mention(channel, "Hello?"), await eve.dm("Is anybody there?")]
                await backfill.remember_dms(ChannelId(eve.dm_channel.id))
                await bot.login(discord.token)
                connecting = asyncio.create_task(bot.connect())
                await discord.wait_reply(missed[0], until=lambda r: r.content == ANSWER)
                await backfill.run([], nothing, bot.me)  # one scan after the other
                assert discord.replies(missed[1]) == []
                assert ChannelId(eve.dm_channel.id) not in await bot.services.journal.last_seen()
                await end_tasks(connecting)
