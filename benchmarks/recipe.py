"""The recipe's own table: its loop against this bot, on the same timed server.

``python -m benchmarks recipe [--people 4] [--before 14] [--turns 4] [--slots 4] [--speed 2]
[--chart docs/images/recipe.svg]``

People hold long conversations, one each, and ask on as soon as they are answered. Four runs of the
same conversations:

- *recipe's loop*: ``benchmarks/_recipe_bot.py`` (a new client per try, three tries a second apart, the
  last 25 messages, no streaming, no line);
- *software alone*: this bot on a server that keeps no prompt, so that each is read from its start,
  as a window that slides is;
- *+ warm prompts*: this bot on the server as it is;
- *+ thinking off*: the same, with ``CLAWBOT_CHAT__REASONING=off``.

The server is an 80B model on a mini PC, ``--speed`` times as fast; the recipe's timeout and pauses
are as much shorter, the waits of this bot (typing, pacing of edits, rate limits) are not. Times in
the table are the model machine's own seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks._crowd import answers_to, first_word_s, gather, last_change_s, words
from benchmarks._recipe_chart import draw
from benchmarks._rig import BotProcess, running_bot
from benchmarks.table import percentile, print_table
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import INSTANT, Answer, LMStudioSandbox, Model, RecordedRequest, Timing

MODEL = "qwen/qwen3-next-80b"
MACHINE = Timing(
    prefill_tokens_s=400.0,
    prefill_half_tokens=32_000.0,
    generation_tokens_s=40.0,
    decode_slowdown=0.15,
)
"""An 80B mixture of experts on a mini PC; four answers at once take 45 % longer each."""
FIRST, LAST = "Ships", "Done."
ANSWER_TOKENS = 160
THINKING_TOKENS = 160
QUESTION_TOKENS = 60
ANSWER_TIMEOUT_S = 180.0
CONTEXT_TOKENS = 65_536
FIRST_WORD_BAR, P99_BAR, BUSY_BAR = 0.48, 0.51, 0.95
"""The recipe promised the first word in 1.1 s instead of 2.3, and half the 99th percentile."""
OURS = {
    "CLAWBOT_QUEUE__PER_PERSON_PER_MINUTE": "1000",
    "CLAWBOT_QUEUE__PER_GUILD_PER_MINUTE": "10000",
}


@dataclass(frozen=True)
class Arm:
    """One bot on one server.

    Attributes:
        keeps_prompts: The server reuses what it has read.
    """

    name: str
    arguments: tuple[str, ...] = ("-m", "bot")
    extra: Mapping[str, str] | None = None
    keeps_prompts: bool = True


@dataclass(frozen=True)
class Result:
    """What one run came to, in seconds of the model's machine.

    Attributes:
        first_s: Waits for the first word that a person sees.
        whole_s: Waits for the whole answer.
        failed: Questions without an answer.
        answers_min: Whole answers a minute while everybody asks.
        busy: Share of the slots' time in which a request read or wrote.
        memory_mib: The bot's resident memory at the end.
    """

    first_s: list[float]
    whole_s: list[float]
    failed: int
    answers_min: float
    busy: float
    memory_mib: float


class Talks:
    """Everybody's conversation with the bot."""

    def __init__(self, discord: DiscordSandbox, lm: LMStudioSandbox, people: int) -> None:
        self.discord = discord
        self.lm = lm
        crowd = gather(discord, people, people)
        self._pairs = list(zip(crowd.people, crowd.channels, strict=True))
        self._last: dict[Channel, Message | None] = dict.fromkeys(crowd.channels)
        self._number = 0
        lm.answer_with(self._respond)

    def _respond(self, record: RecordedRequest) -> Answer:
        """Answer with words that are new, so that no later prompt is like an earlier one."""
        del record
        self._number += 1
        text = words(ANSWER_TOKENS).replace("Ships go", f"{FIRST} number {self._number}", 1)
        return Answer(f"{text} {LAST}", reasoning="so " * THINKING_TOKENS)

    async def go_on(self, turns: int) -> list[tuple[Message, Message | None]]:
        """Let everybody ask so often; returns each question with its whole answer."""
        found = await asyncio.gather(
            *(self._ask_on(person, channel, turns) for person, channel in self._pairs)
        )
        return [pair for pairs in found for pair in pairs]

    async def _ask_on(
        self, person: Person, channel: Channel, turns: int
    ) -> list[tuple[Message, Message | None]]:
        pairs = []
        for number in range(turns):
            text = f"Question {number}: " + words(QUESTION_TOKENS)
            last = self._last[channel]
            if last is None:
                asked = await person.mention(channel, text)
            else:
                asked = await person.reply(last, text)
            answer = await self._wait(asked)
            self._last[channel] = answer or last
            pairs.append((asked, answer))
        return pairs

    async def _wait(self, asked: Message) -> Message | None:
        def standing() -> list[Message]:
            return [m for m in answers_to(self.discord, asked) if is_final(m)]

        try:
            await self.discord.wait_until(standing, timeout_s=ANSWER_TIMEOUT_S)
        except TimeoutError:
            return None
        answer = standing()[0]
        return answer if answer.content.endswith(LAST) else None


