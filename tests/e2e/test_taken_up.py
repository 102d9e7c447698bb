"""What a start takes up: an orphan of a crash, a mention that is too old, commands that are gone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp

from bot.core.domain import ChannelId, GuildId, Place, PlaceKind
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import LMStudioSandbox
from tests.support.application import life_before, running, settings_for
from tests.support.builders import message, question
from tests.support.clock import SwiftClock


class LateClock(SwiftClock):
    """A clock that is ahead by some hours, as after a long time away."""

    def __init__(self, hours: float) -> None:
        super().__init__(1)
        self._start = datetime.now(UTC) + timedelta(hours=hours)


async def test_a_mention_missed_hours_ago_is_declined_in_one_sentence(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    await life_before(settings, discord, ada, channel)
    missed = await ada.mention(channel, "While you were away")
    asked = len(lm.completions)
    async with running(settings, LateClock(hours=5)):
        reply = await discord.wait_reply(missed)
        assert "I was away" in reply.content
    assert len(lm.completions) == asked


async def test_a_missed_mention_is_answered_although_the_machines_clock_is_two_days_ahead(
    lm: LMStudioSandbox, tmp_path: Path
) -> None:
    async with DiscordSandbox(now=lambda: time.time() - 2 * 86400) as discord:
        ada = discord.add_user("Ada")
        channel = discord.add_guild("Home", owner=ada).add_channel("general")
        settings = settings_for(discord, lm, tmp_path)
        await life_before(settings, discord, ada, channel)
        missed = await ada.mention(channel, "While you were away")
        async with running(settings):
            await discord.wait_reply(missed, until=lambda r: "help you" in r.content)


async def test_only_for_missed_messages_that_address_the_bot_is_their_author_looked_up(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    role = channel.guild.add_role("Asking")
    channel.guild.members[ada.id].role_ids.append(role.id)
    extra = {"CLAWBOT_DISCORD__ALLOWED_ROLE_IDS": str(role.id)}
    settings = settings_for(discord, lm, tmp_path, **extra)
    await life_before(settings, discord, ada, channel)
    for number in range(20):
        await ada.say(channel, f"We talk among ourselves, {number}.")
    missed = await ada.mention(channel, "While you were away")
    discord.requests.clear()
    async with running(settings):
        await discord.wait_reply(missed, until=lambda r: "help you" in r.content)
    looked_up = [one for one in discord.requests if f"/members/{ada.id}" in one.path]
    assert 1 <= len(looked_up) <= 3


async def test_commands_that_another_program_replaced_are_registered_again(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        pass
    discord.world.commands.scope(None).clear()
    async with running(settings):
        used = await ada.slash(channel, "help")
        await used.wait_response()


async def post_as_the_bot(discord: DiscordSandbox, asked: Message, content: str) -> None:
    """Post a reply to a message with the bot's token, as a process that then died."""
    address = f"{discord.api_base}/channels/{asked.channel.id}/messages"
    body = {
        "content": content,
        "flags": 4,
        "allowed_mentions": {"parse": []},
        "message_reference": {"message_id": str(asked.id)},
    }
    headers = {"Authorization": f"Bot {discord.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(address, json=body) as response,
    ):
        assert response.status == 200


async def test_an_answer_begun_and_not_noted_before_a_crash_is_found_in_the_channel(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    asked = await ada.mention(channel, "Hello")
    await post_as_the_bot(discord, asked, "Hel")
    guild = channel.guild
    assert guild is not None
    place = Place(PlaceKind.GUILD_TEXT, ChannelId(channel.id), GuildId(guild.id))
    now = datetime.now(UTC)
    said = message(asked.id, "Hello", place=place, created_at=now)
    stored = question(asked.id, "Hello", place=place, asked_at=now, message=said)
    async with open_database(tmp_path / "clawbot.db", SwiftClock(1)) as database:
        journal = await SqlJournal.open(database, SwiftClock(1), 30)
        await journal.accept(stored)
        await journal.start(stored.id)
    (orphan,) = discord.bot_messages
    async with running(settings):
        await discord.wait_until(lambda: "help you" in orphan.content)
    assert discord.bot_messages == [orphan]


async def test_a_mention_missed_right_after_the_very_first_start_is_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        pass
    missed = await ada.mention(channel, "Nothing was ever heard in this channel")
    async with running(settings):
        await discord.wait_reply(missed, until=lambda r: "help you" in r.content)


async def test_a_mention_missed_in_a_channel_that_discord_could_not_show_is_answered_later(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    await life_before(settings, discord, ada, channel)
    missed = await ada.mention(channel, "While you were away")
    broken = discord.faults.fail("GET", f"/channels/{channel.id}/messages", status=503, times=3)
    async with running(settings, SwiftClock(20)):
        await discord.wait_until(lambda: broken.played == 3)
        await discord.wait_reply(missed, until=lambda r: "help you" in r.content)
