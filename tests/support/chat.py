"""The chat service on fakes: a scripted model, a journal in memory, a real line, a fake clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import SecretStr

from bot.chat.parts import ReplyParts
from bot.chat.service import ChatService
from bot.core.domain import (
    ChannelId,
    ChatEvent,
    ChatRequest,
    Completed,
    FinishReason,
    MessageId,
    ModelInfo,
    Person,
    Place,
    PromptCount,
    Question,
    QuestionId,
    Reasoning,
    Stage,
    TextDelta,
)
from bot.core.ports import Capacity, ChatSettings, JournalEntry, Outcome, QuestionState
from bot.delivery.pacing import PacerRegistry
from bot.ops.metrics import Metrics
from bot.output.pipeline import ModelMemory
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard
from bot.queue.rate_limit import RateLimiter
from bot.queue.scheduler import Scheduler
from config.settings import DiscordSettings, QueueSettings, Settings
from tests.support.clock import FakeClock
from tests.support.conversation import FakeSources
from tests.support.sink import FakeSink

DONE: Final = Completed(FinishReason.STOP, "tiny")
ANSWER: Final = (TextDelta("Because of the light."), DONE)

Step = ChatEvent | Exception | asyncio.Event
"""What a scripted model does next: say something, fail, or wait."""


class FakeBackend:
    """A ``ChatBackend`` that follows scripts, one a request; without one it answers ``ANSWER``.

    Attributes:
        keys: The keys of models by other names that they have.
        loads: It says that its model is being loaded while it is away.
        waking: What is done to have it back while it is away.
    """

    def __init__(self) -> None:
        self.scripts: deque[Sequence[Step]] = deque()
        self.requests: list[ChatRequest] = []
        self.keys: dict[str, str] = {}
        self.loads = False
        self.waking: Stage | None = None
        self.closed = 0
        self.is_up = True

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        self.requests.append(request)
        try:
            for step in self.scripts.popleft() if self.scripts else ANSWER:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    yield step
        finally:
            self.closed += 1

    def model(self, key: str | None) -> ModelInfo | None:
        name = key or "tiny"
        return ModelInfo(self.keys.get(name, name), is_loaded=True, context_tokens=8192)

    def capacity(self) -> Capacity:
        return Capacity(4)

    def is_available(self) -> bool:
        return self.is_up

    def is_loading(self) -> bool:
        return self.loads

    def wake(self) -> Stage | None:
        return self.waking


class FakeJournal:
    """A ``Journal`` in memory.

    Attributes:
        entries: What is stored.
        before_accept: Awaited once, while the next question is being stored.
        before_close: Awaited once, while the next question is being closed.
        before_revise: Awaited once, while the next question is stored in other words.
    """

    def __init__(self) -> None:
        self.entries: dict[QuestionId, JournalEntry] = {}
        self.notices: set[MessageId] = set()
        self.before_accept: Callable[[], Awaitable[object]] | None = None
        self.before_close: Callable[[], Awaitable[object]] | None = None
        self.before_revise: Callable[[], Awaitable[object]] | None = None

    def _change(self, question_id: QuestionId, **fields: Any) -> None:
        if question_id in self.entries:
            self.entries[question_id] = replace(self.entries[question_id], **fields)

    async def accept(self, question: Question, posted: Sequence[MessageId] = ()) -> bool:
        before, self.before_accept = self.before_accept, None
        if before is not None:
            await before()
        if question.id in self.entries:
            return False
        entry = JournalEntry(question, QuestionState.ACCEPTED, posted=tuple(posted))
        self.entries[question.id] = entry
        return True

    async def start(self, question_id: QuestionId) -> int:
        entry = self.entries[question_id]
        is_new = entry.state is QuestionState.ACCEPTED
        state = QuestionState.RUNNING if is_new else entry.state
        self._change(question_id, attempts=entry.attempts + 1, state=state)
        return entry.attempts + 1

    async def give_back(self, question_id: QuestionId) -> None:
        self._change(question_id, attempts=self.entries[question_id].attempts - 1)

    async def posted(self, question_id: QuestionId, message_ids: Sequence[MessageId]) -> None:
        self._change(question_id, posted=tuple(message_ids))

    async def answered(
        self,
        question_id: QuestionId,
        chunks: Sequence[str],
        *,
        thinking: str = "",
        details: str = "",
        own_lines: str | None = None,
        count: PromptCount | None = None,
    ) -> None:
        self._change(
            question_id,
            state=QuestionState.ANSWERED,
            count=count,
            chunks=tuple(chunks),
            thinking=thinking,
            details=details,
            own_lines=own_lines,
        )

    async def own_lines(self, question_id: QuestionId, own_lines: str) -> None:
        self._change(question_id, own_lines=own_lines)

    async def revise(self, question: Question) -> None:
        before, self.before_revise = self.before_revise, None
        if before is not None:
            await before()
        self._change(question.id, question=question, chunks=(), state=QuestionState.RUNNING)

    async def close(self, question_id: QuestionId, outcome: Outcome) -> None:
        before, self.before_close = self.before_close, None
        if before is not None:
            await before()
        if self.entries[question_id].outcome is None:
            self._change(question_id, state=QuestionState.CLOSED, outcome=outcome)

    async def entry(self, question_id: QuestionId) -> JournalEntry | None:
        return self.entries.get(question_id)

    async def entry_of_message(self, message_id: MessageId) -> JournalEntry | None:
        return next((e for e in self.entries.values() if message_id in e.posted), None)

    async def newest_asked_in(self, message_id: MessageId) -> JournalEntry | None:
        asked = [e for e in self.entries.values() if message_id in e.question.asked_in]
        return asked[-1] if asked else None

    async def own_lines_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, str | None]:
        found = {each: await self.entry_of_message(each) for each in message_ids}
        return {each: entry.own_lines for each, entry in found.items() if entry is not None}

    async def note_notice(self, message_id: MessageId) -> None:
        self.notices.add(message_id)

    async def notices_of(self, message_ids: Sequence[MessageId]) -> set[MessageId]:
        return self.notices.intersection(message_ids)

    async def counts_of(self, message_ids: Sequence[MessageId]) -> dict[MessageId, PromptCount]:
        found = {each: await self.entry_of_message(each) for each in message_ids}
        return {each: e.count for each, e in found.items() if e is not None and e.count is not None}

    async def askers(self, message_ids: Sequence[MessageId]) -> dict[MessageId, Person]:
        questions = [entry.question for entry in self.entries.values()]
        return {
            q.message.id: q.asker for q in questions if q.message and q.message.id in message_ids
        }

    async def pending(self) -> Sequence[JournalEntry]:
        return [entry for entry in self.entries.values() if entry.outcome is None]

    async def seen(self, channel_id: ChannelId, message_id: MessageId) -> None:
        """Nothing to note."""

    async def last_seen(self) -> dict[ChannelId, MessageId]:
        return {}


class FixedSettings:
    """A ``SettingsReader`` with the same settings everywhere."""

    def __init__(self) -> None:
        self.chat = ChatSettings(None, 0.7, 0.95, 512, "You are {bot}.", Reasoning.AUTO)

    def effective(self, place: Place) -> ChatSettings:  # noqa: ARG002 - the same everywhere
        return self.chat


class Chat:
    """A chat service whose outside is fake.

    Args:
        clock: Moved by the test.
        journal: What an earlier life left; an empty one when left out.
        queue: Fields of the queue's settings.
    """

    def __init__(self, clock: FakeClock, journal: FakeJournal | None = None, **queue: Any) -> None:
        self.clock = clock
        self.backend = FakeBackend()
        self.journal = FakeJournal() if journal is None else journal
        self.sink = FakeSink(clock)
        self.sources = FakeSources()
        self.overrides = FixedSettings()
        settings = Settings(
            discord=DiscordSettings(token=SecretStr("t")), queue=QueueSettings(**queue)
        )
        self.parts = ReplyParts(
            settings=settings,
            clock=clock,
            backend=self.backend,
            overrides=self.overrides,
            journal=self.journal,
            scheduler=Scheduler(
                settings.queue, clock, self.backend.capacity, self.backend.is_available
            ),
            builder=self.sources.builder(),
            estimator=self.sources.estimator,
            pacers=PacerRegistry(settings.delivery.writes_per_5_s, clock),
            secrets=SecretGuard([]),
            policy=OutputPolicy(),
            memory=ModelMemory(),
            metrics=Metrics(),
            records=(),
        )
        self.service = ChatService(self.parts, RateLimiter(settings.queue, clock))

    def outcome(self, question_id: int) -> Outcome | None:
        """Return how a question ended; ``None`` while it is open."""
        return self.journal.entries[QuestionId(question_id)].outcome

    async def pass_time(self, seconds: float = 30.0) -> None:
        """Let time pass in small steps."""
        for _ in range(int(seconds * 2)):
            await self.clock.advance(0.5)
