"""A burst of mentions: is each one acknowledged in time, and does each get an outcome?

``python -m benchmarks burst [--mentions 200] [--over 1] [--people 50] [--channels 10]``

All mentions come within ``--over`` seconds, and ``--settle`` seconds later the outcomes are counted. Acknowledged is what a person can see: the typing indicator in
the channel, a reaction, or a message in reply. Messages of one person in one channel within two
seconds become one question; the earlier ones get a ➕ while there is room for signs, and what becomes of the
question is their outcome, and the last one's sign theirs too. A message that isn't
taken has its outcome when its author is told in reply, it has a mark, or a line in its channel counts
it: of a channel's messages without a sign of their own as many are *counted* as its lines say.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._crowd import answers_to, busiest_second, gather, is_merged, words
from benchmarks._probe import arguments, longest_pause, read_looks
from benchmarks._rig import BotProcess, running_bot
from benchmarks.table import percentile, print_table
from sandbox.discord import Channel, DiscordSandbox, Message
from sandbox.lmstudio import LMStudioSandbox, Model, Timing

TEXT = words(40)
TIMING = Timing(prefill_tokens_s=2000, generation_tokens_s=40)
TYPING_S = 10.0
"""Discord lets the typing indicator expire after this."""
STOP = "clawbot:stop"
COUNT = re.compile(r"⚠️ ([\d,]+) messages? here w")
HEARTBEAT_S = 4.0
SETTLE_S = 300.0
MERGE_S = 2.0
"""Messages of one person in one channel within this many seconds are one question."""
MOST_WAITS = 500
"""Of a large burst, how many questions' waits are looked at."""
OUTCOMES = ("answered", "merged", "in line", "refused", "counted", "none")
"""Answered; joined with the next; shown as waiting; refused with a sign of its own; counted in a line
on what wasn't taken; nothing of these."""
BAR_ACK_S, BAR_LAG_MS, BAR_CALLS = 3.0, 100.0, 45


@dataclass
class Result:
    """What a run came to.

    Attributes:
        acknowledged_s: Waits for the first sign, in seconds; infinite for none.
        own_sign_s: Waits for a sign of one's own: a reaction or a message, also for what it is asked with.
        outcomes: What became of the questions; see ``outcomes``.
        lags_ms: How late the bot's event loop came round.
        heartbeat_gap_s: Longest time between two heartbeats.
        calls: Most REST requests in one second.
        limited: How many of them Discord refused as too many.
        work_ms: Most processor time that the loop's thread used between two looks.
        more_mib: Memory of the bot at most beyond what it had before.
    """

    acknowledged_s: list[float]
    own_sign_s: list[float]
    outcomes: Mapping[str, int]
    lags_ms: list[float] = field(default_factory=list)
    heartbeat_gap_s: float = 0.0
    calls: int = 0
    limited: int = 0
    work_ms: float = 0.0
    more_mib: float = 0.0


def acknowledged_s(discord: DiscordSandbox, asked: Message) -> float:
    """Return the seconds until somebody could see that the bot had noticed the question."""
    asked_at = asked.versions[0].at
    typing = [
        max(at, asked_at)
        for at, user_id in asked.channel.typing
        if user_id == discord.bot_user.id and at > asked_at - TYPING_S
    ]
    return min([at - asked_at for at in typing] + [own_sign_s(discord, asked)])


def own_sign_s(discord: DiscordSandbox, asked: Message) -> float:
    """Return the seconds until a reaction or a message was there for this question alone."""
    signs = [message.versions[0].at for message in answers_to(discord, asked)]
    signs += [
        request.at
        for request in discord.requests
        if request.method == "PUT" and f"/{asked.id}/reactions/" in request.path
    ]
    return min(signs, default=float("inf")) - asked.versions[0].at


def question_sign_s(discord: DiscordSandbox, asked: Message, questions: Sequence[Message]) -> float:
    """Return the seconds until a message, or one it is answered together with, had its own sign."""
    at_s = asked.versions[0].at
    together = [
        each
        for each in questions
        if (each.author, each.channel) == (asked.author, asked.channel)
        and 0 <= each.versions[0].at - at_s <= MERGE_S
    ]
    return min(own_sign_s(discord, each) + each.versions[0].at - at_s for each in together)


