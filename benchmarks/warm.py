"""What reading ahead in idle time saves and costs, with the whole bot on the sandbox's two servers.

``python -m benchmarks warm [--conversations 1 2 4] [--turns 24] [--context 8192] [--factor 20]``

People hold conversations in channels of their own, in turns, with pauses of 5 to 30 s. The model's machine
reads one batch of prompts after the other, as llama.cpp's server does, whoever's they are, and goes on
with the batch of a client that has left. Everything runs on a clock that is faster than the world's; all
seconds are the machine's own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._inside import FastClock, bot_inside, settings_for
from benchmarks.table import percentile, print_table
from bot.core.domain import ChatRequest, ChatTurn, QuestionId, Role, Sampling, TextDelta
from bot.lmstudio import LMStudioBackend, open_backend
from config.settings import LMStudioSettings
from sandbox.discord import Channel, DiscordSandbox, Message, Person
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, RecordedRequest, Timing
from sandbox.lmstudio.prompt import turn_tokens

KEY = "qwen/qwen3-next-80b"
WORDS = [
    "the",
    "model",
    "reads",
    "every",
    "word",
    "that",
    "was",
    "said",
    "before",
    "it",
    "answers",
    "and",
    "this",
    "is",
    "what",
    "people",
    "wait",
    "for",
]
PAUSES_S = (5.0, 30.0)
ENVIRONMENT = {"CLAWBOT_QUEUE__BURST_WINDOW_S": "0", "CLAWBOT_CHAT__MAX_TOKENS": "1024"}
SAMPLES = 30


def machine(factor: float, *, finishes: bool = False) -> Timing:
    """Return an 80B mixture of experts on a mini PC: 400 tokens/s, half of that at 32k."""
    return Timing(
        prefill_tokens_s=400.0,
        prefill_half_tokens=32_000.0,
        batch_tokens=2048,
        one_batch=True,
        cancel_finishes_prompt=finishes,
        speed=factor,
    )


def words(rng: random.Random, least: int, most: int) -> str:
    """Return a sentence of so many words."""
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(least, most)))


@dataclass(slots=True)
class Tally:
    """What people waited for, and what was read meanwhile.

    Attributes:
        in_vain: Tokens that were read ahead, and again when the person asked.
        others_s: What each question waited beside reading its own prompt.
    """

    sent: int = 0
    again: int = 0
    ahead: int = 0
    in_vain: int = 0
    ahead_s: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    others_s: list[float] = field(default_factory=list)
    _due: dict[str, int] = field(default_factory=dict)

    def asked(self, record: RecordedRequest, factor: float) -> None:
        """Count a person's question."""
        again = max(0, record.reread_tokens - turn_tokens(record.messages[-1]))
        self.sent += record.prompt_tokens
        self.again += again
        self.in_vain += min(again, self._due.pop(room_of(record), 0))
        if record.first_token_at is not None:
            wait_s = (record.first_token_at - record.time) * factor
            begun = record.prompt_tokens - record.reread_tokens
            self.waits_s.append(wait_s)
            self.others_s.append(
                max(0.0, wait_s - machine(factor).prefill_s(begun, record.prompt_tokens))
            )

    def piece(self, record: RecordedRequest, factor: float) -> None:
        """Count a piece that was read ahead."""
        room = room_of(record)
        self._due[room] = self._due.get(room, 0) + record.reread_tokens
        self.ahead += record.reread_tokens
        self.ahead_s += ((record.ended_at or record.time) - record.time) * factor


def room_of(record: RecordedRequest) -> str:
    """Return the channel that a prompt is of, which its questions name; empty for a persona alone."""
    found = re.search(r"room-\d+", record.prompt)
    return found[0] if found else ""


@dataclass(slots=True)
class Talk:
    """One person's conversation."""

    person: Person
    channel: Channel
    last: Message | None = None

    async def ask(self, text: str) -> Message:
        """Say the next thing."""
        if self.last is None:
            return await self.person.mention(self.channel, text)
        return await self.person.reply(self.last, text)


async def hold(talks: int, options: argparse.Namespace, *, is_warm: bool) -> Tally:
    """Hold so many conversations in turns."""
    rng, clock, tally = random.Random(talks), FastClock(options.factor), Tally()
    model = Model(KEY, context_tokens=options.context, parallel=4)
    environment = {**ENVIRONMENT, "CLAWBOT_CONTEXT__WARM_AHEAD": str(is_warm).lower()}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            DiscordSandbox(
                now=clock.unix_s, monotonic=clock.monotonic, buckets=False, global_limit=None
            ) as discord,
            LMStudioSandbox([model], machine(options.factor)) as lm,
        ):
            ada = discord.add_user("Ada")
            guild = discord.add_guild("Home", owner=ada)
            people = [ada, *(discord.add_user(f"Ben{n}") for n in range(1, talks))]
            for person in people[1:]:
                guild.add_member(person)
            held = [Talk(p, guild.add_channel(f"room-{n}")) for n, p in enumerate(people)]
            settings = settings_for(discord, lm, Path(folder) / "data", **environment)
            async with bot_inside(settings, clock):
                for turn in range(options.turns):
                    for talk in held:
                        await clock.sleep(rng.uniform(*PAUSES_S))
                        await one_turn(talk, f"End {turn}.", rng, discord, lm)
            for record in lm.completions:
                limit = record.body.get("max_tokens") if isinstance(record.body, dict) else None
                if "single word OK" in record.prompt:
                    continue
                if limit == 1:
                    tally.piece(record, options.factor)
                else:
                    tally.asked(record, options.factor)
    return tally


