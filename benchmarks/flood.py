"""One person floods the line: how long does a bystander wait for the first word?

``python -m benchmarks flood [--questions 30] [--bystanders 12]``

The flooder's answers take one second each. Run once as the bot comes, where messages of one person
within two seconds become one question and only ten may wait, and once with both switched off, so
that the whole flood really stands in line.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping

from benchmarks._crowd import all_answered, first_word_s, gather, words
from benchmarks._rig import running_bot
from benchmarks.table import percentile, print_table
from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import LMStudioSandbox, Model, Timing

TEXT = words(40)
TIMING = Timing(prefill_tokens_s=2000, generation_tokens_s=40)
SLOT_S = 1.0
"""How long one answer takes: what is left of it is the most that a bystander waits for a slot."""
LONGEST_S = 2.0
UNBOUNDED = {
    "CLAWBOT_QUEUE__BURST_WINDOW_S": "0",
    "CLAWBOT_QUEUE__MAX_WAITING_PERSON": "1000",
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "10000",
}


async def run(
    flood: int, bystanders: int, extra: Mapping[str, str]
) -> tuple[list[float], list[float], int]:
    """Measure waits on an idle server, then during the flood.

    Returns:
        Waits for the first word when idle and during the flood, in seconds, and how many of the
        flood's questions the model was asked.
    """
    model = Model("qwen/qwen3-next-80b", context_tokens=65_536, parallel=4)
    async with (
        DiscordSandbox(rest_delay_s=0.03) as discord,
        LMStudioSandbox([model], TIMING) as lm,
        running_bot(discord, lm, **extra),
    ):
        lm.answer(TEXT)
        crowd = gather(discord, bystanders + 1, bystanders + 1)
        flooder, *others = crowd.people
        flooded, *quiet = crowd.channels
        idle: list[Message] = []
        for person, channel in list(zip(others, quiet, strict=True))[:6]:
            idle.append(await person.mention(channel, "Is anybody there?"))
            await all_answered(discord, idle, TEXT)
        idle_s = _waits(discord, idle)
        await asyncio.sleep(5)
        for number in range(flood):
            await flooder.mention(flooded, f"Number {number}, and now?")
        during: list[Message] = []
        for person, channel in zip(others, quiet, strict=True):
            await asyncio.sleep(0.4)
            during.append(await person.mention(channel, "Is anybody there?"))
        await all_answered(discord, during, TEXT)
        asked = sum("Number" in str(one.body) for one in lm.completions)
        return idle_s, _waits(discord, during), asked


def _waits(discord: DiscordSandbox, questions: list[Message]) -> list[float]:
    waits = [first_word_s(discord, asked, "Ships") for asked in questions]
    return [float("inf") if wait is None else wait for wait in waits]


async def measure(options: argparse.Namespace) -> int:
    """Run both ways and print the table."""
    rows = []
    is_good = True
    for name, extra in (("as it comes", {}), ("no merging, no bound per person", UNBOUNDED)):
        idle_s, during_s, asked = await run(options.questions, options.bystanders, extra)
        bar_s = min(LONGEST_S, 2 * percentile(idle_s, 50) + SLOT_S)
        is_good &= max(during_s) <= bar_s
        rows.append(
            [
                name,
                asked,
                percentile(idle_s, 50),
                percentile(during_s, 50),
                max(during_s),
                bar_s,
            ]
        )
    print_table(
        f"{options.bystanders} bystanders while one person floods {options.questions} questions "
        "on 4 slots",
        [
            "line",
            "flood's questions so far",
            "idle first word p50, s",
            "bystander p50, s",
            "longest, s",
            "bar, s",
        ],
        rows,
    )
    return 0 if is_good else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks flood")
    parser.add_argument("--questions", type=int, default=30)
    parser.add_argument("--bystanders", type=int, default=12)
    return asyncio.run(measure(parser.parse_args(argv)))
