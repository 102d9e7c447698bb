"""A question that is taken back, at whatever moment, is not answered, and nothing of it stays."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import Answer, LMStudioSandbox
from tests.e2e.test_sources import turns
from tests.support.application import environment_between, running, settings_for
from tests.support.process import START_S, clawbot

LONG = "One lighthouse after another answered the call across the dark water. " * 12
FOUR_KB = " ".join(f"Lighthouse {number} answers the call." for number in range(140))


async def answered(discord: DiscordSandbox, ada: Person, channel: Channel, text: str) -> None:
    """Ask something and wait for the whole answer."""
    asked = await ada.mention(channel, text)
    await discord.wait_reply(asked, until=lambda r: "help you" in r.content)


async def test_a_question_deleted_before_it_is_stored_is_not_answered(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    async with running(settings_for(discord, lm, tmp_path)):
        await answered(discord, ada, channel, "Hello")
        with closing(sqlite3.connect(tmp_path / "clawbot.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            asked = await ada.mention(channel, "Tell me about cats")
            await ada.delete(asked)
            await answered(discord, ada, channel, "Here is one more")
    assert "cats" not in str([request.messages for request in lm.completions])
    assert len(discord.bot_messages) == 2


async def test_an_answer_of_which_a_message_is_gone_is_taken_back_whole(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(FOUR_KB, pause_after=900))
    folder = tmp_path / "data"
    environment = environment_between(discord, lm, folder)
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await discord.wait_online(timeout_s=START_S)
        await ada.mention(channel, "Tell me about lighthouses")
        await discord.wait_until(lambda: len(discord.bot_messages) == 2)
        process.kill()
        await process.wait()
    await ada.delete(discord.bot_messages[1])
    lm.script(Answer(FOUR_KB))
    async with running(settings_for(discord, lm, folder)):
        await discord.wait_until(lambda: not discord.bot_messages)


async def test_a_question_deleted_right_after_stop_leaves_nothing(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=20))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await discord.wait_reply(asked, until=lambda r: r.buttons)
        late = discord.faults.hold("PATCH")
        await ada.click(reply, "Stop")
        await discord.wait_until(lambda: late.played)
        await ada.delete(asked)
        await (await ada.slash(ada.dm_channel, "help")).wait_content()  # the deletion is seen
        late.release()
        await discord.wait_until(lambda: not discord.bot_messages)


async def test_a_question_changed_right_after_stop_has_one_answer(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    lm.script(Answer(LONG, pause_after=20), Answer("About dogs."))
    async with running(settings_for(discord, lm, tmp_path)):
        asked = await ada.mention(channel, "Tell me about cats")
        reply = await discord.wait_reply(asked, until=lambda r: r.buttons)
        await ada.click(reply, "Stop")
        await ada.edit(asked, f"<@{discord.bot_user.id}> Tell me about dogs")
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == ["About dogs."]
        )
    assert "dogs" in turns(lm)[-1]["content"]


async def test_what_is_asked_while_the_bot_stops_is_told_so_and_answered_by_the_next_start(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    bob = discord.add_user("Bob")
    lm.script(Answer(LONG, pause_after=20))
    settings = settings_for(discord, lm, tmp_path, CLAWBOT_QUEUE__SHUTDOWN_GRACE_S="5")
    async with running(settings):
        asked = await ada.mention(channel, "Tell me about cats")
        await discord.wait_reply(asked)

        async def ask_late() -> None:
            waiting = await ada.mention(channel, "And this?")
            await discord.wait_reply(waiting, until=lambda r: "being restarted" in r.content)
            late = await bob.dm("A first direct message")
            await discord.wait_reply(late, until=lambda r: "being restarted" in r.content)
            lm.resume()

        asking = asyncio.create_task(ask_late())
        await asyncio.sleep(0)
    await asking
    async with running(settings):
        await discord.wait_until(
            lambda: all("restarted" not in m.content for m in discord.bot_messages)
        )
        await discord.wait_until(
            lambda: sum("help you" in m.content for m in discord.bot_messages) == 2
        )
    assert len(discord.bot_messages) == 3