def outcomes(discord: DiscordSandbox, questions: Sequence[Message]) -> Counter[str]:
    """Return what has become of questions: how many are of each of ``OUTCOMES``."""
    found: Counter[str] = Counter()
    missing: Counter[int] = Counter()
    answers = _answers(discord, {asked.channel.id: asked.channel for asked in questions}.values())
    joined: dict[tuple[int, int], float] = {}
    for asked in reversed(questions):
        kind, at_s = _own_outcome(answers.get(asked.id, ()), asked), asked.versions[0].at
        place = (asked.author.id, asked.channel.id)
        if kind == "none" and joined.get(place, float("inf")) - at_s <= MERGE_S:
            kind = "merged"
        if kind not in {"none", "refused"}:
            joined[place] = at_s
        found[kind] += 1
        missing[asked.channel.id] += kind == "none"
    for channel in {asked.channel.id: asked.channel for asked in questions}.values():
        said = sum(
            _counted(each) for each in channel.messages.values() if each.author is discord.bot_user
        )
        found["counted"] += min(said, missing[channel.id])
    found["none"] -= found["counted"]
    return found


def _answers(
    discord: DiscordSandbox, channels: Iterable[Channel]
) -> Mapping[int, Sequence[Message]]:
    """Return the bot's messages by the message they reply to."""
    found: dict[int, list[Message]] = {}
    for channel in channels:
        for message in channel.messages.values():
            if message.author is discord.bot_user and message.reference is not None:
                found.setdefault(message.reference.id, []).append(message)
    return found


def _own_outcome(answers: Sequence[Message], asked: Message) -> str:
    if is_merged(asked):
        return "merged"
    if any(STOP in str(m.components) for m in answers):
        return "in line"
    if any(m.content == TEXT for m in answers):
        return "answered"
    return "refused" if answers or asked.reactions else "none"


def _counted(message: Message) -> int:
    """Return how many messages a line of the bot says weren't taken."""
    said = COUNT.match(message.content)
    return int(said.group(1).replace(",", "")) if said else 0


async def run(
    mentions: int, people: int, channels: int, over_s: float = 1.0, settle_s: float = SETTLE_S
) -> Result:
    """Let the burst come and wait until nothing is open."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probe.jsonl"
        async with (
            DiscordSandbox(
                rest_delay_s=0.03, heartbeat_interval_ms=int(HEARTBEAT_S * 1000)
            ) as discord,
            LMStudioSandbox([Model("local/model", context_tokens=65_536)], TIMING) as lm,
            running_bot(discord, lm, arguments(file)) as bot,
        ):
            lm.answer(TEXT)
            crowd = gather(discord, people, channels)
            before_mib = bot.memory_mib()
            memory = asyncio.create_task(_most_mib(bot))
            beats = asyncio.create_task(_heartbeat_gap_s(discord))
            await asyncio.sleep(1)
            began_s = time.monotonic()
            questions = []
            for number in range(mentions):
                await asyncio.sleep(began_s + number * over_s / mentions - time.monotonic())
                person, channel = crowd.people[number % people], rng.choice(crowd.channels)
                questions.append(await person.mention(channel, f"Question {number}"))
            print(f"all asked after {time.monotonic() - began_s:.1f} s", flush=True)
            await _until_all_have_one(discord, questions, settle_s)
            await asyncio.sleep(2)
            beats.cancel()
            memory.cancel()
            looks = [look for look in read_looks(file) if look.at_s > began_s]
            sample = questions[:: max(1, len(questions) // MOST_WAITS)]
            result = Result(
                [acknowledged_s(discord, asked) for asked in sample],
                [question_sign_s(discord, asked, questions) for asked in sample],
                outcomes(discord, questions),
                [lag for look in looks for lag in look.lags_ms],
                await beats,
                busiest_second(request.at for request in discord.requests),
                sum(request.status == 429 for request in discord.requests),
                longest_pause(looks)[1],
                await memory - before_mib,
            )
            print(f"processor time of the bot: {bot.cpu_s():.1f} s")
            _print_lines(questions, discord, began_s)
    return result


def _print_lines(questions: Sequence[Message], discord: DiscordSandbox, began_s: float) -> None:
    """Print what each channel's lines counted, and when; beside it what was asked there."""
    asked = Counter(question.channel.id for question in questions)
    for channel in {question.channel.id: question.channel for question in questions}.values():
        lines = [
            f"{_counted(each)} at {each.versions[0].at - began_s:.1f} s"
            for each in channel.messages.values()
            if each.author is discord.bot_user and _counted(each)
        ]
        print(f"{asked[channel.id]} in {channel.name}: {', '.join(lines) or 'no line'}")


