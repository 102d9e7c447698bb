"""What the bot adds to a reply: latency, requests, processor time, memory, start to online.

``python -m benchmarks reply [--replies 15] [--tokens 120] [--rest-ms 60]``
"""

from __future__ import annotations

import argparse
import asyncio
import itertools

from benchmarks._rig import BotProcess, running_bot
from benchmarks.table import percentile, print_table
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import LMStudioSandbox, Model, Timing, tokenize

WORDS = itertools.cycle(
    [
        "The",
        "lighthouse",
        "keeper",
        "counted",
        "eleven",
        "ships",
        "before",
        "noon,",
        "and",
        "each",
        "of",
        "them",
        "answered.",
    ]
)


class Measured:
    """Figures of one reply.

    Attributes:
        first_ms: From the model's first token to its text at Discord's REST, in milliseconds.
        end_ms: From the model's last token to the final text at Discord's REST.
        calls: REST requests, typing included.
    """

    def __init__(self, discord: DiscordSandbox, lm: LMStudioSandbox, requests_before: int) -> None:
        completion = lm.completions[-1]
        calls = discord.requests[requests_before:]
        texts = [c for c in calls if c.method in {"POST", "PATCH"} and "messages" in c.route]
        first_at, ended_at = completion.first_token_at or 0.0, completion.ended_at or 0.0
        self.first_ms = (texts[0].at - first_at) * 1000
        self.end_ms = (texts[-1].at - ended_at) * 1000
        self.calls = len(calls)


async def ask(
    discord: DiscordSandbox, person: Person, channel: Channel, text: str, answer: str
) -> Message:
    """Mention the bot and wait until its whole answer stands."""
    asked = await person.mention(channel, text)
    return await discord.wait_reply(
        asked, until=lambda reply: reply.content.strip() == answer, timeout_s=60
    )


async def measure(options: argparse.Namespace) -> int:
    """Ask question after question and print the table."""
    answer = next(WORDS)
    while len(tokenize(f"{answer} {(word := next(WORDS))}")) <= options.tokens:
        answer += f" {word}"
    timing = Timing(prefill_tokens_s=2000, generation_tokens_s=40)
    model = Model("qwen/qwen3-next-80b", context_tokens=32_768, parallel=4)
    async with (
        DiscordSandbox(rest_delay_s=options.rest_ms / 1000) as discord,
        LMStudioSandbox([model], timing) as lm,
        running_bot(discord, lm) as bot,
    ):
        ada = discord.add_user("Ada")
        channel = discord.add_guild("Home", owner=ada).add_channel("general")
        lm.answer(answer)
        await ask(discord, ada, channel, "Warm up", answer)
        await asyncio.sleep(2)
        idle_mib, cpu_before_s = bot.memory_mib(), bot.cpu_s()
        results = await _series(options.replies, discord, lm, ada, channel, answer)
        cpu_ms = (bot.cpu_s() - cpu_before_s) * 1000 / options.replies
        _print(options, bot, results, lm.completions[-1].tokens_sent, idle_mib, cpu_ms)
    return 0


async def _series(
    replies: int,
    discord: DiscordSandbox,
    lm: LMStudioSandbox,
    person: Person,
    channel: Channel,
    answer: str,
) -> list[Measured]:
    results = []
    for number in range(replies):
        before = len(discord.requests)
        await ask(discord, person, channel, f"Question {number}", answer)
        await asyncio.sleep(0.2)
        results.append(Measured(discord, lm, before))
    return results


def _print(
    options: argparse.Namespace,
    bot: BotProcess,
    results: list[Measured],
    tokens: int,
    idle_mib: float,
    cpu_ms: float,
) -> None:
    first = [r.first_ms for r in results]
    end = [r.end_ms for r in results]
    calls = [float(r.calls) for r in results]
    print_table(
        f"{options.replies} replies of {tokens} tokens, REST {options.rest_ms} ms",
        ["figure", "median", "95th percentile", "bar"],
        [
            ["added to the first text, ms", percentile(first, 50), percentile(first, 95), "15"],
            ["added to the end, ms", percentile(end, 50), percentile(end, 95), ""],
            ["REST requests per reply", percentile(calls, 50), max(calls), "6"],
            ["CPU per reply, ms", cpu_ms, "", "60"],
            ["resident memory after start, MiB", idle_mib, "", "90"],
            ["resident memory at the end, MiB", bot.memory_mib(), "", ""],
            ["start to online, s", bot.online_s, "", "2"],
        ],
    )


def main(argv: list[str]) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks reply")
    parser.add_argument("--replies", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--rest-ms", type=int, default=60)
    return asyncio.run(measure(parser.parse_args(argv)))
