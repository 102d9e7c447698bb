"""What happened to one question, collected in one place; and the log's line on it."""

from __future__ import annotations

from typing import Final

from bot.core.clock import Clock
from bot.core.domain import Completed, Question, QuestionId, Stage, StageKind
from bot.core.ports import Outcome
from bot.core.recent import Recent
from bot.core.record import QuestionRecord, Span
from bot.core.wording import counted
from bot.prompt.builder import Prompt

_ENDS: Final = {
    Outcome.DELIVERED: "answered in",
    Outcome.NOTIFIED: "ended with a notice after",
    Outcome.STOPPED: "stopped after",
    Outcome.MERGED: "passed on to its author's newer question after",
    Outcome.DROPPED: "dropped, because there is nobody to read it, after",
    None: "kept for the next start after",
}
_SPANS: Final = {
    Span.PREPARE: "preparing",
    Span.QUEUE: "in line",
    Span.LOAD: "loading the model",
    Span.READ: "reading",
    Span.THINK: "thinking",
    Span.WRITE: "writing",
    Span.DELIVER: "delivering",
}
_OF_STAGES: Final = {
    StageKind.QUEUED: Span.QUEUE,
    StageKind.HELD: Span.QUEUE,
    StageKind.WAKING: Span.QUEUE,
    StageKind.RETRYING: Span.QUEUE,
    StageKind.CONNECTING: Span.READ,
    StageKind.LOADING: Span.LOAD,
    StageKind.READING: Span.READ,
    StageKind.THINKING: Span.THINK,
}
MOST_PROMPTS: Final = 512
"""Conversations whose last prompt's size is remembered."""


class PromptSizes(Recent[str, int]):
    """How many tokens each conversation had after its last answer, by its key."""

    def __init__(self) -> None:
        super().__init__(MOST_PROMPTS)


class Account:
    """Collects what happens to a question; each moment belongs to one span.

    Args:
        question: Whose.
        clock: Time.
        sizes: What is remembered of conversations.
        is_taken_up: An earlier process accepted it.
    """

    def __init__(
        self, question: Question, clock: Clock, sizes: PromptSizes, *, is_taken_up: bool = False
    ) -> None:
        self._question = question
        self._clock = clock
        self._sizes = sizes
        waited = clock.now() - question.asked_at
        self._taken_up_s = max(0.0, waited.total_seconds()) if is_taken_up else None
        self._began_s = self._since_s = clock.monotonic()
        self.model: str | None = None
        """Which model is asked, or has answered, by its key."""
        self.span = Span.PREPARE
        """What its time goes into at the moment."""
        self._spans: dict[Span, float] = {}
        self._first_word_s: float | None = None
        self._fresh_tokens: int | None = None
        self._done: Completed | None = None
        self._tokens: tuple[int, int, int] | None = None
        self._failure = ""
        self._retries: list[str] = []

    @property
    def question_id(self) -> QuestionId:
        """Whose account it is."""
        return self._question.id

    def enter(self, span: Span) -> None:
        """Note that its time goes into this from here on."""
        if span is self.span:
            return
        now_s = self._clock.monotonic()
        self._spans[self.span] = self._spans.get(self.span, 0.0) + now_s - self._since_s
        self.span, self._since_s = span, now_s
        if span is Span.WRITE and self._first_word_s is None:
            self._first_word_s = now_s - self._began_s

    def stage(self, stage: Stage) -> None:
        """Note a stage that the back end tells of."""
        if stage.kind is StageKind.CONNECTING:
            self._fresh_tokens = None
        elif stage.kind is StageKind.READING and self._fresh_tokens is None:
            self._fresh_tokens = stage.tokens
        self.enter(_OF_STAGES[stage.kind])

    def retried(self, cause: str) -> None:
        """Note that the model is asked again.

        Args:
            cause: As ``QuestionRecord.retries`` holds it.
        """
        self._retries.append(cause)

    def completed(self, done: Completed, prompt: Prompt) -> None:
        """Note what the answer cost."""
        self._done = done
        if done.usage is None or done.prompt_was_cut:
            return
        size = done.usage.prompt_tokens
        cached = done.usage.cached_tokens
        if cached is None:
            fresh = prompt.prompt_tokens if self._fresh_tokens is None else self._fresh_tokens
            cached = size - round(size * min(1.0, fresh / max(1, prompt.prompt_tokens)))
        before = min(self._sizes.get(prompt.conversation_key, 0), size)
        self._tokens = size, size - min(cached, size), max(0, before - cached)
        self._sizes[prompt.conversation_key] = size + done.usage.completion_tokens

    def failed(self, kind: str) -> None:
        """Note the kind of failure that ends it."""
        self._failure = kind

    def close(self, outcome: Outcome | None) -> QuestionRecord:
        """Return all of it so far.

        Args:
            outcome: How it ended; ``None`` where it goes on, now or after the next start.
        """
        now_s = self._clock.monotonic()
        spans = {
            **self._spans,
            self.span: self._spans.get(self.span, 0.0) + now_s - self._since_s,
        }
        size, read, reread = self._tokens or (None, None, None)
        usage = self._done.usage if self._done is not None else None
        return QuestionRecord(
            question_id=self._question.id,
            ended_at=self._clock.now(),
            origin=self._question.origin,
            outcome=outcome,
            failure=self._failure,
            model=self.model,
            total_s=now_s - self._began_s,
            first_word_s=self._first_word_s,
            spans=spans,
            prompt_tokens=size,
            read_tokens=read,
            reread_tokens=reread,
            written_tokens=usage.completion_tokens if usage is not None else None,
            retries=tuple(self._retries),
            taken_up_s=self._taken_up_s,
        )


def line_of(record: QuestionRecord) -> str:
    """Return the log's line on a question, in words."""
    facts = [f"asked by {record.origin.replace('_', ' ')}"]
    if record.taken_up_s is not None:
        facts.append(f"taken up {record.taken_up_s:.0f} s later by a new start")
    if record.first_word_s is not None:
        facts.append(f"first word after {record.first_word_s:.1f} s")
    facts += [
        f"{words} {record.spans[span]:.1f} s"
        for span, words in _SPANS.items()
        if record.spans.get(span, 0.0) >= 0.05
    ]
    if record.prompt_tokens is not None:
        facts.append(f"prompt tokens {record.prompt_tokens:,}")
    if record.written_tokens is not None:
        facts.append(f"written tokens {record.written_tokens:,}")
    if record.retries:
        facts.append(f"asked again {counted(len(record.retries), 'time')}")
    if record.failure:
        facts.append(f"failure: {record.failure.replace('_', ' ')}")
    return f"{_ENDS[record.outcome]} {record.total_s:.1f} s ({', '.join(facts)})"
