"""Questions that kill the bot, and those that were beside them: a process is killed for real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

from bot.chat.resume import SET_ASIDE
from bot.core.domain import MessageId, QuestionId
from bot.core.notices import notice
from bot.core.ports import JournalEntry
from bot.lmstudio.roster import LOADS
from bot.storage.database import open_database
from bot.storage.journal import SqlJournal
from sandbox.discord import Channel, DiscordSandbox, Fault, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, Model
from sandbox.lmstudio.values import INSTANT
from tests.support.application import environment_between
from tests.support.clock import SwiftClock
from tests.support.process import START_S, clawbot

LIVES = 8
"""Starts of the bot at most; a service manager would go on for ever."""
POISON = "Read this poison"


def file_hangs(discord: DiscordSandbox) -> Fault:
    """Let the bot wait for ever for a file: whoever kills it then does it in the middle of that."""
    return discord.faults.add(Fault(route="/attachments/", times=99, hang=True))


async def entry_of(folder: Path, asked: Message) -> JournalEntry:
    """Return what the stopped bot's journal knows of a message's question."""
    async with open_database(folder / "clawbot.db", SwiftClock(1)) as database:
        entry = await (await SqlJournal.open(database, SwiftClock(1), 30)).entry(
            QuestionId(MessageId(asked.id))
        )
    assert entry is not None
    return entry


async def test_a_question_that_kills_the_bot_while_its_file_is_read_is_set_aside_after_four_lives(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    fault = file_hangs(discord)
    environment = environment_between(discord, lm, tmp_path / "data")
    asked: Message | None = None
    for life in range(1, 5):
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            if asked is None:
                await discord.wait_online(timeout_s=START_S)
                asked = await ada.mention(channel, POISON, files=[("a.txt", b"poison")])
            await discord.wait_until(lambda: fault.played == life)  # noqa: B023
            process.kill()
            await process.wait()
        assert (await entry_of(tmp_path / "data", asked)).attempts == life
    async with clawbot("run", folder=tmp_path, environment=environment):
        await discord.wait_until(
            lambda: [m.content for m in discord.bot_messages] == [notice(SET_ASIDE)]
        )
    assert fault.played == 4
    assert lm.completions == []


async def test_questions_that_were_beside_a_deadly_one_are_all_answered(
    discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    rooms = [channel.guild.add_channel(f"room-{number}") for number in range(3)]
    fault = file_hangs(discord)
    model = Model("qwen/qwen3-next-80b", context_tokens=8192, parallel=4)
    async with LMStudioSandbox([model]) as lm:
        lm.answer(Answer("Here you are.", pause_after=4))
        environment = environment_between(discord, lm, tmp_path / "data")
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            await discord.wait_online(timeout_s=START_S)
            innocent = [await ada.mention(room, "Where are you?") for room in rooms]
            await lm.wait_until(lambda: len(lm.completions) == len(rooms))
            guilty = await ada.mention(channel, POISON, files=[("a.txt", b"poison")])
            await discord.wait_until(lambda: fault.played == 1)
            process.kill()
            await process.wait()
        lm.answer(Answer("Here you are."))

        def are_done() -> bool:
            found = [discord.replies(asked) for asked in (*innocent, guilty)]
            ends = [replies[0].content if replies else "" for replies in found]
            return ends == ["Here you are."] * len(rooms) + [notice(SET_ASIDE)]

        deaths = 1
        for _ in range(LIVES):
            async with clawbot("run", folder=tmp_path, environment=environment) as process:
                played = fault.played
                await discord.wait_until(
                    lambda: fault.played > played or are_done(),  # noqa: B023
                    timeout_s=30,
                )
                if are_done():
                    break
                process.kill()
                await process.wait()
                deaths += 1
    assert are_done()
    assert deaths == 4


async def test_questions_that_were_worked_on_at_three_power_cuts_are_all_answered(
    discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    rooms = [channel, *(channel.guild.add_channel(f"room-{number}") for number in range(3))]
    model = Model("qwen/qwen3-next-80b", context_tokens=8192, parallel=4)
    async with LMStudioSandbox([model]) as lm:
        lm.answer(Answer("Here you are.", pause_after=0))
        environment = environment_between(discord, lm, tmp_path / "data")
        asked: list[Message] = []
        for _ in range(3):
            async with clawbot("run", folder=tmp_path, environment=environment) as process:
                before = len(lm.completions)
                await discord.wait_online(timeout_s=START_S)
                if not asked:
                    asked = [await ada.mention(room, "Where are you?") for room in rooms]
                least = 1 if before else len(rooms)
                await lm.wait_until(lambda: len(lm.completions) >= before + least)  # noqa: B023
                process.kill()
                await process.wait()
        lm.answer(Answer("Here you are."))
        async with clawbot("run", folder=tmp_path, environment=environment):
            for one in asked:
                await discord.wait_reply(one, until=lambda r: r.content == "Here you are.")


async def test_a_missed_message_that_kills_the_bot_before_it_is_stored_is_set_aside(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    assert channel.guild is not None
    role = channel.guild.add_role("crew")
    channel.guild.members[ada.id].role_ids.append(role.id)
    environment = environment_between(discord, lm, tmp_path / "data")
    environment["CLAWBOT_DISCORD__ALLOWED_ROLE_IDS"] = str(role.id)  # asked for before it is stored
    async with clawbot("run", folder=tmp_path, environment=environment) as process:
        await discord.wait_online(timeout_s=START_S)
        first = await ada.mention(channel, "Hello")
        await discord.wait_reply(first, until=lambda r: "help you" in r.content)
        process.terminate()
        await process.communicate()
    asked = await ada.mention(channel, "Are you there?")
    fault = discord.faults.add(Fault(route="/members/", times=99, hang=True))
    for life in range(1, 3):
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            await discord.wait_until(lambda: fault.played == life)  # noqa: B023
            process.kill()
            await process.wait()
    async with clawbot("run", folder=tmp_path, environment=environment):
        told = await discord.wait_reply(asked)
    assert told.content == notice(SET_ASIDE)


async def test_a_stop_in_order_uses_up_no_attempt(
    discord: DiscordSandbox, lm: LMStudioSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    await lm.stop()
    environment = environment_between(discord, lm, tmp_path / "data")
    environment["CLAWBOT_DELIVERY__STAGE_AFTER_S"] = "0.2"
    asked: Message | None = None
    for _ in range(4):
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            if asked is None:
                await discord.wait_online(timeout_s=START_S)
                asked = await ada.mention(channel, "Keep this")
            await discord.wait_until(
                lambda: any("doesn't answer" in m.content for m in discord.bot_messages),
            )
            process.terminate()
            async with asyncio.timeout(20):
                await process.communicate()
        assert (await entry_of(tmp_path / "data", asked)).attempts == 0
    lm.script(Answer("Kept."))
    await lm.start()
    async with clawbot("run", folder=tmp_path, environment=environment):
        await discord.wait_until(lambda: [m.content for m in discord.bot_messages] == ["Kept."])


async def test_a_model_that_was_being_loaded_at_the_kill_is_asked_once_it_is_there(
    discord: DiscordSandbox, tmp_path: Path, ada: Person, channel: Channel
) -> None:
    def keeps_the_load() -> bool:
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / "clawbot.db")) as database:
            rows = database.execute("SELECT value FROM state WHERE key = ?", (LOADS,)).fetchall()
        return any(json.loads(value) for (value,) in rows)

    async with LMStudioSandbox([Model("cold", loaded=False)]) as lm:
        lm.answer(Answer("Here you are."))
        lm.set_timing(replace(INSTANT, speed=1.0, load_s=40.0))
        environment = environment_between(discord, lm, tmp_path / "data")
        environment |= {"LMSTUDIO_MODEL": "cold", "CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "1"}
        async with clawbot("run", folder=tmp_path, environment=environment) as process:
            await discord.wait_online(timeout_s=START_S)
            asked = await ada.mention(channel, "Where are you?")
            await discord.wait_until(keeps_the_load)
            process.kill()
            await process.wait()
        async with clawbot("run", folder=tmp_path, environment=environment):
            await discord.wait_online(timeout_s=START_S)
            lm.set_timing(INSTANT)
            await lm.wait_until(lambda: len(lm.completions) == 2, timeout_s=40)
            assert list(lm.engine.instances) == ["cold"]
            await discord.wait_reply(
                asked, until=lambda reply: reply.content == "Here you are.", timeout_s=40
            )
