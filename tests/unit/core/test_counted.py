"""One is one, and everything else is many."""

from __future__ import annotations

import pytest

from bot.core import frames
from bot.core.domain import Stage, StageKind
from bot.core.wording import counted
from bot.delivery.pacing import stage_line


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 answers"), (1, "1 answer"), (2, "2 answers"), (1200, "1,200 answers")],
)
def test_a_noun_agrees_with_its_number(number: int, words: str) -> None:
    assert counted(number, "answer") == words


def test_texts_say_one_of_a_thing() -> None:
    assert "1 token…" in stage_line(Stage(StageKind.READING, tokens=1), 0)
    assert frames.left_out(1) == "⟦… 1 character left out⟧"
