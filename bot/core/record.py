"""What happened to one question, in figures: what its log line, the metrics and charts are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.core.domain import Origin, QuestionId
from bot.core.ports import Outcome

BROKEN_OFF: Final = "broken_off"
"""Why a model was asked again: its answer broke off after words."""
ONLY_THINKING: Final = "only_thinking"
"""Why a model was asked again: it thought, and said nothing."""


class Span(StrEnum):
    """What a question's time is spent on; at each moment it is exactly one of these."""

    PREPARE = "prepare"
    """The conversation is gathered, and a burst may go on."""
    QUEUE = "queue"
    """It waits for its turn, for the model's machine, or between two tries."""
    LOAD = "load"
    """The model is loaded into memory."""
    READ = "read"
    """The model reads the prompt."""
    THINK = "think"
    """The model writes what isn't shown."""
    WRITE = "write"
    """The model writes the answer."""
    DELIVER = "deliver"
    """Everything is written; Discord takes the rest."""


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """One question's way, without a word of its text and without people or places.

    Attributes:
        question_id: Which one.
        ended_at: When this process was done with it.
        origin: Where it came from.
        outcome: How it ended; ``None`` where the next start goes on with it.
        failure: The kind of failure that ended it, as ``error_kind`` names it; empty for none.
        model: Key of the model that answered or was asked in vain; ``None`` where that isn't known.
        total_s: From being taken by this process to its end; the sum of all ``spans``.
        first_word_s: From being taken to the first word that can be read; ``None`` where none came.
        spans: Seconds spent on each kind of work; those that it never came to are missing.
        prompt_tokens: Size of the prompt as the server counted it; ``None`` where it didn't.
        read_tokens: Of these, what the model had to read: not found in its cache, as far as one
            can know that.
        reread_tokens: Of what it had to read, what it had read before in this conversation.
        written_tokens: What the model wrote, thinking included; ``None`` where the server didn't say.
        retries: Why the model was asked again, each time, in order: what ``error_kind`` names, or one
            of the two causes above.
        taken_up_s: From being asked to being taken up by this process, where an earlier process had
            accepted it; else ``None``.
    """

    question_id: QuestionId
    ended_at: datetime
    origin: Origin
    outcome: Outcome | None
    failure: str
    model: str | None
    total_s: float
    first_word_s: float | None
    spans: Mapping[Span, float]
    prompt_tokens: int | None
    read_tokens: int | None
    reread_tokens: int | None
    written_tokens: int | None
    retries: tuple[str, ...]
    taken_up_s: float | None = None
