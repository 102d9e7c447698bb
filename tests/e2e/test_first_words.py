"""Somebody's first direct message, which came right before the process was killed."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from discord import Client

from bot.chat.backfill import ALIVE
from bot.core.domain import ChannelId
from bot.core.tasks import end_tasks
from bot.gateway.client import intents_for
from bot.gateway.endpoints import discord_endpoints
from bot.gateway.replay import LeftSession, hear_left_session
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.support.application import environment_between, running, settings_for
from tests.support.process import START_S, clawbot


async def written_and_killed(
    discord: DiscordSandbox, lm: LMStudioSandbox, folder: Path, ada: Person, channel: Channel
) -> Message:
    """Have a direct message sent to a process that is killed before it can look at it."""
    environment = environment_between(discord, lm, folder / "data")
    async with clawbot("run", folder=folder, environment=environment) as process:
        await discord.wait_command("ask", timeout_s=START_S)
        await discord.wait_online(timeout_s=START_S)
        earlier = await ada.mention(channel, "Hello")
        await discord.wait_reply(earlier, until=lambda r: "help you" in r.content)
        process.send_signal(signal.SIGSTOP)
        asked = await discord.add_user("Eve").dm("Is anybody there?")
        process.kill()
        await process.wait()
    return asked


def looked_through_long_ago(folder: Path) -> None:
    """Leave the data as runs do that are all killed before they have looked through every channel."""
    long_ago = str(time.time() - 3600)
    with closing(sqlite3.connect(next(folder.glob("*.db")))) as database, database:
        changed = database.execute("UPDATE state SET value = ? WHERE key = ?", (long_ago, ALIVE))
        assert changed.rowcount == 1


async def test_a_first_direct_message_is_answered_although_the_bot_was_killed_before_reading_it(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    asked = await written_and_killed(discord, lm, tmp_path, ada, channel)
    looked_through_long_ago(tmp_path / "data")
    lm.answer(Answer("Here I am."))
    environment = environment_between(discord, lm, tmp_path / "data")
    async with clawbot("run", folder=tmp_path, environment=environment):
        await discord.wait_reply(asked, until=lambda r: r.content == "Here I am.")
        assert len(discord.replies(asked)) == 1


async def test_a_first_direct_message_is_answered_although_it_came_while_the_bot_was_being_restarted(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        pass
    assert discord.presences[-1][1]["status"] == "invisible"
    asked = [await discord.add_user("Eve").dm("Is anybody there?")]
    lm.answer(Answer("Here I am."))
    async with asyncio.TaskGroup() as group:

        async def write_while_it_logs_in() -> None:
            await discord.wait_until(lambda: discord.resumes)
            asked.append(await discord.add_user("Fay").dm("Is anybody there?"))

        group.create_task(write_while_it_logs_in())
        async with running(settings):
            await discord.wait_until(lambda: len(discord.identifies) == 2)
            for each in asked:
                await discord.wait_reply(each, until=lambda r: r.content == "Here I am.")
    assert [len(discord.replies(each)) for each in asked] == [1, 1]


@pytest.mark.parametrize("is_followed", [False, True])
async def test_a_session_that_is_listened_to_ends_only_where_the_next_one_is_remembered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, is_followed: bool
) -> None:
    settings = settings_for(discord, lm, tmp_path)
    async with running(settings):
        pass
    (session,) = discord.gateway.sessions.all()
    left = LeftSession(session.id, 1, discord.gateway_url)
    is_replayed, followed = asyncio.Event(), asyncio.Event()
    with discord_endpoints(settings.discord):
        async with Client(intents=intents_for(message_content=True)) as client:
            await client.login(discord.token)

            async def heard(_channel_id: ChannelId) -> None:
                """Nobody writes."""

            listening = asyncio.create_task(
                hear_left_session(
                    client, left, heard, is_replayed=is_replayed, is_followed=followed
                )
            )
            await is_replayed.wait()
            if is_followed:
                followed.set()
                await listening
            else:
                await end_tasks(listening)
            await discord.wait_until(lambda: session.link is None)
    assert (discord.gateway.sessions.resumable(session.id) is None) is is_followed


async def test_a_session_that_discord_no_longer_has_costs_nothing(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await written_and_killed(discord, lm, tmp_path, ada, channel)
    discord.faults.refuse_resumes = True
    lm.answer(Answer("Here I am."))
    environment = environment_between(discord, lm, tmp_path / "data")
    async with clawbot("run", folder=tmp_path, environment=environment):
        await discord.wait_until(lambda: len(discord.identifies) == 2, timeout_s=START_S)
        await discord.wait_online(timeout_s=START_S)
        asked = await ada.mention(channel, "Are you there?")
        await discord.wait_reply(asked, until=lambda r: r.content == "Here I am.")