async def _most_mib(bot: BotProcess) -> float:
    """Return the most memory of the bot, once cancelled."""
    most = 0.0
    try:
        while True:
            most = max(most, bot.memory_mib())
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return most


async def _heartbeat_gap_s(discord: DiscordSandbox) -> float:
    """Return the longest time between two heartbeats, once cancelled."""
    longest_s, last_s, seen = 0.0, time.monotonic(), discord.heartbeats
    try:
        while True:
            await asyncio.sleep(0.05)
            if discord.heartbeats != seen:
                seen, now_s = discord.heartbeats, time.monotonic()
                longest_s, last_s = max(longest_s, now_s - last_s), now_s
    except asyncio.CancelledError:
        return longest_s


async def _until_all_have_one(
    discord: DiscordSandbox, questions: Sequence[Message], settle_s: float
) -> None:
    """Wait until every question has its outcome; what has none in time is counted as such."""
    give_up_s = time.monotonic() + settle_s
    while time.monotonic() < give_up_s:
        await asyncio.sleep(1)
        found = outcomes(discord, questions)
        if not found["none"] and not found["in line"]:
            return


async def measure(options: argparse.Namespace) -> int:
    """Run and print the table."""
    result = await run(
        options.mentions, options.people, options.channels, options.over, options.settle
    )
    ack_s = percentile(result.acknowledged_s, 99)
    lag_ms = percentile(result.lags_ms, 99)
    became = ", ".join(f"{result.outcomes[name]} {name}" for name in OUTCOMES)
    rows: list[Sequence[object]] = [
        ["noticed, p50, s", percentile(result.acknowledged_s, 50), ""],
        ["noticed, p99, s", ack_s, BAR_ACK_S],
        ["a sign of one's own, p50, s", percentile(result.own_sign_s, 50), ""],
        ["a sign of one's own, p99, s", percentile(result.own_sign_s, 99), ""],
        ["outcomes", became, "0 none"],
        ["event loop's lag, p99, ms", lag_ms, BAR_LAG_MS],
        ["event loop's lag, longest, ms", max(result.lags_ms, default=0.0), ""],
        ["most work of the loop at once, ms", result.work_ms, ""],
        ["memory of the bot, + MiB", result.more_mib, ""],
        ["longest between heartbeats, s", result.heartbeat_gap_s, f"{HEARTBEAT_S} + 1"],
        ["most REST requests in a second", result.calls, BAR_CALLS],
        ["of them refused as too many", result.limited, 0],
    ]
    print_table(
        f"{options.mentions} mentions in {options.over:g} s by {options.people} people in {options.channels} "
        "channels, 4 slots",
        ["figure", "measured", "bar"],
        rows,
    )
    is_good = (
        ack_s <= BAR_ACK_S
        and lag_ms <= BAR_LAG_MS
        and result.heartbeat_gap_s <= HEARTBEAT_S + 1
        and result.calls <= BAR_CALLS
        and not result.limited
        and not result.outcomes["none"]
    )
    return 0 if is_good else 1


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks burst")
    parser.add_argument("--mentions", type=int, default=200)
    parser.add_argument("--over", type=float, default=1.0, help="seconds in which they come")
    parser.add_argument("--settle", type=float, default=SETTLE_S, help="seconds for the outcomes")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--channels", type=int, default=10)
    return asyncio.run(measure(parser.parse_args(argv)))
