"""Nonces that are the same in every run, so that no message is ever posted twice."""

from __future__ import annotations

from typing import Literal

from bot.core.domain import QuestionId

MAX_INDEX = 99

NonceKind = Literal["r", "n"]
"""A reply or a notice; they never share a nonce, or one would take the other's place."""


def nonce(question_id: QuestionId, kind: NonceKind, index: int) -> str:
    """Return the nonce of one message of an answer, within the 25 characters that Discord allows.

    Args:
        question_id: The snowflake that asked, at most 20 digits.
        kind: Answer or notice.
        index: Which message of that kind, 0 to 99.

    Raises:
        ValueError: The index is out of range.
    """
    if not 0 <= index <= MAX_INDEX:
        msg = f"nonce index out of range: {index}"
        raise ValueError(msg)
    return f"{question_id}-{kind}-{index}"
