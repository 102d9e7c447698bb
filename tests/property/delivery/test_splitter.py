"""Cutting texts: nothing lost, nothing too long, fences balanced, pieces stable."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.delivery.splitter import split, streaming_cut, units

_FRAGMENTS = st.sampled_from(
    [
        "word", "Sentence one. ", "two! ", " ", "\n", "\n\n", "\n\n\n", "  - item\n", "1. first\n",
        "```python\n", "```\n", "```", "\n```\n", "print('x')\n", "    indented\n", " `code span` ",
        "[label here](https://example.org/a?b=c)", "https://example.org/" + "p" * 40, "| a | b |\n",
        "|---|---|\n", "👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "日本語。", "ש", "**bold text**", "> quote\n",
        "x" * 70, "😀" * 40, "````md\n", "# Title\n", "\u0301" * 70, "a\u200db",
    ]
)  # fmt: skip
_TEXTS = st.lists(_FRAGMENTS, max_size=80).map("".join) | st.text(max_size=400)
_LIMITS = st.integers(64, 300) | st.just(2000)

_FENCE_LINE = re.compile(r"```[\w+\-.#]*\n")
_TICKS = re.compile(r"`{3,}")
_SPACE = re.compile(r"\s+")


def _squeeze(text: str) -> str:
    return _SPACE.sub("", text)


def _lost(text: str, pieces: list[str]) -> str:
    """Return the first stretch of the text that the pieces lack or add to; empty when none.

    Every character but whitespace must come in order; what a piece adds may only be a fence line at
    its start and a fence at its end.
    """
    whole = _squeeze(text)
    ends = {0}
    for piece in pieces:
        options = {piece}
        if (opening := _FENCE_LINE.match(piece)) is not None:
            options.add(piece[opening.end() :])
        options |= {option[:-3] for option in set(options) if option.endswith("```")}
        reached = set()
        for end in ends:
            for option in options:
                body = _squeeze(option)
                if whole.startswith(body, end):
                    reached.add(end + len(body))
                    closing = _TICKS.match(whole, end + len(body))
                    reached |= {closing.end()} if closing is not None else set()
        if not reached:
            return f"at {min(ends)} of {len(whole)}: {piece[:80]!r}"
        ends = reached
    left = min((whole[end:] for end in ends), key=len)
    return left.strip("`")


@settings(max_examples=200)
@given(_TEXTS, _LIMITS)
@example("```python\n" + "x" * 500, 64)
@example("```" + "i" * 90 + "\n" + "code\n" * 40 + "```", 64)
def test_pieces_join_to_the_text_and_fit(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert all(units(piece) <= limit for piece in pieces)
    assert all(piece.strip() for piece in pieces)
    assert _lost(text, pieces) == ""


@settings(max_examples=150)
@given(_TEXTS, _LIMITS)
def test_every_piece_has_balanced_fences(text: str, limit: int) -> None:
    for piece in split(text, limit):
        assert len(_TICKS.findall(piece)) % 2 == 0


@settings(max_examples=150)
@given(_TEXTS, _TEXTS, _LIMITS)
def test_pieces_stay_as_a_text_grows(text: str, more: str, limit: int) -> None:
    before = split(text, limit)
    after = split(text + more, limit)
    settled = len(before) - 2
    assert after[: max(0, settled)] == before[: max(0, settled)]


_SHOWN_AS_ONE = [
    "👨‍👩‍👧‍👦",
    "🇩🇪",
    "👍🏽",
    "e\u0301",
    "1\ufe0f\u20e3",
    "x",
    "字",
    "🏴\U000e0067\U000e007f",
    "i\u0303",
]


@given(st.lists(st.sampled_from(_SHOWN_AS_ONE), min_size=1, max_size=300), _LIMITS)
@example(["🇩🇪"] * 2000, 2000)
def test_no_character_is_cut_in_two(characters: list[str], limit: int) -> None:
    ends = set(itertools.accumulate(len(character) for character in characters))
    pieces = split("".join(characters), limit)
    assert set(itertools.accumulate(len(piece) for piece in pieces)) <= ends


@settings(max_examples=150)
@given(_TEXTS)
def test_what_streams_is_a_beginning_of_the_text(text: str) -> None:
    shown = streaming_cut(text)
    assert len(_TICKS.findall(shown)) % 2 == 0
    squeezed = _squeeze(text)
    body = _squeeze(shown)
    assert squeezed.startswith((body, body.removesuffix("```")))


@pytest.mark.parametrize("limit", [0, 63])
def test_a_limit_without_room_for_fences_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        split("text", limit)
