"""What PostgreSQL costs a question beside SQLite, both on this machine.

``python -m benchmarks database [--questions 60]``

Two bots with the same stand-ins are asked in turns, so that what else the machine does meets both alike; both
databases wait for the disk. The 10th percentile is compared: on a busy machine the others tell of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from benchmarks._rig import BotProcess, running_bot
from benchmarks.table import percentile, print_table
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox, Model, Timing
from tests.postgres.server import find_programs, run_server

ANSWER = "All eleven ships answered."
WARM_UP = 3
BAR_MS = 5.0


@dataclass
class Side:
    """One of the two bots, and how long it took until the first word of each answer."""

    name: str
    discord: DiscordSandbox
    person: Person
    channel: Channel
    bot: BotProcess
    first_ms: list[float] = field(default_factory=list)

    async def ask(self, number: int) -> None:
        """Ask a question, and note when the first text of its answer had come."""
        before, began_s = len(self.discord.requests), time.monotonic()
        asked = await self.person.mention(self.channel, f"Question {number}: how many answered?")
        await self.discord.wait_reply(asked, until=lambda m: m.content == ANSWER, timeout_s=60)
        first = next(
            call.at
            for call in self.discord.requests[before:]
            if call.method in {"POST", "PATCH"} and "messages" in call.route
        )
        self.first_ms.append((first - began_s) * 1000)


async def _side(stack: contextlib.AsyncExitStack, name: str, **extra: str) -> Side:
    discord = await stack.enter_async_context(DiscordSandbox())
    timing = Timing(prefill_tokens_s=20_000, generation_tokens_s=200)
    lm = LMStudioSandbox([Model("qwen/qwen3-next-80b", parallel=4)], timing)
    await stack.enter_async_context(lm)
    lm.answer(ANSWER)
    ada = discord.add_user("Ada")
    channel = discord.add_guild("Home", owner=ada).add_channel("general")
    bot = await stack.enter_async_context(running_bot(discord, lm, **extra))
    return Side(name, discord, ada, channel, bot)


async def measure(options: argparse.Namespace) -> int:
    """Ask both in turns and print the table; the exit code is 1 when PostgreSQL costs more than it may."""
    programs = find_programs()
    if programs is None:
        print("PostgreSQL's programs aren't installed here.")
        return 2
    with run_server(programs, is_durable=True) as server:
        async with contextlib.AsyncExitStack() as stack:
            limits = {"CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000"}
            url = server.new_database()
            lite = await _side(stack, "SQLite", **limits)
            post = await _side(stack, "PostgreSQL", CLAWBOT_DATABASE_URL=url, **limits)
            for number in range(options.questions + WARM_UP):
                for side in (lite, post) if number % 2 else (post, lite):
                    await side.ask(number)
                    await asyncio.sleep(0.1)
            rows = [_row(side) for side in (lite, post)]
    more_ms = rows[1][1] - rows[0][1]
    headers = ["database", "10th percentile (ms)", "median", "95th", "CPU (s)", "memory (MiB)"]
    title = (
        f"until the first word of an answer, {options.questions} questions of each bot, in turns"
    )
    print_table(title, headers, rows)
    print(f"\nPostgreSQL: {more_ms:+.1f} ms at the 10th percentile (bar: {BAR_MS:g} ms)")
    return 1 if more_ms > BAR_MS else 0


def _row(side: Side) -> tuple[str, float, float, float, float, float]:
    measured = side.first_ms[WARM_UP:]
    low, half, high = (percentile(measured, each) for each in (10, 50, 95))
    return side.name, low, half, high, side.bot.cpu_s(), side.bot.memory_mib()


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks database")
    parser.add_argument("--questions", type=int, default=60)
    return asyncio.run(measure(parser.parse_args(argv)))