def is_final(message: Message) -> bool:
    """Tell whether an answer stands as it will stay: whole, or a notice of a failure."""
    if "clawbot:stop" in str(message.components):
        return False
    return message.content.endswith(LAST) or message.content.startswith(("Sorry", "⚠️"))


async def run(arm: Arm, options: argparse.Namespace) -> Result:
    """Hold the conversations with one bot, untimed up to where they are long, then timed."""
    model = Model(
        MODEL,
        context_tokens=CONTEXT_TOKENS,
        parallel=options.slots,
        reasoning_options=("off", "on"),
        reasoning_default="on",
    )
    extra = {
        "RECIPE_MODEL": MODEL,
        "RECIPE_MAX_TOKENS": "2048",
        "RECIPE_SPEED": str(options.speed),
        **OURS,
        **(arm.extra or {}),
    }
    async with (
        DiscordSandbox(rest_delay_s=0.03) as discord,
        LMStudioSandbox([model], INSTANT) as lm,
        running_bot(discord, lm, arm.arguments, **extra) as bot,
    ):
        lm.options.cache_prompt = arm.keeps_prompts
        talks = Talks(discord, lm, options.people)
        await talks.go_on(options.before)
        lm.engine.timing = replace(MACHINE, speed=options.speed)
        asked_before = len(lm.completions)
        began_s = time.monotonic()
        pairs = await talks.go_on(options.turns)
        took_s = time.monotonic() - began_s
        return summary(discord, pairs, lm.completions[asked_before:], took_s, options, bot)


def summary(
    discord: DiscordSandbox,
    pairs: Sequence[tuple[Message, Message | None]],
    completions: Sequence[RecordedRequest],
    took_s: float,
    options: argparse.Namespace,
    bot: BotProcess,
) -> Result:
    """Put a run into figures."""
    answered = [asked for asked, answer in pairs if answer is not None]
    first = [first_word_s(discord, asked, FIRST) or 0.0 for asked in answered]
    whole = [last_change_s(discord, asked) for asked in answered]
    starts = [one.started_at for one in completions if one.started_at is not None]
    ends = [one.ended_at for one in completions if one.ended_at is not None]
    # From here on not everybody asks, and slots are free because nobody needs them.
    crowded_until = sorted(ends)[max(0, len(ends) - options.slots)]
    busy_s = sum(
        max(0.0, min(one.ended_at or 0.0, crowded_until) - one.started_at)
        for one in completions
        if one.started_at is not None
    )
    return Result(
        [each * options.speed for each in first],
        [each * options.speed for each in whole],
        len(pairs) - len(answered),
        len(answered) / (took_s * options.speed) * 60,
        busy_s / (options.slots * (crowded_until - min(starts))),
        bot.memory_mib(),
    )


