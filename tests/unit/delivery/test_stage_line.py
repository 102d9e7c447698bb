"""The words of each stage."""

from __future__ import annotations

import pytest

from bot.core.domain import Stage, StageKind
from bot.delivery.pacing import duration, ordinal, stage_line


@pytest.mark.parametrize(
    ("stage", "elapsed_s", "words"),
    [
        (Stage(StageKind.QUEUED, position=2, expected_wait_s=21), 0, "In line (2nd), about 20 s"),
        (Stage(StageKind.QUEUED, position=1), 0, "Next in line"),
        (Stage(StageKind.QUEUED), 0, "In line"),
        (Stage(StageKind.CONNECTING), 0, "Reaching the model's machine…"),
        (Stage(StageKind.LOADING), 12.4, "Loading the model… 12 s"),
        (Stage(StageKind.READING, tokens=3120), 0, "Reading 3,120 tokens…"),
        (Stage(StageKind.READING), 4, "Reading… 4 s"),
        (
            Stage(StageKind.READING, tokens=3120, expected_wait_s=8.2),
            0,
            "Reading 3,120 tokens, about 8 s…",
        ),
        (
            Stage(StageKind.READING, tokens=3120, expected_wait_s=8.2),
            4,
            "Reading 3,120 tokens, about 8 s… 4 s",
        ),
        (
            Stage(StageKind.READING, tokens=3120, expected_wait_s=8.2),
            12,
            "Reading 3,120 tokens… 12 s, longer than the 8 s I expected",
        ),
        (Stage(StageKind.READING, tokens=90, expected_wait_s=0.4), 3, "Reading 90 tokens… 3 s"),
        (Stage(StageKind.LOADING, expected_wait_s=42), 12, "Loading the model, about 40 s… 12 s"),
        (Stage(StageKind.THINKING), 12, "Thinking… 12 s"),
        (Stage(StageKind.RETRYING), 0, "Asking the model again…"),
    ],
)
def test_words(stage: Stage, elapsed_s: float, words: str) -> None:
    assert stage_line(stage, elapsed_s) == f"-# ⏳ {words}"


@pytest.mark.parametrize("kind", list(StageKind))
def test_every_stage_is_one_line_of_small_text(kind: StageKind) -> None:
    line = stage_line(Stage(kind), 3.0)
    assert line.startswith("-# ")
    assert "\n" not in line


def test_a_held_question_is_promised_an_answer() -> None:
    assert "doesn't answer" in stage_line(Stage(StageKind.HELD), 100.0)
    assert "up to 30 min" in stage_line(Stage(StageKind.HELD, expected_wait_s=1800), 100.0)


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd"), (113, "113th")],
)
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (8, "8 s"), (21, "20 s"), (89, "90 s"), (200, "3 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
