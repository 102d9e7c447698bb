"""Many people ask at once on few slots: is every answer whole, and is every slot kept busy?

``python -m benchmarks load [--people 48] [--channels 12] [--slots 4] [--tokens 80]``
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass

from benchmarks._crowd import all_answered, first_word_s, gather, last_change_s, words
from benchmarks._rig import running_bot
from benchmarks.table import percentile, print_table
from sandbox.discord import DiscordSandbox
from sandbox.lmstudio import LMStudioSandbox, Model, Timing

SPEED_TOKENS_S = 40.0
"""What one slot writes, in tokens a second; other slots don't slow it."""
BAR = 0.95


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        whole: Answers that stand as the model gave them.
        share: Tokens written, of those that the slots could have written in the time.
        first_s: Waits for the first word, in seconds.
        last_s: Waits for the whole answer, in seconds.
    """

    whole: int
    share: float
    first_s: list[float]
    last_s: list[float]


async def run(people: int, channels: int, slots: int, tokens: int) -> Result:
    """Let everybody ask at once and wait for the last answer."""
    text = words(tokens)
    timing = Timing(prefill_tokens_s=50_000, generation_tokens_s=SPEED_TOKENS_S)
    model = Model("qwen/qwen3-next-80b", context_tokens=65_536, parallel=slots)
    async with (
        DiscordSandbox(rest_delay_s=0.03) as discord,
        LMStudioSandbox([model], timing) as lm,
        running_bot(discord, lm, CLAWBOT_QUEUE__MAX_WAITING_CHANNEL="1000"),
    ):
        lm.answer(text)
        crowd = gather(discord, people, channels)
        began_s = time.monotonic()
        questions = [
            await person.mention(crowd.channels[number % channels], f"Question {number}")
            for number, person in enumerate(crowd.people)
        ]
        whole = await all_answered(discord, questions, text)
        await asyncio.sleep(0.5)
        took_s = max(one.ended_at or 0.0 for one in lm.completions) - began_s
        written = sum(one.tokens_sent for one in lm.completions)
        first = [first_word_s(discord, asked, "Ships") for asked in questions]
        last = [last_change_s(discord, asked) for asked in questions]
    return Result(
        whole,
        written / (slots * SPEED_TOKENS_S * took_s),
        [each for each in first if each is not None],
        last,
    )


async def measure(options: argparse.Namespace) -> int:
    """Run over several channels and in one, and print the table."""
    rows = []
    is_good = True
    for channels in (options.channels, 1):
        result = await run(options.people, channels, options.slots, options.tokens)
        is_good &= result.whole == options.people and result.share >= BAR
        rows.append(
            [
                channels,
                f"{result.whole} of {options.people}",
                f"{result.share:.1%}",
                percentile(result.first_s, 50),
                percentile(result.first_s, 99),
                percentile(result.last_s, 50),
                percentile(result.last_s, 99),
            ]
        )
    print_table(
        f"{options.people} people ask at once, {options.slots} slots, {options.tokens} tokens each; "
        f"bar: all whole, {BAR:.0%} of what the slots can write",
        [
            "channels",
            "whole",
            "of the slots' tokens",
            "first word p50, s",
            "p99, s",
            "whole answer p50, s",
            "p99, s",
        ],
        rows,
    )
    return 0 if is_good else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks load")
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--channels", type=int, default=12)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=80)
    return asyncio.run(measure(parser.parse_args(argv)))