def arms() -> list[Arm]:
    """Return the four runs, in the order of the table's columns."""
    return [
        Arm("recipe's loop", ("-m", "benchmarks._recipe_bot")),
        Arm("software alone", keeps_prompts=False),
        Arm("+ warm prompts"),
        Arm("+ thinking off", extra={"CLAWBOT_CHAT__REASONING": "off"}),
    ]


FIGURES: Mapping[str, Callable[[Result], float]] = {
    "first word, median (s)": lambda r: percentile(r.first_s, 50),
    "first word, 99th percentile (s)": lambda r: percentile(r.first_s, 99),
    "whole answer, median (s)": lambda r: percentile(r.whole_s, 50),
    "whole answer, 99th percentile (s)": lambda r: percentile(r.whole_s, 99),
    "whole answers a minute": lambda r: r.answers_min,
    "slots busy": lambda r: r.busy,
    "memory of the bot (MiB)": lambda r: r.memory_mib,
    "questions without an answer": lambda r: float(r.failed),
}


CHARTED = [name for name in FIGURES if not name.startswith(("slots", "questions"))]
"""What the picture shows: the rows in which the runs differ."""


def set_up(options: argparse.Namespace) -> str:
    """Return what was measured, in words."""
    return (
        f"{options.people} people, {options.before} turns before, {options.turns} measured, "
        f"{options.slots} slots"
    )


def print_results(results: Mapping[str, Result], options: argparse.Namespace) -> bool:
    """Print figures and ratios; returns whether the bars are met."""
    recipe, *ours = results.values()
    rows = []
    for name, figure in FIGURES.items():
        base = figure(recipe)
        cells: list[object] = [f"{base:.3g}"]
        for each in ours:
            ratio = f" (×{figure(each) / base:.2f})" if base else ""
            cells.append(f"{figure(each):.3g}{ratio}")
        rows.append([name, *cells])
    print_table(
        f"{set_up(options)}; ratios to the recipe's loop",
        ["figure", *results],
        rows,
    )
    alone, whole = ours[0], ours[-1]
    bars = [
        ("first word, median, software alone", _first(alone, recipe, 50), FIRST_WORD_BAR, False),
        ("99th percentile of it", _first(alone, recipe, 99), P99_BAR, False),
        ("first word, median, all", _first(whole, recipe, 50), FIRST_WORD_BAR, True),
        ("99th percentile of it", _first(whole, recipe, 99), P99_BAR, True),
        ("slots idle, all", 1 - whole.busy, 1 - BUSY_BAR, True),
    ]
    print_table(
        "Against what the recipe promised",
        ["ratio", "measured", "bar", "met"],
        [
            [name, f"{got:.2f}", f"≤ {bar:.2f}", _met(got, bar, can_be=can_be)]
            for name, got, bar, can_be in bars
        ],
    )
    return all(got <= bar for _, got, bar, can_be in bars if can_be)


def _first(ours: Result, recipe: Result, share: int) -> float:
    return percentile(ours.first_s, share) / percentile(recipe.first_s, share)


def _met(got: float, bar: float, *, can_be: bool) -> str:
    if got <= bar:
        return "yes"
    return "no" if can_be else "no: reading and thinking come before the first word"


async def measure(options: argparse.Namespace) -> int:
    """Run all four and print the tables."""
    results = {arm.name: await run(arm, options) for arm in arms()}
    if options.chart is not None:
        table = {
            figure: {name: FIGURES[figure](each) for name, each in results.items()}
            for figure in CHARTED
        }
        draw(table, f"The recipe's loop and this bot: {set_up(options)}", options.chart)
    return 0 if print_results(results, options) else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks recipe")
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--before", type=int, default=14)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--speed", type=float, default=2.0)
    parser.add_argument("--chart", type=Path, help="also draw the figures: a file .svg or .png")
    return asyncio.run(measure(parser.parse_args(argv)))
