"""Random lives of the bot: whatever people, Discord and the model do, each question ends once.

A scenario is a list of steps, made from a seed. It is played on the whole application, in this
process or in one of its own; then everything that was broken is mended, and once nothing is left to
do it is looked at from Discord's side and from the journal's. A longer run, which makes what fails
smaller:

    uv run python -m tests.support.lives.play --seeds 100 --first 0
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.discord import DiscordSandbox
from sandbox.discord.people.not_offered import NotOfferedError
from sandbox.lmstudio import LMStudioSandbox, Model
from tests.support.lives.life import STARTED_S, Life
from tests.support.lives.steps import ACTIONS, WEIGHTS, mend
from tests.support.lives.verdict import faults_of

_log = logging.getLogger("lives")

STEPS = 9
SETTLED_S = 60.0
"""Longest time until everything has ended, once nothing is broken any more."""
QUIET_S = 0.6
"""Nothing may change for so long before the scenario is looked at."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens.

    Attributes:
        name: What: a key of ``ACTIONS``.
        choice: Decides whom and what it concerns, whatever other steps were left out.
        pause_s: How long nothing happens after it, in seconds.
    """

    name: str
    choice: int
    pause_s: float


def scenario(seed: int) -> list[Step]:
    """Return the steps of a seed."""
    chance = random.Random(seed)
    names = chance.choices(list(ACTIONS), list(WEIGHTS.values()), k=STEPS)
    pauses = [0.0, 0.02, 0.1, 0.3, 0.8]
    return [
        Step("mention", chance.randrange(1000), chance.choice(pauses)),
        *(Step(name, chance.randrange(1000), chance.choice(pauses)) for name in names),
    ]


async def play(steps: Sequence[Step], *, is_process: bool = False) -> list[str]:
    """Play a scenario, and return a sentence on everything that is wrong at its end.

    Args:
        steps: What happens, in order.
        is_process: The bot is a process of its own, which is really killed.
    """
    folder = Path(tempfile.mkdtemp())
    model = Model("qwen/qwen3-next-80b", context_tokens=8192, parallel=4)
    try:
        async with DiscordSandbox() as discord, LMStudioSandbox([model]) as lm:
            people = [discord.add_user(name) for name in ("Ada", "Bob", "Cid")]
            guild = discord.add_guild("Home", owner=people[0])
            channels = [guild.add_channel(name) for name in ("general", "other")]
            channels.append(channels[1].add_thread("thread", owner=people[0]))
            for person in (*people[1:], discord.owner):
                guild.add_member(person)
            life = Life(discord, lm, folder, people, channels, is_process)
            lm.answer_with(life.respond)
            return await _play(life, steps)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _play(life: Life, steps: Sequence[Step]) -> list[str]:
    try:
        await life.start()
        await life.discord.wait_command("ask", timeout_s=STARTED_S)
        for step in steps:
            _log.info("%s", step)
            with contextlib.suppress(NotOfferedError):
                await ACTIONS[step.name](life, random.Random(step.choice))
            await asyncio.sleep(step.pause_s)
        await mend(life, random.Random(0))
        await life.start()
        await life.discord.wait_online(timeout_s=STARTED_S)
        return await _settle(life)
    finally:
        with contextlib.suppress(TimeoutError):
            await life.end()


async def _settle(life: Life) -> list[str]:
    """Wait until nothing is wrong and nothing changes any more; return what stays wrong."""
    deadline = time.monotonic() + SETTLED_S
    seen, since = "", time.monotonic()
    while True:
        life.lm.resume()
        await asyncio.sleep(0.05)
        wrong, now = faults_of(life), time.monotonic()
        state = str([(m.id, m.content, m.components) for m in life.answers()])
        if state != seen:
            seen, since = state, now
        if now > deadline:
            return [*wrong, *_told(life)]
        if not wrong and now - since > QUIET_S:
            return []


def _told(life: Life) -> list[str]:
    """Return what stands in every channel, a line each."""
    return [
        f"{m.channel.name} {m.id} {m.author.username}: {m.content[:80]!r} {list(m.reactions)}"
        + (f" to {m.reference.id}" if m.reference is not None else "")
        for channel in life.discord.world.channels.values()
        for m in channel.messages.values()
    ]


async def smaller(steps: Sequence[Step], *, is_process: bool) -> list[Step]:
    """Return a scenario that fails too, without the steps that it doesn't need."""
    left = list(steps)
    for step in steps:
        tried = [each for each in left if each is not step]
        if len(tried) < len(left) and await play(tried, is_process=is_process):
            left = tried
    return left


async def explore(first: int, count: int, *, is_smaller: bool, is_process: bool) -> int:
    """Play seeds, and print each that fails with its steps; returns how many."""
    failed = 0
    for seed in range(first, first + count):
        begun_s = time.monotonic()
        steps = scenario(seed)
        _log.info("seed %d begins", seed)
        try:
            wrong = await play(steps, is_process=is_process)
        except Exception as exc:  # noqa: BLE001 - the next seed is played all the same
            wrong = [f"{type(exc).__name__}: {exc}"]
        if wrong:
            failed += 1
            shown = await smaller(steps, is_process=is_process) if is_smaller else steps
            head = f"seed {seed} ({time.monotonic() - begun_s:.0f} s)"
            sys.stdout.write("\n  ".join([head, *wrong, *map(str, shown)]) + "\n")
            sys.stdout.flush()
    sys.stdout.write(f"{count} seeds from {first}, {failed} failed\n")
    return failed


def main() -> None:
    """Read the command line and explore."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.lives.play", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many scenarios")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--smaller", action="store_true", help="leave out steps that aren't needed")
    parser.add_argument("--log", action="store_true", help="show the bot's log")
    parser.add_argument("--process", action="store_true", help="the bot in a process of its own")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO if chosen.log else logging.CRITICAL)
    exploring = explore(
        chosen.first, chosen.seeds, is_smaller=chosen.smaller, is_process=chosen.process
    )
    failed = asyncio.run(exploring)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
