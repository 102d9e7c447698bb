"""Records of questions that ended, for tests that care about a field or two."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from bot.core.domain import Origin, QuestionId
from bot.core.ports import Outcome
from bot.core.record import QuestionRecord, Span

MODEL: Final = "qwen/qwen3-next-80b"


def record(ended_at: datetime, **fields: Any) -> QuestionRecord:
    """Return what is known of a question that waited 1 s and was answered at 50 tokens a second."""
    values: dict[str, Any] = {
        "question_id": QuestionId(1),
        "origin": Origin.MENTION,
        "outcome": Outcome.DELIVERED,
        "failure": "",
        "model": MODEL,
        "total_s": 5.0,
        "first_word_s": 2.0,
        "spans": {Span.QUEUE: 1.0, Span.READ: 1.0, Span.THINK: 1.0, Span.WRITE: 2.0},
        "prompt_tokens": 100,
        "read_tokens": 50,
        "reread_tokens": 0,
        "written_tokens": 150,
        "retries": (),
    }
    return QuestionRecord(ended_at=ended_at, **values | fields)
