"""What a conversation costs in prompt tokens read again while somebody waits.

Conversations of turns of about 480 tokens are held over the real builder, with the pauses that people
make (5 to 30 s), on a clock that only counts. The model is a cache of one prompt and the speed of a
mini PC; its tokenizer is the sandbox's, made coarser and finer, so that the bot's estimates are a fifth
too high and only half. What is due to be read again is read in the pause, in pieces of 0.15 s, from
half a second after the answer on; and once more with nothing read ahead.

Of one conversation of 24 turns a single wait decides the 95th percentile, so several are held for each
figure, and their waits taken together.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import process_time
from typing import Final

from benchmarks.table import percentile, print_table
from bot.core.clock import SystemClock
from bot.core.domain import (
    AttachmentInfo,
    ChannelId,
    ChatTurn,
    GuildId,
    IncomingMessage,
    MessageId,
    ModelInfo,
    Origin,
    Person,
    Place,
    PlaceKind,
    PromptCount,
    Question,
    QuestionId,
    Reasoning,
    Role,
    Summary,
    Usage,
    UserId,
)
from bot.core.ports import ChatSettings, JournalEntry
from bot.prompt.attachments.decoder import DecoderPool
from bot.prompt.builder import ContextBuilder
from bot.prompt.cut import ToSummarise
from bot.prompt.tokens import TokenEstimator, count_of, is_credible
from config.settings import ChatDefaults, ContextSettings
from sandbox.lmstudio import Timing, tokenize
from tests.support.conversation import FakeAccess

BOT = Person(UserId(900), "Clawbot", is_bot=True)
ADA = Person(UserId(11), "Ada")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLACES = {
    "reply chain": Place(PlaceKind.GUILD_TEXT, ChannelId(50), GuildId(40)),
    "direct message": Place(PlaceKind.DM, ChannelId(60)),
}
USUAL = ChatDefaults()
CHAT = ChatSettings(None, 0.7, 0.95, USUAL.max_tokens, USUAL.system_prompt, Reasoning.AUTO)
MACHINE = Timing(prefill_tokens_s=400.0, prefill_half_tokens=32_000.0)
"""An 80B mixture of experts on a mini PC: 400 tokens/s, half of that at 32k."""

FINENESS: Final = (0.7, 1.6)
"""Tokens of the model for one of the sandbox's."""

QUESTION_TOKENS, ANSWER_TOKENS = (40, 160), (260, 500)
PAUSE_S = (5.0, 30.0)
AHEAD_AFTER_S = 0.5
PIECE_S = 0.15
REQUEST_S = 0.05
"""What each piece takes beside reading: a request, the template, the tokenizer."""

TURNS_HELD: Final = 400
"""Turns that each figure is taken from, about: so many conversations are held."""

TEMPLATE_TOKENS = 5
AGAIN_BAR, WAIT_BAR = 0.05, 1.5

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
    "when",
    "a",
    "machine",
    "at",
    "home",
    "has",
    "to",
    "think",
    "about",
    "a",
    "long",
    "conversation",
    "with",
    "many",
    "turns",
    "in",
    "it",
    "because",
    "memory",
    "is",
    "slow",
    "but",
    "patience",
    "is",
    "slower",
    "still",
    "whenever",
    "nothing",
    "moves",
    "on",
    "the",
    "screen",
    "for",
    "a",
    "while",
]
HAN = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种"
    "面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本"
)


def prose(rng: random.Random) -> str:
    """Return some words of English."""
    return " ".join(rng.choice(WORDS) for _ in range(12)).capitalize() + ". "


def code_and_logs(rng: random.Random) -> str:
    """Return a line of code or of a log."""
    a, b = rng.randint(1, 99), rng.randint(1, 9999)
    if rng.random() < 0.5:
        return f"    if values[{a}] is not None:\n        total += compute(values, key='k{b}')\n"
    return f"12:{a % 60:02d}:17.{b} ERROR [worker-{a}] id={rng.getrandbits(64):016x} took {b} ms\n"


