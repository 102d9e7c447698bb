"""What a conversation costs in prompt tokens read again, on the sandbox's LM Studio.

A conversation of questions and answers is held over the real builder and the real client. After each
request the server's record says how many prompt tokens weren't in its cache. Beside it runs what
most bots do: the last 25 messages, a window that slides by two at every turn.

Waits are the model machine's own seconds, computed from the tokens read by the sandbox's timing
model, so that a conversation of an hour is measured in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks.table import percentile, print_table
from bot.core.clock import SystemClock
from bot.core.domain import (
    AttachmentInfo,
    ChannelId,
    ChatRequest,
    ChatTurn,
    Completed,
    GuildId,
    IncomingMessage,
    MessageId,
    ModelInfo,
    Origin,
    Person,
    Place,
    PlaceKind,
    Question,
    QuestionId,
    Reasoning,
    Role,
    Sampling,
    UserId,
)
from bot.core.ports import ChatSettings
from bot.lmstudio import LMStudioBackend, open_backend
from bot.prompt.attachments.decoder import DecoderPool
from bot.prompt.builder import ContextBuilder
from bot.prompt.tokens import TokenEstimator
from config import defaults
from config.settings import ContextSettings, LMStudioSettings
from sandbox.lmstudio import Answer, LMStudioSandbox, Model, RecordedRequest, Timing

BOT = Person(UserId(900), "Clawbot", is_bot=True)
ADA = Person(UserId(11), "Ada")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLACES = {
    "reply chain": Place(PlaceKind.GUILD_TEXT, ChannelId(50), GuildId(40)),
    "direct message": Place(PlaceKind.DM, ChannelId(60)),
}
WINDOW_MESSAGES = 25
MAX_TOKENS = 1024
MACHINE = Timing(prefill_tokens_s=400.0, prefill_half_tokens=32_000.0)
"""An 80B mixture of experts on a mini PC: 400 tokens/s, half of that at 32k."""

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


@dataclass(slots=True)
class Talk:
    """A conversation as it grows; also the source that the builder reads it from."""

    place: Place
    rng: random.Random
    messages: list[IncomingMessage] = field(default_factory=list)

    def say(self, author: Person, words: int) -> IncomingMessage:
        """Add a message of so many words, a reply to the one before."""
        at = NOON + timedelta(seconds=90 * len(self.messages))
        snowflake = (int(at.timestamp() * 1000) - 1_420_070_400_000) << 22
        last = self.messages[-1].id if self.messages else None
        message = IncomingMessage(
            id=MessageId(snowflake + self.rng.randrange(1 << 12)),
            place=self.place,
            author=author,
            text=" ".join(self.rng.choice(WORDS) for _ in range(words)).capitalize() + ".",
            created_at=at,
            reference_id=last if self.place.kind is PlaceKind.GUILD_TEXT else None,
        )
        self.messages.append(message)
        return message

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


@dataclass(slots=True)
class Tally:
    """What the server read."""

    sent: int = 0
    read: int = 0
    again: int = 0
    uncut_sent: int = 0
    uncut_again: int = 0
    cuts: int = 0
    waits_s: list[float] = field(default_factory=list)
    build_ms: list[float] = field(default_factory=list)

    def add(self, record: RecordedRequest, new_tokens: int, *, is_cut: bool) -> None:
        """Count one request."""
        again = max(0, record.reread_tokens - new_tokens)
        self.sent += record.prompt_tokens
        self.read += record.reread_tokens
        self.again += again
        self.cuts += is_cut
        if not is_cut:
            self.uncut_sent += record.prompt_tokens
            self.uncut_again += again
        kept = record.prompt_tokens - record.reread_tokens
        self.waits_s.append(MACHINE.prefill_s(kept, record.prompt_tokens))


async def hold(
    backend: LMStudioBackend,
    server: LMStudioSandbox,
    *,
    turns: int,
    place: Place,
    slides: bool,
    seed: int,
) -> Tally:
    """Hold one conversation and count what it cost."""
    rng = random.Random(seed)
    talk, tally, clock = Talk(place, rng), Tally(), SystemClock()
    estimator = TokenEstimator()
    builder = ContextBuilder(
        source=talk,
        files=talk,
        decoder=DecoderPool(clock),
        estimator=estimator,
        settings=ContextSettings(),
        bot_id=lambda: BOT.id,
        bot_name=lambda: BOT.name,
        clock=clock,
    )
    chat = ChatSettings(None, 0.7, 0.95, MAX_TOKENS, defaults.SYSTEM_PROMPT, Reasoning.AUTO)
    first_kept = ""
    for _ in range(turns):
        asked = talk.say(ADA, rng.randint(10, 120))
        started_s = clock.monotonic()
        if slides:
            prompt = sliding_window(talk.messages)
        else:
            built = await builder.build(question(asked), chat, known(backend, server))
            prompt = built.turns
        tally.build_ms.append((clock.monotonic() - started_s) * 1000)
        answer = talk.say(BOT, rng.randint(120, 380))
        server.answer(Answer(answer.text))
        usage_tokens = await ask(backend, prompt, asked)
        estimator.learn(server.models[0].key, prompt, usage_tokens)
        is_cut = bool(first_kept) and prompt[1].text != first_kept
        first_kept = prompt[1].text
        record = server.completions[-1]
        tally.add(record, usage_of(prompt[-1].text), is_cut=is_cut)
    return tally


def usage_of(text: str) -> int:
    """Return about how many tokens a new user turn is, its template included."""
    return TokenEstimator().estimate(text, None) + 8


def known(backend: LMStudioBackend, server: LMStudioSandbox) -> ModelInfo:
    """Return what is known of the model, as the turn would pass it."""
    model = server.models[0]
    return backend.model(None) or ModelInfo(
        model.key, is_loaded=True, context_tokens=model.context_tokens
    )


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


def sliding_window(messages: Sequence[IncomingMessage]) -> tuple[ChatTurn, ...]:
    """Return the system prompt and the last 25 messages."""
    recent = messages[-WINDOW_MESSAGES:]
    turns = [
        ChatTurn(Role.ASSISTANT if m.author.is_bot else Role.USER, m.text)
        for m in recent[recent[0].author.is_bot :]
    ]
    return (ChatTurn(Role.SYSTEM, defaults.SYSTEM_PROMPT), *turns)


async def ask(backend: LMStudioBackend, turns: tuple[ChatTurn, ...], asked: IncomingMessage) -> int:
    """Send a prompt, read the answer to its end, and return the server's count of the prompt."""
    request = ChatRequest(
        question_id=QuestionId(int(asked.id)),
        conversation_key="talk",
        model=None,
        turns=turns,
        sampling=Sampling(0.7, 0.95, MAX_TOKENS),
    )
    tokens = 0
    async for event in backend.stream(request):
        if isinstance(event, Completed) and event.usage is not None:
            tokens = event.usage.prompt_tokens
    return tokens


