"""One question that breaks the model, beside ten ordinary ones: do these notice?

``python -m benchmarks poison [--factor 1] [--rounds 3] [--minutes 6] [--only NAME ...]``

Eleven people ask at the same moment; the first one's question fails each time it is asked, in one
of the ways in which only that question fails. The ten others' waits, from the question to the whole
answer, are held against the same ten without the eleventh.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._crowd import answers_to, gather, is_answered, last_change_s, words
from benchmarks._inside import FastClock, bot_inside, settings_for
from benchmarks.table import percentile, print_table
from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import Fault, LMStudioSandbox, Model, Timing

ORDINARY = 10
POISON = "Say the word that breaks it."
TEXT = words(80)
KINDS: dict[str, tuple[Fault, int | None]] = {
    "unknown text in the stream": (Fault.UNKNOWN_ERROR, 0),
    "unknown text after words": (Fault.UNKNOWN_ERROR, 3),
    "crash": (Fault.CRASHED, None),
    "crash in the stream": (Fault.CRASHED, 0),
    "out of memory": (Fault.BAD_ALLOC, None),
    "out of memory (MLX)": (Fault.METAL_ALLOCATE, None),
    "can't be loaded": (Fault.LOAD_VULKAN, None),
    "context length reached": (Fault.OVERFLOW_REACHED, None),
    "context length reached in the stream": (Fault.OVERFLOW_REACHED, 0),
    "server fault": (Fault.HTML_500, None),
    "compute error": (Fault.COMPUTE_ERROR, 3),
    "template": (Fault.JINJA_NO_USER, None),
    "channel error": (Fault.CHANNEL_ERROR, 0),
    "output parser": (Fault.PEG_NATIVE, 3),
    "speculative decoding": (Fault.SPECULATIVE, None),
    "connection reset": (Fault.RESET_AFTER_HEADERS, None),
    "connection reset after words": (Fault.RESET_AFTER_TOKENS, 3),
    "stream cut": (Fault.TRUNCATED_STREAM, 3),
    "nothing but an end": (Fault.EMPTY, None),
    "empty refusal": (Fault.EMPTY_400, None),
    "line without end": (Fault.HUGE_LINE, None),
    "no JSON": (Fault.INVALID_JSON, None),
    "comments without end": (Fault.ENDLESS_COMMENTS, None),
    "gateway timeout": (Fault.HTML_504, None),
}
SETTLE_S = 120.0
ALLOWED = 0.10


@dataclass(frozen=True)
class Round:
    """What ten people waited, and what the eleventh was told."""

    waits_s: Sequence[float]
    sentence: str = ""
    told_after_s: float = 0.0
    requests: int = 0


@dataclass(frozen=True)
class Place:
    """A running bot between its two servers."""

    discord: DiscordSandbox
    lm: LMStudioSandbox


@contextlib.asynccontextmanager
async def place(factor: float) -> AsyncIterator[Place]:
    """Start a bot on a quiet server."""
    clock = FastClock(factor)
    timing = Timing(prefill_tokens_s=400, generation_tokens_s=40, speed=factor)
    model = Model("qwen/qwen3-next-80b", context_tokens=65_536, parallel=4)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            DiscordSandbox(now=clock.unix_s, monotonic=clock.monotonic, buckets=False) as discord,
            LMStudioSandbox([model], timing) as lm,
        ):
            lm.answer(TEXT)
            async with bot_inside(settings_for(discord, lm, Path(folder) / "data"), clock):
                yield Place(discord, lm)


async def run(factor: float, poison: tuple[Fault, int | None] | None) -> Round:
    """Let everybody ask, and wait for every end."""
    async with place(factor) as here:
        discord, lm = here.discord, here.lm
        crowd = gather(discord, ORDINARY + 1, ORDINARY + 1)
        people = list(zip(crowd.people, crowd.channels, strict=True))
        bad: Message | None = None
        if poison is not None:
            fault, after_tokens = poison
            lm.faults.next(fault, times=None, after_tokens=after_tokens, words=POISON)
            bad = await people[0][0].mention(people[0][1], POISON)
        asked = [
            await person.mention(channel, f"How many ships answered on day {number}?")
            for number, (person, channel) in enumerate(people[1:])
        ]
        await discord.wait_until(
            lambda: all(is_answered(discord, one, TEXT) for one in asked), timeout_s=SETTLE_S
        )
        waits_s = [last_change_s(discord, one) for one in asked]
        if bad is None:
            return Round(waits_s)
        told = bad
        await discord.wait_until(lambda: _has_ended(discord, told), timeout_s=SETTLE_S)
        sentence = answers_to(discord, told)[-1].content.replace("\n", " ")
        requests = sum(one.fault is not None for one in lm.completions)
        return Round(waits_s, sentence, last_change_s(discord, told), requests)


async def compare(options: argparse.Namespace) -> dict[str, tuple[Round, Round]]:
    """Run rounds without and with each kind in turns; return the calmest of each.

    A machine with other work to do disturbs some rounds, and both alike. Each kind gets one round,
    and further ones while there is time.
    """
    until_s = time.monotonic() + 60 * options.minutes
    calmest: dict[str, tuple[Round, Round]] = {}
    for number in range(options.rounds):
        for name in options.only or KINDS:
            if number and time.monotonic() > until_s:
                return calmest
            found = await run(options.factor, None), await run(options.factor, KINDS[name])
            print(f"{name}: {_median_s(found[0]):.1f} / {_median_s(found[1]):.1f} s", flush=True)
            known = calmest.get(name, found)
            without, beside = (min(pair, key=_median_s) for pair in zip(known, found, strict=True))
            calmest[name] = without, beside
    return calmest


def _median_s(seen: Round) -> float:
    return percentile(seen.waits_s, 50)


def _has_ended(discord: DiscordSandbox, asked: Message) -> bool:
    found = answers_to(discord, asked)
    return bool(found) and not any("clawbot:stop" in str(m.components) for m in found)


async def measure(options: argparse.Namespace) -> int:
    """Run every kind and print the table."""
    logging.disable(logging.CRITICAL)
    rows: list[list[object]] = []
    bad = 0
    for name, (base, seen) in (await compare(options)).items():
        pairs = [(_median_s(base), _median_s(seen)), (max(base.waits_s), max(seen.waits_s))]
        more = max(beside / without for without, beside in pairs) - 1
        bad += more > ALLOWED or not seen.sentence
        cells = [f"{without:.1f} / {beside:.1f}" for without, beside in pairs]
        rows.append([name, *cells, f"{more:+.0%}", seen.requests, seen.told_after_s, seen.sentence])
    print_table(
        f"{ORDINARY} ordinary questions beside one that fails; 4 slots",
        [
            "kind",
            "median wait without / beside it, s",
            "longest wait, s",
            "more",
            "its requests",
            "told after, s",
            "what it is told",
        ],
        rows,
    )
    return 0 if not bad else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks poison")
    parser.add_argument("--factor", type=float, default=1.0, help="how much faster time passes")
    parser.add_argument("--rounds", type=int, default=3, help="the calmest of so many counts")
    parser.add_argument(
        "--minutes", type=float, default=6.0, help="no further rounds after so many"
    )
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", choices=[*KINDS, []])
    return asyncio.run(measure(parser.parse_args(argv)))
