"""Everything that goes wrong with LM Studio, through the whole bot: what does the person see?

``python -m benchmarks faults [--only NAME ...]``

Each fault of the local LM Studio strikes *once*, then *always*, then (an error message) *inside the
stream* after three tokens, each time with a bot that has just started. The person must have the
answer or a plain sentence in time, and never silence, LM Studio's own words, or an address. Some
faults, when they strike once, must not keep the person from the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import re
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._crowd import answers_to
from benchmarks._inside import FastClock, bot_inside, settings_for
from benchmarks.table import print_table
from sandbox.discord import DiscordSandbox, Message
from sandbox.lmstudio import Fault, LMStudioSandbox, Model
from sandbox.lmstudio.faults import ERRORS, Situation

TEXT = "All eleven ships answered before noon, and the last of them did so twice. The end."
FACTOR = 20.0
LIMIT_S, HOLD_S, GRACE_S = 60.0, 60.0, 5.0
"""The hard cap of an answer, how long a question is held for a machine that is away, and the rest."""
REAL_S = 40.0
ENVIRONMENT = {
    "CLAWBOT_LMSTUDIO__TOTAL_TIMEOUT_S": str(LIMIT_S),
    "CLAWBOT_LMSTUDIO__FIRST_TOKEN_TIMEOUT_S": "30",
    "CLAWBOT_LMSTUDIO__RETRY_BUDGET_S": "30",
    "CLAWBOT_QUEUE__HOLD_S": str(HOLD_S),
}
MUST_ANSWER = frozenset(
    {
        Fault.RESET_BEFORE_HEADERS,
        Fault.RESET_AFTER_HEADERS,
        Fault.STALE_KEEPALIVE,
        Fault.HTML_500,
        Fault.HTML_502,
        Fault.HTML_503,
        Fault.UNLOADED,
        Fault.CRASHED,
    }
)
"""Striking once, these must not keep the person from the answer."""
RAW = re.compile(
    r"\d+\.\d+\.\d+\.\d+|https?:|Traceback|[Ee]xit ?[Cc]ode|Jinja|nginx|<html|signal=|Vulkan|decode\("
)
WINDOW = 24
"""Characters in a row of LM Studio's own words that count as showing them."""

Arm = Callable[[LMStudioSandbox], None]


@dataclass(frozen=True)
class Seen:
    """What a person saw.

    Attributes:
        text: The last state of the answer; empty for silence.
        seconds: From the question to it, on the bot's clock.
        flags: What is wrong with it.
    """

    text: str
    seconds: float
    flags: tuple[str, ...]

    @property
    def is_answer(self) -> bool:
        """The whole answer is there."""
        return self.text.startswith(TEXT)


async def see(
    arm: Arm, raw: str, meanwhile: Callable[[LMStudioSandbox], Awaitable[None]] | None = None
) -> Seen:
    """Start a bot, let the fault strike a question, and look at what comes of it.

    Args:
        arm: Sets the fault.
        raw: LM Studio's own words.
        meanwhile: What happens after the question.
    """
    clock = FastClock(FACTOR)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            DiscordSandbox(now=clock.unix_s, monotonic=clock.monotonic, buckets=False) as discord,
            LMStudioSandbox([Model("qwen/qwen3-next-80b", context_tokens=65_536)]) as lm,
        ):
            lm.answer(TEXT)
            ada = discord.add_user("Ada")
            channel = discord.add_guild("Home", owner=ada).add_channel("general")
            settings = settings_for(discord, lm, Path(folder) / "data", **ENVIRONMENT)
            async with bot_inside(settings, clock):
                arm(lm)
                asked = await ada.mention(channel, "How many ships answered?")
                if meanwhile is not None:
                    await meanwhile(lm)
                with contextlib.suppress(TimeoutError):
                    await discord.wait_until(lambda: _ended(discord, asked), timeout_s=REAL_S)
                return _judge(discord, lm, asked, raw)


def _ended(discord: DiscordSandbox, asked: Message) -> bool:
    found = answers_to(discord, asked)
    return bool(found) and not any("clawbot:stop" in str(m.components) for m in found)


