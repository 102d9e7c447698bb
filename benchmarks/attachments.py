"""What attachments that attack their reader cost the bot: memory, and pauses of its event loop.

``python -m benchmarks attachments [--only PART …] [--copies 10]``

Somebody posts one message with copies of a bomb, waits for the answer, and the next person
comes with the next kind. Memory is the whole process's beyond what it had when it was idle; the
pause is the longest time that the event loop didn't come round, looked at from inside every 10 ms.
The processes that decode are its children: their memory is bounded, and they are gone afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks._bombs import BOMBS, Bomb, broken
from benchmarks._crowd import until_told
from benchmarks._probe import arguments, longest_pause, read_looks
from benchmarks._rig import running_bot
from benchmarks.table import print_table
from sandbox.discord import Channel, DiscordSandbox, Person
from sandbox.lmstudio import LMStudioSandbox, Model

BAR_MIB, BAR_HELPERS_MIB, BAR_PAUSE_MS = 150.0, 700.0, 100.0
ANSWER_S, GONE_S = 180.0, 90.0
LOOK_S = 0.02
_MIB = 2**20


@dataclass
class Peaks:
    """The most memory seen since the last reset, in MiB."""

    bot: float = 0.0
    helpers: float = 0.0


async def _watch(pid: int, peaks: Peaks) -> None:
    bot = psutil.Process(pid)
    while True:
        with suppress(psutil.Error):
            peaks.bot = max(peaks.bot, bot.memory_info().rss / _MIB)
            helpers = sum(child.memory_info().rss for child in bot.children())
            peaks.helpers = max(peaks.helpers, helpers / _MIB)
        await asyncio.sleep(LOOK_S)


async def run(bombs: Sequence[Bomb], copies: int) -> tuple[list[Sequence[object]], bool]:
    """Post each bomb; returns the table's rows, and whether all bars hold."""
    rows: list[Sequence[object]] = []
    is_good = True
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.jsonl"
        model = Model("local/model", context_tokens=65_536, vision=True)
        async with (
            DiscordSandbox() as discord,
            LMStudioSandbox([model]) as lm,
            running_bot(discord, lm, arguments(file)) as bot,
        ):
            lm.answer("Seen.")
            owner = discord.add_user("Ada")
            guild = discord.add_guild("Home", owner=owner)
            channel = guild.add_channel("files")
            await until_told(discord, await owner.mention(channel, "Hello"), ANSWER_S)
            idle_mib = bot.memory_mib()
            peaks = Peaks()
            watching = asyncio.create_task(_watch(bot.process.pid, peaks))
            for bomb in bombs:
                person = discord.add_user(f"Person {len(rows)}")
                guild.add_member(person)
                peaks.bot, peaks.helpers = 0.0, 0.0
                measured = await _post(discord, person, channel, bomb, copies, file)
                seconds, pause_ms, cpu_ms = measured
                more_mib = max(0.0, peaks.bot - idle_mib)
                rows.append([bomb.name, seconds, more_mib, peaks.helpers, pause_ms, cpu_ms])
                print(
                    f"{bomb.name}: {seconds:.1f} s, +{more_mib:.1f} MiB, helpers "
                    f"{peaks.helpers:.0f} MiB, pause {pause_ms:.0f} ms, of it at most "
                    f"{cpu_ms:.0f} ms of work",
                    flush=True,
                )
                is_good = is_good and (
                    more_mib <= BAR_MIB
                    and peaks.helpers <= BAR_HELPERS_MIB
                    and pause_ms <= BAR_PAUSE_MS
                )
            left = await _helpers_after(bot.process.pid)
            watching.cancel()
            rows.append(["a while later", "", max(0.0, bot.memory_mib() - idle_mib), left, "", ""])
    return rows, is_good and not left


async def _post(
    discord: DiscordSandbox, person: Person, channel: Channel, bomb: Bomb, copies: int, file: Path
) -> tuple[float, float, float]:
    """Post copies of a file.

    Returns:
        The seconds to the answer; the loop's longest pause, and its most work at once, in
        milliseconds.
    """
    data = await asyncio.get_running_loop().run_in_executor(None, bomb.make)
    began_s = time.monotonic()
    asked = await person.mention(channel, "What is this?", files=[(bomb.filename, data)] * copies)
    await until_told(discord, asked, ANSWER_S)
    ended_s = time.monotonic()
    await asyncio.sleep(1.1)  # until the probe has written its line
    looks = [look for look in read_looks(file) if look.at_s > began_s]
    return ended_s - began_s, *longest_pause(looks)


async def _helpers_after(pid: int) -> int:
    """Return how many children the bot still has once none should be left."""
    bot = psutil.Process(pid)
    give_up_s = time.monotonic() + GONE_S
    while bot.children() and time.monotonic() < give_up_s:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.5)
    return len(bot.children())


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks attachments", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of the names of bombs")
    parser.add_argument("--copies", type=int, default=10, help="of each bomb in its message")
    options = parser.parse_args(argv)
    only = options.only
    bombs = [bomb for bomb in BOMBS if any(part in bomb.name for part in only)]
    if only == [""]:
        bombs.append(Bomb("pictures, each with bytes changed", "a.png", broken()[2].make))
    rows, is_good = asyncio.run(run(bombs, options.copies))
    headers = (
        *(f"{options.copies} of these", "answered after, s", "bot, + MiB", "helpers, MiB"),
        *("pause, ms", "most work at once, ms"),
    )
    print_table(
        f"Bars: {BAR_MIB:g} MiB more, helpers {BAR_HELPERS_MIB:g} MiB and none left, pause "
        f"{BAR_PAUSE_MS:g} ms",
        headers,
        rows,
    )
    return 0 if is_good else 1