async def one_turn(
    talk: Talk, end: str, rng: random.Random, discord: DiscordSandbox, lm: LMStudioSandbox
) -> None:
    """Ask, and wait for the whole answer."""
    lm.answer(Answer(f"{words(rng, 120, 300)}. {end}"))
    asked = await talk.ask(f"In {talk.channel.name}: {words(rng, 20, 120)}")
    talk.last = await discord.wait_reply(
        asked, until=lambda reply: end in reply.content, timeout_s=60
    )


async def delays(factor: float, *, finishes: bool) -> tuple[list[float], list[float]]:
    """Return waits of a short question: while nothing is read, and in the middle of a piece."""
    alone, amid = [], []
    rng, clock = random.Random(1), FastClock(factor)
    timing = machine(factor, finishes=finishes)
    async with LMStudioSandbox([Model(KEY, context_tokens=32_768)], timing) as lm:
        lm.answer(Answer("Paris."))
        settings = LMStudioSettings(base_url=(lm.base_url,))
        async with open_backend(settings, clock) as backend:
            await backend.probe_now()
            for number in range(SAMPLES):
                alone.append(await first_text_s(backend, clock, f"alone {number}"))
                talk = (
                    ChatTurn(Role.USER, words(rng, 4000, 4000)),
                    ChatTurn(Role.ASSISTANT, "So it is."),
                )
                reading = asyncio.create_task(read_on(backend, a_request(f"t{number}", *talk)))
                await clock.sleep(rng.uniform(0.5, 6.0))
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
                amid.append(await first_text_s(backend, clock, f"amid {number}"))
                await clock.sleep(10)
    return alone, amid


def a_request(key: str, *turns: ChatTurn) -> ChatRequest:
    """Return a request."""
    return ChatRequest(
        QuestionId(1),
        key,
        None,
        turns,
        Sampling(0.7, 0.95, 64),
        prompt_tokens=sum(len(turn.text) for turn in turns) // 4,
    )


async def read_on(backend: LMStudioBackend, request: ChatRequest) -> None:
    """Read a prompt ahead to its end."""
    while await backend.read_ahead(request) is not None:
        pass


async def first_text_s(backend: LMStudioBackend, clock: FastClock, text: str) -> float:
    """Ask something short; return the seconds to the first text."""
    began_s = clock.monotonic()
    first_s = 0.0
    async with contextlib.aclosing(
        backend.stream(a_request(text, ChatTurn(Role.USER, text)))
    ) as events:
        async for event in events:
            if isinstance(event, TextDelta) and not first_s:
                first_s = clock.monotonic() - began_s
    return first_s


async def run(options: argparse.Namespace) -> None:
    """Run everything and print the tables."""
    logging.disable(logging.ERROR)
    rows: list[Sequence[object]] = []
    for talks in options.conversations:
        for is_warm in (False, True):
            tally = await hold(talks, options, is_warm=is_warm)
            rows.append(
                [
                    talks,
                    "on" if is_warm else "off",
                    tally.sent,
                    f"{tally.again / max(1, tally.sent):.1%}",
                    round(percentile(tally.waits_s, 50), 2),
                    round(percentile(tally.waits_s, 95), 2),
                    round(percentile(tally.others_s, 95), 2),
                    tally.ahead,
                    tally.in_vain,
                    round(tally.ahead_s, 1),
                ]
            )
    headers = [
        "conversations", "reading ahead", "tokens sent", "read again in a wait", "wait p50 (s)",
        "wait p95 (s)", "beside own reading p95 (s)", "tokens read ahead", "in vain",
        "slot time of that (s)",
    ]  # fmt: skip
    print_table(f"Reading ahead, {options.turns} turns in {options.context} tokens", headers, rows)
    rows = []
    for finishes in (False, True):
        alone, amid = await delays(options.factor, finishes=finishes)
        rows.append(
            [
                "reads on to the prompt's end" if finishes else "stops after a batch",
                round(percentile(alone, 50), 2),
                round(percentile(amid, 50), 2),
                round(percentile(amid, 95), 2),
            ]
        )
    headers = [
        "a server that, without its client,",
        "alone p50 (s)",
        "amid p50 (s)",
        "amid p95 (s)",
    ]
    print_table("A short question in the middle of reading ahead", headers, rows)


def main(argv: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks warm")
    parser.add_argument("--conversations", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--turns", type=int, default=24)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--factor", type=float, default=20.0)
    asyncio.run(run(parser.parse_args(argv)))
    return 0