def chinese(rng: random.Random) -> str:
    """Return a sentence of Chinese characters."""
    return "".join(rng.choice(HAN) for _ in range(18)) + "。"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "prose": prose,
    "code, logs": code_and_logs,
    "Chinese": chinese,
}


@lru_cache(maxsize=4096)
def pieces(text: str) -> int:
    """Return the sandbox's tokens of a text."""
    return len(tokenize(text))


def of_length(make: Callable[[random.Random], str], rng: random.Random, tokens: int) -> str:
    """Return a text of about so many of the sandbox's tokens."""
    parts, left = [], tokens
    while left > 0:
        parts.append(make(rng))
        left -= pieces(parts[-1])
    return "".join(parts).strip()


@dataclass(slots=True)
class Talk:
    """A conversation as it grows; the source that the builder reads it from, and its journal."""

    place: Place
    rng: random.Random
    messages: list[IncomingMessage] = field(default_factory=list)
    summaries: list[Summary] = field(default_factory=list)
    moment: int = 0
    counts: dict[MessageId, PromptCount] = field(default_factory=dict)

    def say(self, author: Person, text: str) -> IncomingMessage:
        """Add a message, a reply to the one before."""
        at = NOON + timedelta(seconds=90 * len(self.messages))
        snowflake = (int(at.timestamp() * 1000) - 1_420_070_400_000) << 22
        last = self.messages[-1].id if self.messages else None
        message = IncomingMessage(
            id=MessageId(snowflake + self.rng.randrange(1 << 12)),
            place=self.place,
            author=author,
            text=text,
            created_at=at,
            reference_id=last if self.place.kind is PlaceKind.GUILD_TEXT else None,
        )
        self.messages.append(message)
        return message

    async def entry_of_message(self, message_id: MessageId) -> JournalEntry | None:
        """Return nothing: every answer replies to its question."""
        del message_id
        return None

    async def read_back(
        self, messages: Sequence[IncomingMessage], bot_id: UserId
    ) -> list[IncomingMessage]:
        """Return the messages as they are."""
        del bot_id
        return list(messages)

    async def counts_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        """Return what was counted."""
        return {each: self.counts[each] for each in message_ids if each in self.counts}

    @property
    def channels(self) -> tuple[int, ...]:
        """Return its channel, where something was summed up."""
        return (self.place.channel_id,) if self.summaries else ()

    async def of(self, channel_id: int, asker_id: int) -> list[Summary]:
        """Return what was summed up."""
        del channel_id, asker_id
        return list(self.summaries)

    async def fetch(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message."""
        return next((m for m in self.messages if m.id == message_id and m.place == place), None)

    async def history(
        self,
        place: Place,
        *,
        before: MessageId | None = None,
        after: MessageId | None = None,
        limit: int = 50,
    ) -> Sequence[IncomingMessage]:
        """Return messages, oldest first."""
        found = [m for m in self.messages if m.place == place]
        found = [m for m in found if before is None or m.id < before]
        if after is not None:
            return [m for m in found if m.id > after][:limit]
        return found[-limit:]

    async def starter(self, place: Place) -> IncomingMessage | None:
        """Return nothing: neither place has one."""
        del place
        return None

    async def read(self, attachment: AttachmentInfo, *, limit_bytes: int) -> bytes | None:
        """Return nothing: there are no files."""
        del attachment, limit_bytes
        return None


class Machine:
    """A model that holds one prompt in its cache.

    Args:
        fineness: Its tokens for one of the sandbox's.
    """

    def __init__(self, fineness: float) -> None:
        self.fineness = fineness
        self._cached: tuple[ChatTurn, ...] = ()

    def tokens(self, turns: Sequence[ChatTurn]) -> int:
        """Return the tokens of turns."""
        return sum(TEMPLATE_TOKENS + round(self.fineness * pieces(t.text)) for t in turns)

    def kept(self, turns: Sequence[ChatTurn]) -> int:
        """Return how many tokens of a prompt needn't be read."""
        same = 0
        for cached, turn in zip(self._cached, turns, strict=False):
            if cached != turn:
                break
            same += 1
        return self.tokens(turns[:same])

    def holds(self, turns: Sequence[ChatTurn]) -> None:
        """Note that a prompt was read."""
        self._cached = tuple(turns)


@dataclass(slots=True)
class Tally:
    """What the model read.

    Attributes:
        sent: Tokens of all prompts.
        again: Tokens that it had read before, and read again while somebody waited.
        ahead: Tokens that it read in pauses.
        waits_s: How long each question waited for its prompt to be read.
        warm_s: The same, of questions before which nothing had changed.
    """

    sent: int = 0
    again: int = 0
    ahead: int = 0
    cuts: int = 0
    summaries: int = 0
    fullest: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    warm_s: list[float] = field(default_factory=list)
    build_ms: list[float] = field(default_factory=list)


class Holding:
    """Holds one conversation and counts what it costs.

    Args:
        talk: Where.
        machine: With whom.
        context_tokens: Of the machine.
        tally: What it costs is added to it.
        reads_ahead: What is due is read in the pauses.
        sums_up: What will fall out is summed up in the pauses.
    """

    def __init__(
        self,
        talk: Talk,
        machine: Machine,
        context_tokens: int,
        tally: Tally,
        *,
        reads_ahead: bool,
        sums_up: bool = False,
    ) -> None:
        self._chat = replace(CHAT, summaries="auto" if sums_up else "off")
        self.tally = tally
        self._talk = talk
        self._machine = machine
        self._reads_ahead = reads_ahead
        self._model = ModelInfo("m", is_loaded=True, context_tokens=context_tokens)
        self._room = context_tokens - CHAT.max_tokens
        self._estimator = TokenEstimator()
        clock = SystemClock()
        self._builder = ContextBuilder(
            source=talk,
            files=talk,
            decoder=DecoderPool(clock),
            estimator=self._estimator,
            settings=ContextSettings(),
            access=FakeAccess(lambda: BOT.id, lambda: BOT.name),
            clock=clock,
            answers=talk,
            summaries=talk,
        )
        self._ahead_tokens = 0
        self._left_s = 0.0

    async def turn(self, text: str, answer: str, pause_s: float) -> None:
        """Ask, answer, and let time pass until the next question."""
        asked = self._talk.say(ADA, text)
        started_s = process_time()
        prompt = await self._builder.build(question(asked), self._chat, self._model)
        self.tally.build_ms.append((process_time() - started_s) * 1000)
        self._read(prompt.turns)
        total = self._machine.tokens(prompt.turns)
        posted = self._talk.say(BOT, answer)
        usage = Usage(total, round(self._machine.fineness * pieces(answer)))
        if not is_credible(usage, prompt.turns, prompt.prompt_tokens, self._model.context_tokens):
            raise RuntimeError("a true count wasn't believed")
        self._estimator.learn(self._model.key, prompt.turns, total)
        self._talk.counts[posted.id] = count_of(
            usage,
            prompt.turns,
            answer,
            model=self._model,
            first_id=prompt.first_id,
            has_thought=False,
        )
        self._machine.holds((*prompt.turns, ChatTurn(Role.ASSISTANT, answer)))
        self.tally.fullest = max(self.tally.fullest, total / self._room)
        if self._reads_ahead:
            await self._pause(asked, posted, prompt.turns, pause_s)

    def _read(self, turns: Sequence[ChatTurn]) -> None:
        """Read a prompt while somebody waits."""
        tally, total = self.tally, self._machine.tokens(turns)
        if total > self._room:
            raise RuntimeError("a prompt leaves no room for its answer")
        kept = max(self._machine.kept(turns), self._ahead_tokens)
        is_warm = kept == self._machine.tokens(turns[:-1])
        wait_s = self._left_s + MACHINE.prefill_s(kept, total)
        tally.sent += total
        if self._talk.counts:
            tally.again += total - kept - self._machine.tokens(turns[-1:])
            tally.cuts += not is_warm or self._ahead_tokens > 0
        tally.waits_s.append(wait_s)
        if is_warm:
            tally.warm_s.append(MACHINE.prefill_s(kept, total))
        self._ahead_tokens, self._left_s = 0, 0.0

    async def _pause(
        self,
        asked: IncomingMessage,
        posted: IncomingMessage,
        read: Sequence[ChatTurn],
        pause_s: float,
    ) -> None:
        """Read ahead what the next prompt begins with, and sum up, as far as the pause allows."""
        chat = self._chat
        ahead = await self._builder.next_prompt(question(asked), posted.id, chat, self._model)
        if ahead is None:
            return
        now_s = AHEAD_AFTER_S
        if ahead.turns[:-1] != read:
            now_s = self._read_ahead(ahead.turns, now_s, pause_s)
        if ahead.to_summarise is not None and now_s < pause_s:
            now_s = self._sum_up(ahead.to_summarise, now_s, pause_s)
            now_s = self._read_ahead(ahead.turns, now_s, pause_s)

    def _sum_up(self, wanted: ToSummarise, now_s: float, pause_s: float) -> float:
        """Have a summary written as long as it may be; a question that comes meanwhile ends that."""
        kept, end = self._machine.kept(wanted.turns), self._machine.tokens(wanted.turns)
        self.tally.ahead += end - kept
        now_s += MACHINE.prefill_s(kept, end) + wanted.most_tokens / MACHINE.generation_tokens_s
        self._machine.holds(wanted.turns)
        if now_s < pause_s:
            text = of_length(
                KINDS["prose"], random.Random(wanted.most_tokens), wanted.most_tokens // 2
            )
            self._talk.summaries.append(replace(wanted.summary, text=text))
            self.tally.summaries += 1
        return min(now_s, pause_s)

    def _read_ahead(self, turns: Sequence[ChatTurn], now_s: float, pause_s: float) -> float:
        """Read the beginning of a prompt in pieces; return when that is done."""
        at, end = self._machine.kept(turns), self._machine.tokens(turns)
        while at < end and now_s < pause_s:
            upto = min(end, at + round(PIECE_S * MACHINE.prefill_tokens_s))
            now_s += REQUEST_S + MACHINE.prefill_s(at, upto)
            self.tally.ahead += upto - at
            at = upto
        self._ahead_tokens, self._left_s = at, max(0.0, now_s - pause_s)
        if at >= end:
            self._machine.holds(turns)
        return now_s


def question(asked: IncomingMessage) -> Question:
    """Return the question that a message asks."""
    return Question(
        id=QuestionId(int(asked.id)),
        origin=Origin.MENTION,
        place=asked.place,
        asker=asked.author,
        text=asked.text,
        asked_at=asked.created_at,
        message=asked,
    )


def conversations(turns: int) -> int:
    """Return how many conversations of so many turns are held for a figure."""
    return max(1, TURNS_HELD // turns)


async def hold(
    kind: str,
    turns: int,
    context_tokens: int,
    place: str,
    fineness: float,
    *,
    reads_ahead: bool,
    sums_up: bool = False,
) -> Tally:
    """Hold conversations of so many turns, and return what they cost together."""
    tally = Tally()
    for number in range(conversations(turns)):
        rng = random.Random(turns + context_tokens + number)
        holding = Holding(
            Talk(PLACES[place], rng),
            Machine(fineness),
            context_tokens,
            tally,
            reads_ahead=reads_ahead,
            sums_up=sums_up,
        )
        for _ in range(turns):
            asked = of_length(KINDS[kind], rng, round(rng.randint(*QUESTION_TOKENS) / fineness))
            said = of_length(KINDS[kind], rng, round(rng.randint(*ANSWER_TOKENS) / fineness))
            await holding.turn(asked, said, rng.uniform(*PAUSE_S))
    return tally


def waits(tally: Tally) -> float:
    """Return the 95th percentile of all waits as a multiple of that of warm turns."""
    return percentile(tally.waits_s, 95) / percentile(tally.warm_s, 95)


async def measure(
    kind: str, turns: int, context_tokens: int, place: str
) -> tuple[bool, list[object]]:
    """Hold conversations with each tokenizer; return whether it meets the bars, and a row."""
    with_it = [
        await hold(kind, turns, context_tokens, place, each, reads_ahead=True) for each in FINENESS
    ]
    without = [
        await hold(kind, turns, context_tokens, place, each, reads_ahead=False) for each in FINENESS
    ]
    again = max(tally.again / tally.sent for tally in with_it)
    wait = max(map(waits, with_it))
    row = [
        kind,
        place,
        turns,
        context_tokens,
        f"{again:.1%}",
        round(max(percentile(tally.waits_s, 95) for tally in with_it), 2),
        f"{wait:.2f}",
        f"{max(tally.again / tally.sent for tally in without):.1%}",
        round(max(percentile(tally.waits_s, 95) for tally in without), 2),
        round(max(tally.cuts for tally in with_it) / conversations(turns), 1),
        f"{min(tally.fullest for tally in with_it):.0%}",
        f"{max(tally.ahead / tally.sent for tally in with_it):.0%}",
        round(max(percentile(tally.build_ms, 50) for tally in with_it), 2),
    ]  # fmt: skip
    return again <= AGAIN_BAR and wait <= WAIT_BAR, row


async def run(lengths: Sequence[int], contexts: Sequence[int]) -> int:
    """Hold all conversations and print the table."""
    rows, is_good = [], True
    for turns in lengths:
        for context_tokens in contexts:
            for kind in KINDS:
                for place in PLACES:
                    meets, row = await measure(kind, turns, context_tokens, place)
                    is_good = is_good and meets
                    rows.append(row)
    headers = [
        "text", "place", "turns", "context", "read again", "wait p95 (s)", "of a warm turn's",
        "nothing ahead: read again", "wait p95 (s)", "cuts", "fullest", "read ahead", "build p50 (CPU ms)",
    ]  # fmt: skip
    print_table("Prompt tokens read again while somebody waits", headers, rows)
    print(f"\nBars: {AGAIN_BAR:.0%} read again, a wait p95 of {WAIT_BAR} of a warm turn's")
    return 0 if is_good else 1


async def with_summaries(lengths: Sequence[int], contexts: Sequence[int]) -> int:
    """Hold all conversations without and with summaries, and print both."""
    rows, is_good = [], True
    for turns in lengths:
        for context_tokens in contexts:
            for kind in KINDS:
                row: list[object] = [kind, turns, context_tokens]
                held: list[Tally] = []
                for sums_up in (False, True):
                    held = [
                        await hold(
                            kind,
                            turns,
                            context_tokens,
                            "reply chain",
                            each,
                            reads_ahead=True,
                            sums_up=sums_up,
                        )
                        for each in FINENESS
                    ]
                    again, wait = max(t.again / t.sent for t in held), max(map(waits, held))
                    is_good = is_good and again <= AGAIN_BAR and wait <= WAIT_BAR
                    row += [f"{again:.1%}", f"{wait:.2f}"]
                made = min(tally.summaries for tally in held) / conversations(turns)
                rows.append([*row, round(made, 1)])
    headers = [
        "text", "turns", "context", "off: read again", "wait p95, of a warm turn's",
        "auto: read again", "wait p95, of a warm turn's", "summaries",
    ]  # fmt: skip
    print_table("Summaries off and auto, in a reply chain, read ahead", headers, rows)
    return 0 if is_good else 1


def main(argv: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks context", description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[24, 200])
    parser.add_argument("--context", type=int, nargs="+", default=[8192, 32_768])
    parser.add_argument("--summaries", action="store_true", help="compare summaries off and auto")
    options = parser.parse_args(argv)
    held = with_summaries if options.summaries else run
    return asyncio.run(held(options.turns, options.context))
