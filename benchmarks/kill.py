"""Kill the bot at random instants and start it again: each question must have one outcome.

``python -m benchmarks kill [--kills 60] [--seed 1] [--minutes 6]``

In each round a mention, an ``/ask``, a message menu and the first direct message of somebody unknown
are asked at random instants within one answer's time, the process is killed (SIGKILL), and started
again. A question's outcome is one message of the bot, whole (or a sentence of apology), without a
Stop button left on it. A command that the bot had not acknowledged when it was killed is one that
Discord tells its author about ("The application did not respond"), so that it may have no outcome.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._rig import BotProcess, start_bot
from benchmarks.table import print_table
from sandbox.discord import Channel, DiscordSandbox, Interaction, Message, Person
from sandbox.lmstudio import LMStudioSandbox, Model, Timing

ANSWER = " ".join(["All eleven ships answered before noon."] * 12) + " The end."
LONGEST_S = 2.4
"""A little more than a whole turn takes here: context, reading, about 2 s of writing, the end."""
EARLY_S, EARLY_SHARE = 0.15, 0.4
"""So many kills strike before or while the first word is shown, where most states are passed."""
SETTLE_S = 60.0
ROUND_SETTLE_S = 15.0
"""How long a round waits for its outcomes, so that the next one finds the line empty."""
KINDS = ("mention", "/ask", "message menu", "first direct message")
NOWHERE, WRITING, ENDED = "before anything was shown", "while writing", "after the end"


@dataclass
class Asked:
    """One question of a round.

    Attributes:
        where: Where it was asked; each question has a channel of its own.
        used: The interaction, for a command.
        was_taken: The bot had acknowledged it when it was killed; always true for messages.
        phase: When the kill came.
    """

    kind: str
    where: Channel
    used: Interaction | None = None
    was_taken: bool = True
    phase: str = NOWHERE

    def outcomes(self, discord: DiscordSandbox) -> list[Message]:
        """Return the bot's messages in the question's channel."""
        return [m for m in discord.bot_messages if m.channel is self.where]

    def note_kill(self, discord: DiscordSandbox) -> None:
        """Note how far it had come."""
        self.was_taken = self.used is None or self.used.acknowledged
        shown = [m for m in self.outcomes(discord) if m.content]
        if shown:
            self.phase = ENDED if is_whole(shown[0]) else WRITING

    def verdict(self, discord: DiscordSandbox) -> str:
        """Return what became of it."""
        found = self.outcomes(discord)
        if len(found) == 1 and is_whole(found[0]):
            return "exactly one"
        if not found:
            return "none" if self.was_taken else "told by Discord"
        return "several or unfinished"


def is_whole(message: Message) -> bool:
    """Return whether an answer is complete and no Stop button is left below it."""
    stop = any("clawbot:stop" in str(part) for part in message.components)
    return not stop and message.content.endswith(("The end.", "try again.", "still like.", "way."))


class Round:
    """Four questions and one kill.

    Args:
        discord: Running.
        people: Who asks, by kind; a direct message is always a stranger's first.
        number: Of the round.
    """

    def __init__(self, discord: DiscordSandbox, people: Mapping[str, Person], number: int) -> None:
        self._discord = discord
        self._people = people
        self._number = number
        guild = next(iter(discord.world.guilds.values()))
        self._rooms = [guild.add_channel(f"room-{number}-{n}") for n in range(3)]

    async def ask(self, kind: str, before_s: float, longest_s: float) -> Asked:
        """Ask a question so long before the kill."""
        person, target = self._people[kind], None
        if kind == "message menu":
            target = await person.say(self._rooms[2], "Eleven ships lay in the harbour.")
        await asyncio.sleep(longest_s - before_s)
        if kind == "mention":
            await person.mention(self._rooms[0], "How many ships answered?")
            return Asked(kind, self._rooms[0])
        if kind == "/ask":
            used = await person.slash(self._rooms[1], "ask", prompt="How many ships?")
            return Asked(kind, self._rooms[1], used)
        if target is not None:
            used = await person.context_menu(target, "Ask about this")
            return Asked(kind, self._rooms[2], used)
        stranger = self._discord.add_user(f"Stranger{self._number}")
        await stranger.dm("How many ships answered?")
        return Asked(kind, stranger.dm_channel)


async def ask_all(round_of: Round, rng: random.Random) -> list[Asked]:
    """Ask one question of each kind; returns when the kill is due."""
    longest_s = [EARLY_S if rng.random() < EARLY_SHARE else LONGEST_S for _ in KINDS]
    before_s = [rng.uniform(0, most_s) for most_s in longest_s]
    asking = [
        asyncio.create_task(round_of.ask(kind, wait_s, max(before_s)))
        for kind, wait_s in zip(KINDS, before_s, strict=True)
    ]
    await asyncio.sleep(max(before_s))
    await asyncio.wait(asking)
    return [task.result() for task in asking]


async def _round(
    round_of: Round, discord: DiscordSandbox, bot: BotProcess, rng: random.Random
) -> list[Asked]:
    """Ask one question of each kind, and kill the bot; returns the questions."""
    asked = await ask_all(round_of, rng)
    await bot.kill()
    for each in asked:
        each.note_kill(discord)
    return asked


async def measure(options: argparse.Namespace) -> int:
    """Run all rounds and print the tables; the exit code is 1 when a promise was broken."""
    rng = random.Random(options.seed)
    timing = Timing(prefill_tokens_s=4000, generation_tokens_s=70)
    asked: list[Asked] = []
    more = {"CLAWBOT_DISCORD__IDENTIFIES_PER_DAY": "900"}
    until_s = time.monotonic() + 60 * options.minutes
    async with (
        DiscordSandbox(rest_delay_s=0.02) as discord,
        LMStudioSandbox([Model("qwen/qwen3-next-80b", parallel=8)], timing) as lm,
    ):
        lm.answer(ANSWER)
        people = {kind: discord.add_user(f"Person{n}") for n, kind in enumerate(KINDS)}
        guild = discord.add_guild("Home", owner=people[KINDS[0]])
        for person in people.values():
            guild.add_member(person)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "data"
            bot = await start_bot(discord, lm, folder, **more)
            await discord.wait_command("ask")
            for number in range(options.kills):
                asked.extend(await _round(Round(discord, people, number), discord, bot, rng))
                print(f"{number + 1} of {options.kills} kills", flush=True)
                bot = await start_bot(discord, lm, folder, **more)
                with contextlib.suppress(TimeoutError):
                    await discord.wait_until(
                        lambda: not unsettled(discord, asked), timeout_s=ROUND_SETTLE_S
                    )
                if time.monotonic() > until_s:
                    break
            bad = await settle(discord, asked)
            await bot.terminate()
    kills = len(asked) // len(KINDS)
    print_outcomes(f"{kills} kills, seed {options.seed}", asked, discord)
    return 1 if bad else 0


def print_outcomes(title: str, asked: Sequence[Asked], discord: DiscordSandbox) -> None:
    """Print when the kills came, and what became of the questions."""
    phases = Counter((each.kind, each.phase) for each in asked)
    rows = [[kind, *(phases[kind, phase] for phase in (NOWHERE, WRITING, ENDED))] for kind in KINDS]
    print_table(f"{title}: when", ["asked by", NOWHERE, WRITING, ENDED], rows)
    names = ("exactly one", "told by Discord", "none", "several or unfinished")
    ends = Counter((each.kind, each.verdict(discord)) for each in asked)
    rows = [[kind, *(ends[kind, name] for name in names)] for kind in KINDS]
    print_table("outcomes", ["asked by", *names], rows)


def unsettled(discord: DiscordSandbox, asked: Sequence[Asked]) -> list[Asked]:
    """Return the questions that have not exactly one outcome."""
    ends = {"exactly one", "told by Discord"}
    return [each for each in asked if each.verdict(discord) not in ends]


async def settle(discord: DiscordSandbox, asked: Sequence[Asked]) -> list[Asked]:
    """Wait until all have their outcome; returns those that have not."""
    try:
        await discord.wait_until(lambda: not unsettled(discord, asked), timeout_s=SETTLE_S)
    except TimeoutError:
        for each in unsettled(discord, asked):
            found = [(m.content[-60:], len(m.components)) for m in each.outcomes(discord)]
            print(each.kind, each.phase, each.was_taken, found)
    return unsettled(discord, asked)


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks kill")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=6.0, help="no further kill after so many")
    return asyncio.run(measure(parser.parse_args(argv)))
