"""Pieces of natural text in about 40 kinds and 30 languages, and whole answers, come through as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import Verdict
from tests.unit.output.helpers import pipeline

NAMES = ("Max", "Cons", "Python", "Host", "User", "Note", "注意", "Важно", "Plan", "Answer")
PIECES, ANSWERS = (
    Path(__file__).with_name(name).read_text("utf-8").split("\n%%\n")
    for name in ("natural_pieces.txt", "natural_answers.txt")
)
_WORDS = re.compile(r"</?\|?[\w:▁｜]+\|?>|\[/?[A-Za-z]+\]|\w+")


def _is_whole(text: str, size: int, lead: str = "", *, expect: bool = False) -> bool:
    """Stream a text in pieces of one size; return whether all its words and tags are shown."""
    target = pipeline(names=NAMES, bot_name="Clawbot", expect=expect)
    raw = lead + text
    for start in range(0, len(raw), size):
        target.feed(TextDelta(raw[start : start + size]))
        if target.must_stop:
            return False
    target.close(FinishReason.STOP)
    shown = iter(_WORDS.findall(target.text))
    is_complete = all(word in shown for word in _WORDS.findall(text))
    return is_complete and target.verdict is Verdict.ANSWER


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("lead", "before"), [("", ""), ("", "So.\n\n"), ("<think>\nHm.\n</think>\n\n", "")]
)
def test_all_words_and_tags_of_a_piece_come_through(lead: str, before: str, size: int) -> None:
    assert [text for text in PIECES if not _is_whole(before + text, size, lead)] == []


@pytest.mark.parametrize("size", [7, 10_000])
def test_templates_come_through_where_an_end_of_thinking_was_awaited(size: int) -> None:
    """The model doesn't think this time: none of the tokens in it has ended an answer."""
    pieces = [text for text in PIECES if "|im_end|>" in text and "think" not in text]
    assert [text for text in pieces if not _is_whole(text, size, expect=True)] == []


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("lead", ["", "<think>\nHm.\n</think>\n\n"])
def test_all_words_and_tags_of_an_answer_come_through(lead: str, size: int) -> None:
    assert [text for text in ANSWERS if not _is_whole(text, size, lead)] == []
