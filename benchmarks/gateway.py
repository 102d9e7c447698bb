"""The gateway at its worst: closed again and again, refusing every log-in, or not there at all.

``python -m benchmarks gateway [--closes 500] [--hours 24] [--minutes 10]``

All three run on a fast clock, so the figures are in its seconds; what discord.py waits in real time
counts many times over.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from benchmarks._inside import FastClock, bot_inside, settings_for
from benchmarks.table import print_table
from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import LMStudioSandbox

TEXT = "All eleven ships answered."
CLOSES_FACTOR, DAY_FACTOR, DEAD_FACTOR = 60.0, 2400.0, 8.0
ENVIRONMENT = {
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "10000",
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0",
    "CLAWBOT_LMSTUDIO__HEALTH_INTERVAL_S": "600",
}
BAR_CONNECTS, BAR_IDENTIFIES, BAR_RETURN_S = 30, 200, 75.0
CLOSE_CODES = (4000, 4001, 4008, 1001)
"""Close codes after which a session can be resumed (Discord: gateway close event codes)."""


@contextlib.asynccontextmanager
async def machines(clock: FastClock) -> AsyncIterator[tuple[DiscordSandbox, LMStudioSandbox, Path]]:
    """Set up Discord and LM Studio on the clock, and a data folder."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            DiscordSandbox(
                now=clock.unix_s, monotonic=clock.monotonic, buckets=False, global_limit=None
            ) as discord,
            LMStudioSandbox() as lm,
        ):
            lm.answer(TEXT)
            yield discord, lm, Path(folder) / "data"


def most_in_a_minute(times: Iterable[float]) -> int:
    """Return how many of these moments lie within the fullest 60 seconds."""
    ordered = sorted(times)
    return max((sum(at <= other < at + 60 for other in ordered) for at in ordered), default=0)


def answers(asked: Message) -> int:
    """Return how many of the bot's messages answer a question."""
    return sum(m.reference is asked and m.content == TEXT for m in asked.channel.messages.values())


async def resumable_closes(count: int) -> tuple[int, int, int, int]:
    """Close the gateway as soon as it is up again, and ask something each time.

    Returns:
        Closes, most connections in a minute, questions lost, questions answered twice.
    """
    clock = FastClock(CLOSES_FACTOR)
    async with machines(clock) as (discord, lm, data_dir):
        ada = discord.add_user("Ada")
        guild = discord.add_guild("Home", owner=ada)
        channels = [guild.add_channel(f"room-{number}") for number in range(20)]
        asked: list[Message] = []
        async with bot_inside(settings_for(discord, lm, data_dir, **ENVIRONMENT), clock):
            for number in range(count):
                resumed = len(discord.resumes)
                discord.faults.close(CLOSE_CODES[number % len(CLOSE_CODES)])
                asked.append(await ada.mention(channels[number % 20], f"After close {number}"))
                await discord.wait_until(
                    lambda before=resumed: len(discord.resumes) > before,  # type: ignore[misc]
                    timeout_s=30,
                )
            with contextlib.suppress(TimeoutError):
                await discord.wait_until(lambda: all(answers(each) for each in asked), timeout_s=30)
        found = [answers(each) for each in asked]
        connects = most_in_a_minute(record.at for record in discord.connects)
        return count, connects, found.count(0), sum(number > 1 for number in found)


async def invalid_sessions(hours: float) -> int:
    """Refuse every log-in for a day; returns how many there were."""
    clock = FastClock(DAY_FACTOR)
    async with machines(clock) as (discord, lm, data_dir):
        discord.faults.invalid_identifies = 10**9
        settings = settings_for(discord, lm, data_dir, **ENVIRONMENT)
        async with bot_inside(settings, clock, wait=False):
            await clock.sleep(hours * 3600)
        return len(discord.identifies)


async def dead_at_start(minutes: float) -> float:
    """Start without a network; returns the seconds from its return to being online."""
    clock = FastClock(DEAD_FACTOR)
    async with machines(clock) as (discord, lm, data_dir):
        discord.add_guild("Home")
        await discord.stop()
        settings = settings_for(discord, lm, data_dir, **ENVIRONMENT)
        async with bot_inside(settings, clock, wait=False):
            await clock.sleep(minutes * 60)
            await discord.start()
            back_s = clock.monotonic()
            await discord.wait_online(timeout_s=120)
            return clock.monotonic() - back_s


async def measure(options: argparse.Namespace) -> int:
    """Run all three and print the table."""
    logging.disable(logging.WARNING)
    closes, connects, lost, twice = await resumable_closes(options.closes)
    identifies = await invalid_sessions(options.hours)
    return_s = await dead_at_start(options.minutes)
    rows = [
        [f"{closes} resumable closes", "most connections in a minute", connects, BAR_CONNECTS],
        ["", "mentions lost", lost, 0],
        ["", "mentions answered twice", twice, 0],
        [
            f"every session invalid for {options.hours:g} h",
            "log-ins",
            identifies,
            BAR_IDENTIFIES,
        ],
        [
            f"no network for {options.minutes:g} min at the start",
            "online after its return, s",
            return_s,
            BAR_RETURN_S,
        ],
    ]
    print_table("the gateway at its worst", ["what", "figure", "measured", "bar"], rows)
    return 0 if all(float(row[2]) <= float(row[3]) for row in rows) else 1  # type: ignore[arg-type]


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks gateway")
    parser.add_argument("--closes", type=int, default=500)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--minutes", type=float, default=10)
    return asyncio.run(measure(parser.parse_args(argv)))
