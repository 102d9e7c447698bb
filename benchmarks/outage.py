"""Ten minutes away: is every mention of that time answered, and answered once?

``python -m benchmarks outage [--mentions 30] [--channels 6] [--minutes 10]``

Four ways to be away. *Stopped*: the bot's process is not there; the time is leapt over, the people's
messages carry time stamps from all of it. *Offline*: Discord is cut off, gateway and REST, and the
session can't be resumed. *Model away*: LM Studio's machine refuses connections. *Model silent*: its
packets vanish. The last three run on a clock that is twenty times as fast.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks._crowd import Crowd, answers_to, gather, is_answered
from benchmarks._inside import FastClock, bot_inside, settings_for
from benchmarks.table import print_table
from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import LMStudioSandbox, Model

TEXT = "All eleven ships answered."
PEOPLE = 5
FACTOR = 20.0
SETTLE_S = 60.0
ENVIRONMENT = {"CLAWBOT_QUEUE__HOLD_S": "3600"}


@dataclass
class Setup:
    """Where it happens."""

    discord: DiscordSandbox
    lm: LMStudioSandbox
    clock: FastClock
    crowd: Crowd
    data_dir: Path
    minutes: float

    async def mentions(
        self, count: int, pause: Callable[[float], Awaitable[None]]
    ) -> list[Message]:
        """Let people ask during the time away, spread evenly over it."""
        asked = []
        for number in range(count):
            await pause(self.minutes * 60 / count)
            person = self.crowd.people[number % PEOPLE]
            channel = self.crowd.channels[number % len(self.crowd.channels)]
            asked.append(await person.mention(channel, f"Question {number}"))
        return asked

    def bot(self) -> contextlib.AbstractAsyncContextManager[asyncio.Event]:
        """Run the bot with the same data folder each time."""
        settings = settings_for(self.discord, self.lm, self.data_dir, **ENVIRONMENT)
        return bot_inside(settings, self.clock)

    async def greet(self) -> None:
        """Ask once in the first channel, so that the bot has seen one of the channels."""
        asked = await self.crowd.people[0].mention(self.crowd.channels[0], "Hello")
        await self.discord.wait_until(
            lambda: is_answered(self.discord, asked, TEXT), timeout_s=SETTLE_S
        )


@contextlib.asynccontextmanager
async def setup(factor: float, options: argparse.Namespace) -> AsyncIterator[Setup]:
    """Set up both machines, a guild and a clock they share."""
    clock = FastClock(factor)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            DiscordSandbox(now=clock.unix_s, monotonic=clock.monotonic) as discord,
            LMStudioSandbox([Model("qwen/qwen3-next-80b", context_tokens=65_536)]) as lm,
        ):
            lm.answer(TEXT)
            crowd = gather(discord, PEOPLE, options.channels)
            yield Setup(discord, lm, clock, crowd, Path(folder) / "data", options.minutes)


async def settled(at: Setup, questions: list[Message]) -> list[int]:
    """Return how many have one whole answer, none, and several or unfinished ones."""
    with contextlib.suppress(TimeoutError):
        await at.discord.wait_until(
            lambda: all(is_answered(at.discord, asked, TEXT) for asked in questions),
            timeout_s=SETTLE_S,
        )
    await asyncio.sleep(1.0)
    one = sum(
        len(answers_to(at.discord, asked)) == 1 and is_answered(at.discord, asked, TEXT)
        for asked in questions
    )
    none = sum(not answers_to(at.discord, asked) for asked in questions)
    return [one, none, len(questions) - one - none]


async def stopped(options: argparse.Namespace) -> list[int]:
    """The bot is not running."""
    async with setup(1.0, options) as at:

        async def leap(seconds: float) -> None:
            at.clock.leap(seconds)

        async with at.bot():
            await at.greet()
        questions = await at.mentions(options.mentions, leap)
        async with at.bot():
            return await settled(at, questions)


async def offline(options: argparse.Namespace) -> list[int]:
    """The bot's machine has no way to Discord."""
    async with setup(FACTOR, options) as at, at.bot():
        await at.greet()
        await at.discord.stop()
        questions = await at.mentions(options.mentions, at.clock.sleep)
        at.discord.faults.forget_sessions()
        await at.discord.start()
        return await settled(at, questions)


async def model_away(options: argparse.Namespace) -> list[int]:
    """LM Studio is not running."""
    async with setup(FACTOR, options) as at, at.bot():
        await at.greet()
        await at.lm.stop()
        questions = await at.mentions(options.mentions, at.clock.sleep)
        await at.lm.start()
        return await settled(at, questions)


async def model_silent(options: argparse.Namespace) -> list[int]:
    """The model's machine swallows every packet."""
    async with setup(FACTOR, options) as at, at.bot():
        await at.greet()
        await at.lm.blackhole()
        questions = await at.mentions(options.mentions, at.clock.sleep)
        await at.lm.start()
        return await settled(at, questions)


async def measure(options: argparse.Namespace) -> int:
    """Run every way to be away and print the table."""
    ways = {
        "bot stopped": stopped,
        "bot offline": offline,
        "model away": model_away,
        "model silent": model_silent,
    }
    rows = []
    for name, way in ways.items():
        if options.only in {None, name}:
            rows.append([name, options.mentions, *await way(options)])
    print_table(
        f"{options.mentions} mentions in {options.channels} channels by {PEOPLE} people during "
        f"{options.minutes:g} minutes away",
        ["away", "mentions", "answered once", "not at all", "several or unfinished"],
        rows,
    )
    return 0 if all(row[1] == row[2] for row in rows) else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks outage")
    parser.add_argument("--mentions", type=int, default=30)
    parser.add_argument("--channels", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", help="one way of being away")
    return asyncio.run(measure(parser.parse_args(argv)))