def _judge(discord: DiscordSandbox, lm: LMStudioSandbox, asked: Message, raw: str) -> Seen:
    found = answers_to(discord, asked)
    text = "\n".join(message.content for message in found)
    seconds = found[-1].versions[-1].at - asked.versions[0].at if found else 0.0
    flags = []
    if not text:
        flags.append("silence")
    elif not _ended(discord, asked):
        flags.append("no end")
    elif seconds > LIMIT_S + HOLD_S + GRACE_S:
        flags.append("late")
    if len(found) > 1:
        flags.append("several messages")
    everything = "\n".join(v.content for m in discord.bot_messages for v in m.versions)
    pieces = {raw[at : at + WINDOW] for at in range(max(0, len(raw) - WINDOW + 1))}
    if RAW.search(everything) or any(piece in everything for piece in pieces):
        flags.append("raw text")
    if str(lm.port) in everything:
        flags.append("address")
    return Seen(text, seconds, tuple(flags))


def raw_words(fault: Fault) -> str:
    """Return what LM Studio says of a fault, where it says anything."""
    make = ERRORS.get(fault)
    return make(Situation()).message if make is not None else ""


async def strike(fault: Fault, when: str) -> Seen:
    """Let one fault strike in one of the three ways."""

    def arm(lm: LMStudioSandbox) -> None:
        times = 1 if when == "once" else None
        lm.faults.next(fault, times=times, after_tokens=3 if when == "in stream" else None)

    seen = await see(arm, raw_words(fault))
    if when == "once" and fault in MUST_ANSWER and not seen.is_answer:
        return Seen(seen.text, seen.seconds, (*seen.flags, "no answer"))
    return seen


async def late_server(away_s: float = 4.0) -> Seen:
    """Ask while LM Studio is down; it comes up after a few seconds."""

    async def come_up(lm: LMStudioSandbox) -> None:
        await lm.stop()
        await asyncio.sleep(away_s / FACTOR)
        await lm.start()

    seen = await see(lambda _: None, "", come_up)
    return seen if seen.is_answer else Seen(seen.text, seen.seconds, (*seen.flags, "no answer"))


class Legend:
    """Short names for sentences, so that the table stays readable."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def cell(self, seen: Seen | None) -> str:
        """Return what a person saw, in a few characters."""
        if seen is None:
            return ""
        what = "answer"
        if seen.text != TEXT:
            plain = re.sub(r"\d+", "#", " ".join(seen.text.replace(TEXT, "(answer)").split()))
            what = self.names.setdefault(plain, f"S{len(self.names) + 1}")
        flags = "".join(f" **{flag}**" for flag in seen.flags)
        return f"{what} {seen.seconds:.0f} s{flags}"


async def measure(options: argparse.Namespace) -> int:
    """Run every fault and print the tables."""
    logging.disable(logging.CRITICAL)
    chosen: Sequence[Fault] = [Fault(name) for name in options.only] or list(Fault)
    legend = Legend()
    rows: list[Sequence[object]] = []
    bad = 0
    for fault in chosen:
        ways = ("once", "always", "in stream") if fault in ERRORS else ("once", "always")
        seen = [await strike(fault, when) for when in ways]
        bad += sum(bool(one.flags) for one in seen)
        cells = [legend.cell(one) for one in (*seen, None)[:3]]
        rows.append([fault.value, *cells])
        if options.verbose:
            print(*rows[-1], sep=" | ", flush=True)
    if not options.only:
        late = await late_server()
        bad += bool(late.flags)
        rows.append(["(server up after 4 s)", legend.cell(late), "", ""])
    print_table(
        f"what a person sees; limits {LIMIT_S:.0f} s for an answer, {HOLD_S:.0f} s for a machine "
        "that is away",
        ["fault", "once", "always", "inside the stream"],
        rows,
    )
    print_table("sentences", ["name", "text"], [[v, k] for k, v in legend.names.items()])
    print(f"\n{bad} flagged")
    return 0 if not bad else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks faults")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--verbose", action="store_true", help="print each row at once")
    return asyncio.run(measure(parser.parse_args(argv)))
