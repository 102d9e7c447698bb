"""What ``/privacy delete`` says."""

from __future__ import annotations

import pytest

from bot.chat.privacy import Deleted
from cogs.privacy import deleted_text


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        (0, "0 questions and all that belonged to them."),
        (1, "1 question and all that belonged to it."),
        (2, "2 questions and all that belonged to them."),
    ],
)
def test_one_question_and_several_are_spoken_of_as_such(questions: int, words: str) -> None:
    done = Deleted(stopped=0, questions=questions, is_overwritten=True)
    assert deleted_text(done) == f"Deleted: {words}"
