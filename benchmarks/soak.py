"""A simulated day: do memory, file descriptors, tasks and threads stay flat?

``python -m benchmarks soak [--mentions 20000] [--together 24] [--people 500] [--channels 400]``

A server's day of mentions as fast as the machine goes, with 50 lost gateway connections and 100
failures of the model spread over it. Discord's rate limits are switched off and there are many
channels, so that the run is as long as the work, not as the limits.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks._crowd import Crowd, gather
from benchmarks._probe import arguments, read_looks
from benchmarks._rig import BotProcess, running_bot
from benchmarks.table import print_table
from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import Fault, LMStudioSandbox, Model

TEXT = "All eleven ships answered before noon. The last of them did so twice. The end."
DAY, RESUMES, FAULTS = 20_000, 50, 100
BAR_MIB = 10.0
BAR_DESCRIPTORS = 5
BAR_THREADS = 2
FAULT_KINDS = (
    Fault.UNLOADED,
    Fault.HTML_503,
    Fault.RESET_BEFORE_HEADERS,
    Fault.EMPTY,
    Fault.JINJA_ALTERNATE,
    Fault.RESET_AFTER_TOKENS,
    Fault.VALIDATION_GRAMMAR,
    Fault.TRUNCATED_STREAM,
)
ENVIRONMENT = {
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "10000",
    "CLAWBOT_DELIVERY__WRITES_PER_5_S": "5",
    "CLAWBOT_DISCORD__REQUESTS_PER_S": "1000",
    "CLAWBOT_LOGGING__LEVEL": "ERROR",
}
ANSWER_S = 60.0


@dataclass(frozen=True)
class Size:
    """What the bot holds at a moment.

    Attributes:
        mentions: Questions so far.
        tasks: Tasks of its event loop.
    """

    mentions: int
    memory_mib: float
    descriptors: int
    threads: int
    tasks: int


class Soak:
    """One run.

    Attributes:
        outcomes: Whole answers, other endings (a sentence, or a part of an answer), none.
    """

    def __init__(
        self,
        discord: DiscordSandbox,
        lm: LMStudioSandbox,
        bot: BotProcess,
        probe: Path,
        crowd: Crowd,
    ) -> None:
        self._discord = discord
        self._lm = lm
        self._process = psutil.Process(bot.process.pid)
        self._probe = probe
        self._crowd = crowd
        self._faults = itertools.cycle(FAULT_KINDS)
        self._number = 0
        self.outcomes: Counter[str] = Counter()

    async def block(self, count: int, together: int) -> Size:
        """Let ``count`` questions be asked and ended, then look at the bot."""
        room = asyncio.Semaphore(together)

        async def one() -> None:
            async with room:
                await self._one()

        await asyncio.gather(*(one() for _ in range(count)))
        return await self.look()

    async def look(self) -> Size:
        """Let the bot come to rest and return what it holds."""
        self._discord.forget()
        self._lm.requests.clear()
        await asyncio.sleep(2.5)
        looks = read_looks(self._probe)
        return Size(
            self._number,
            self._process.memory_info().rss / 2**20,
            self._process.num_fds(),
            self._process.num_threads(),
            looks[-1].tasks if looks else 0,
        )

    async def _one(self) -> None:
        self._number += 1
        number = self._number
        if number % (DAY // FAULTS) == 0:
            self._lm.faults.next(next(self._faults))
        if number % (DAY // RESUMES) == 0:
            self._discord.faults.close(4000)
        person = self._crowd.people[number % len(self._crowd.people)]
        channel = self._crowd.channels[number % len(self._crowd.channels)]
        asked = await person.mention(channel, f"How many ships answered? This is day {number}.")
        self.outcomes[await self._ended(asked)] += 1

    async def _ended(self, asked: Message) -> str:
        def ended() -> Message | None:
            for message in reversed(asked.channel.messages.values()):
                if message.reference is asked:
                    is_over = "clawbot:stop" not in str(message.components)
                    return message if is_over and message.components else None
            return None

        try:
            message = await self._discord.wait_until(ended, timeout_s=ANSWER_S)
        except TimeoutError:
            return "none"
        return "whole" if message is not None and message.content == TEXT else "otherwise"


async def measure(options: argparse.Namespace) -> int:
    """Run and print a line every 1,000 mentions."""
    sizes: list[Size] = []
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.jsonl"
        model = Model("qwen/qwen3-next-80b", context_tokens=262_144, parallel=16)
        async with (
            DiscordSandbox(buckets=False, global_limit=None) as discord,
            LMStudioSandbox([model]) as lm,
            running_bot(discord, lm, arguments(probe), **ENVIRONMENT) as bot,
        ):
            lm.answer(TEXT)
            crowd = gather(discord, options.people, options.channels)
            soak = Soak(discord, lm, bot, probe, crowd)
            idle = await soak.look()
            for _ in range(0, options.mentions, 1000):
                sizes.append(await soak.block(min(1000, options.mentions), options.together))
                print(sizes[-1], f"{time.monotonic() - began_s:.0f} s", dict(soak.outcomes))
            cpu_ms = bot.cpu_s() * 1000 / options.mentions
            resumes = len(discord.resumes)
    return _report(options.mentions, [idle, *sizes], soak.outcomes, resumes, cpu_ms)


def _report(
    mentions: int, sizes: list[Size], outcomes: Counter[str], resumes: int, cpu_ms: float
) -> int:
    rows = [
        [f"{s.mentions:,}", f"{s.memory_mib:.1f}", s.descriptors, s.threads, s.tasks] for s in sizes
    ]
    print_table(
        f"{mentions:,} mentions; {resumes} resumes, {mentions // (DAY // FAULTS)} failures of the "
        f"model; {cpu_ms:.1f} ms of processor time each; "
        + ", ".join(f"{count:,} {name}" for name, count in sorted(outcomes.items())),
        ["mentions", "resident memory, MiB", "file descriptors", "threads", "tasks"],
        rows,
    )
    idle, first, last = sizes[0], sizes[1], sizes[-1]
    growth_mib = last.memory_mib - first.memory_mib
    print(
        f"\nfrom idle to the end: {last.memory_mib - idle.memory_mib:+.1f} MiB; "
        f"after the first thousand: {growth_mib:+.1f} MiB (bar {BAR_MIB:+.0f})"
    )
    is_flat = (
        growth_mib <= BAR_MIB
        and last.descriptors <= first.descriptors + BAR_DESCRIPTORS
        and last.threads <= first.threads + BAR_THREADS
        and last.tasks <= first.tasks + 5
    )
    return 0 if is_flat and not outcomes["none"] else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks soak")
    parser.add_argument("--mentions", type=int, default=DAY)
    parser.add_argument("--together", type=int, default=24, help="questions open at a time")
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--channels", type=int, default=400)
    return asyncio.run(measure(parser.parse_args(argv)))
