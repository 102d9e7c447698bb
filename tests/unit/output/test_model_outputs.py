"""What named models write, whole and a character at a time."""

from __future__ import annotations

import pytest

from tests.unit.output.helpers import pipeline, versions
from tests.unit.output.model_outputs import EXPECTED_MISSING, SHOWN, THOUGHT, T


@pytest.mark.parametrize(("text", "answer"), THOUGHT)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_only_the_answer_is_shown(text: str, answer: str, size: int) -> None:
    seen = versions(pipeline(), [text[i : i + size] for i in range(0, len(text), size)])
    assert seen[-1] == answer
    assert all(T not in shown for shown in seen)


@pytest.mark.parametrize(("text", "answer"), EXPECTED_MISSING)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_a_model_without_an_opening_shows_only_its_answer(
    text: str, answer: str, size: int
) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    seen = versions(pipeline(expect=True), pieces)
    assert seen[-1] == answer
    assert all(T not in shown for shown in seen)


@pytest.mark.parametrize("text", SHOWN)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_what_is_written_about_markup_is_shown(text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert versions(pipeline(), pieces)[-1] == text