async def measure(
    turns: int, context_tokens: int, place_name: str, *, slides: bool
) -> list[object]:
    """Run one conversation on a fresh server, as a row of the table."""
    model = Model("qwen/qwen3-next-80b", context_tokens=context_tokens)
    async with LMStudioSandbox([model]) as server:
        settings = LMStudioSettings(base_url=(server.base_url,))
        async with open_backend(settings, SystemClock()) as backend:
            tally = await hold(
                backend,
                server,
                turns=turns,
                place=PLACES[place_name],
                slides=slides,
                seed=turns + context_tokens,
            )
    return [
        "sliding window of 25" if slides else place_name,
        turns,
        context_tokens,
        tally.sent,
        f"{tally.again / tally.sent:.1%}",
        f"{tally.uncut_again / max(1, tally.uncut_sent):.1%}" if not slides else "-",
        f"{tally.read / tally.sent:.1%}",
        tally.cuts,
        round(percentile(tally.waits_s, 50), 2),
        round(percentile(tally.waits_s, 95), 2),
        round(percentile(tally.build_ms, 50), 2),
    ]


async def run(lengths: Sequence[int], contexts: Sequence[int]) -> None:
    """Run all conversations and print the table."""
    rows = []
    for turns in lengths:
        for context_tokens in contexts:
            rows += [await measure(turns, context_tokens, name, slides=False) for name in PLACES]
            rows.append(await measure(turns, context_tokens, "reply chain", slides=True))
    headers = [
        "prompt", "turns", "context", "tokens sent", "read again", "while uncut", "read in all",
        "cuts", "wait p50 (s)", "wait p95 (s)", "build p50 (ms)",
    ]  # fmt: skip
    print_table("Prompt tokens read again, and the wait they cost", headers, rows)


def main(argv: list[str]) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks context", description=__doc__)
    parser.add_argument("--turns", type=int, nargs="+", default=[24, 200])
    parser.add_argument("--context", type=int, nargs="+", default=[8192, 32_768])
    options = parser.parse_args(argv)
    asyncio.run(run(options.turns, options.context))
    return 0
