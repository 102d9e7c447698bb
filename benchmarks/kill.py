"""Kill the bot at random instants and start it again: each question must have one outcome.

``python -m benchmarks kill [--kills 200] [--seed 1]``

Each round asks a question, kills the process (SIGKILL) after a random time between nothing and a
little more than a whole answer takes, and starts it again. A question's outcome is one message of
the bot that replies to it, whole (or a sentence of apology), without a Stop button left on it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks._rig import BotProcess, start_bot
from benchmarks.table import print_table
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import LMStudioSandbox, Model, Timing

ANSWER = " ".join(["All eleven ships answered before noon."] * 12) + " The end."
LONGEST_S = 3.6
"""A little more than a whole turn takes here: context, reading, about 3 s of writing, the end."""
EARLY_S, EARLY_SHARE = 0.15, 0.3
"""So many kills strike before or while the first word is shown, where most states are passed."""
SETTLE_S = 90.0


def outcomes(discord: DiscordSandbox, asked: Message) -> list[Message]:
    """Return the bot's messages that answer a question."""
    return [m for m in discord.bot_messages if m.reference is asked]


def is_whole(message: Message) -> bool:
    """Return whether an answer is complete and no Stop button is left below it."""
    stop = any("clawbot:stop" in str(part) for part in message.components)
    return not stop and message.content.endswith(("The end.", "try again.", "still like.", "way."))


async def round_(
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    bot: BotProcess,
    folder: Path,
    person: Person,
    channel: Channel,
    wait_s: float,
) -> tuple[BotProcess, Message, str]:
    """Ask, kill after ``wait_s``, start again; returns the new process and the phase of the kill."""
    asked = await person.mention(channel, "How many ships answered?")
    await asyncio.sleep(wait_s)
    await bot.kill()
    shown = outcomes(discord, asked)
    phase = "before anything was shown"
    if shown:
        phase = "after the end" if is_whole(shown[0]) else "while writing"
    bot = await start_bot(discord, lm, folder, CLAWBOT_DISCORD__IDENTIFIES_PER_DAY="900")
    return bot, asked, phase


async def measure(options: argparse.Namespace) -> int:
    """Run all rounds and print the table; the exit code is 1 when a promise was broken."""
    rng = random.Random(options.seed)
    timing = Timing(prefill_tokens_s=4000, generation_tokens_s=45)
    phases: Counter[str] = Counter()
    questions: list[Message] = []
    async with (
        DiscordSandbox(rest_delay_s=0.02) as discord,
        LMStudioSandbox([Model("qwen/qwen3-next-80b", parallel=4)], timing) as lm,
    ):
        lm.answer(ANSWER)
        ada = discord.add_user("Ada")
        guild = discord.add_guild("Home", owner=ada)
        channels = [guild.add_channel(f"room-{n}") for n in range(8)]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "data"
            bot = await start_bot(discord, lm, folder)
            for number in range(options.kills):
                channel = channels[number % len(channels)]
                longest_s = EARLY_S if rng.random() < EARLY_SHARE else LONGEST_S
                wait_s = rng.uniform(0, longest_s)
                bot, asked, phase = await round_(discord, lm, bot, folder, ada, channel, wait_s)
                phases[phase] += 1
                questions.append(asked)
            bad = await _settle(discord, questions)
            await bot.terminate()
    rows = [[phase, count] for phase, count in sorted(phases.items())]
    print_table(f"{options.kills} kills, seed {options.seed}", ["killed", "times"], rows)
    print_table("outcomes", ["exactly one", "none", "several or unfinished"], [bad])
    return 0 if bad[0] == len(questions) else 1


async def _settle(discord: DiscordSandbox, questions: list[Message]) -> list[int]:
    def all_done() -> bool:
        return all(
            len(found) == 1 and is_whole(found[0])
            for found in (outcomes(discord, asked) for asked in questions)
        )

    try:
        await discord.wait_until(all_done, timeout_s=SETTLE_S)
    except TimeoutError:
        for asked in questions:
            found = outcomes(discord, asked)
            if len(found) != 1 or not is_whole(found[0]):
                print(asked.id, [(m.content[-60:], len(m.components)) for m in found])
    one = sum(1 for q in questions if len(f := outcomes(discord, q)) == 1 and is_whole(f[0]))
    none = sum(1 for q in questions if not outcomes(discord, q))
    return [one, none, len(questions) - one - none]


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks kill")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    return asyncio.run(measure(parser.parse_args(argv)))
