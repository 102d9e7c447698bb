"""Nonces: the same each time, never two alike, never too long."""

from __future__ import annotations

import pytest

from bot.core.domain import QuestionId
from bot.delivery.delivery import MAX_INDEX, nonce

LARGEST = QuestionId(2**64 - 1)


def test_the_longest_nonce_fits() -> None:
    assert len(nonce(LARGEST, "r", MAX_INDEX)) == 25


def test_answers_notices_and_messages_differ() -> None:
    question_id = QuestionId(7)
    names = {nonce(question_id, kind, index) for kind in ("r", "n") for index in range(100)}
    assert len(names) == 200


@pytest.mark.parametrize("index", [-1, 100])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="index"):
        nonce(LARGEST, "r", index)
