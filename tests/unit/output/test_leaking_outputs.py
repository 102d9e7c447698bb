"""What leaks easily shows its answer and nothing else, whole, in pieces, and cut off at every point."""

from __future__ import annotations

import pytest

from bot.core.domain import FinishReason
from tests.unit.output.helpers import pipeline, versions
from tests.unit.output.leaking_outputs import LEAKING, A, T


@pytest.mark.parametrize("text", LEAKING)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_only_the_answer_is_ever_shown(text: str, size: int) -> None:
    seen = versions(pipeline(), [text[i : i + size] for i in range(0, len(text), size)])
    assert seen[-1] == A
    assert all(T not in shown for shown in seen)


@pytest.mark.parametrize("text", LEAKING)
def test_nothing_is_shown_of_thinking_that_is_cut_off_anywhere(text: str) -> None:
    for end in range(1, len(text)):
        assert T not in versions(pipeline(), [text[:end]], FinishReason.LENGTH)[-1], end
