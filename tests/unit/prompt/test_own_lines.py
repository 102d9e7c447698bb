"""What the bot says around an answer can be told from the answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.domain import Stage, StageKind
from bot.core.notices import join_chunks, may_hold_own_lines, notice, without, without_known
from bot.delivery.delivery import own_lines_of, parts_of, plan_chunks
from bot.delivery.pacing import stage_line

ANSWERS = [
    "⚠️ Never mix bleach and ammonia.",
    "⚠️ I'm not sure, but try again.",
    "⚠️ Careful with this. " * 60,
    "-# small print of the model's own",
    "Answer\n-# small print of the model's own",
    "```diff\n-# kept\n```",
    "Stopped.",
    "-# ⏳ Reading\nis what a stage line says",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_looks_like_our_own_words_is_kept(answer: str) -> None:
    assert without(answer, "") == answer.strip()
    assert without(f"{answer}\n-# footer", "-# footer") == answer.strip()
    assert without_known(answer) == answer.strip()


def test_a_notice_holds_no_words_of_the_model() -> None:
    sentence = "The model's machine had a problem. Please try again in a moment."
    assert not without(notice(sentence), notice(sentence))
    assert not without_known(notice(sentence))


def test_what_no_model_writes_is_taken_out_where_nothing_is_recorded() -> None:
    assert without_known("hi\n-# llama · first word after 1.2 s · 12 tokens/s · 90 tokens") == "hi"
    assert not without_known(stage_line(Stage(StageKind.READING, tokens=90), 3.0))
    first, summary, _ = plan_chunks("word " * 4000, (), max_messages=2)
    assert without_known(first) == first.strip()
    assert not without_known(summary)


TEXTS = st.lists(
    st.sampled_from([*ANSWERS, "-# a", "-# Cut at the length limit.", "word " * 300, "```", "\n"])
    | st.text(max_size=30),
    min_size=1,
    max_size=8,
).map("\n".join)
LINES = st.lists(st.sampled_from(["a", "Cut at the length limit.", "llama · 12 tokens/s"]))


@given(TEXTS, LINES, st.integers(1, 4))
def test_what_was_added_is_taken_out_again_and_only_its_like_with_it(
    text: str, lines: Sequence[str], most: int
) -> None:
    chunks = plan_chunks(text, tuple(lines), max_messages=most)
    own_lines = own_lines_of(chunks, tuple(lines))
    bare = plan_chunks(text, (), max_messages=most)
    *before, last = [part.content for part in parts_of(bare)]
    wanted = [*(without(content, own_lines) for content in before), last.strip()]
    found = [without(part.content, own_lines) for part in parts_of(chunks)]
    if own_lines_of(bare, ()):
        wanted[-1] = ""
    assert "".join(join_chunks(found).split()) == "".join(join_chunks(wanted).split())


@given(TEXTS)
def test_what_has_no_look_of_ours_is_never_asked_about(text: str) -> None:
    if not may_hold_own_lines(text):
        assert without_known(text) == text.strip()


def test_a_block_cut_between_messages_is_whole_again() -> None:
    assert join_chunks(["a\n```py\nx\n```", "```py\ny\n```\nb"]) == "a\n```py\nx\ny\n```\nb"


def test_two_blocks_of_different_languages_stay_two() -> None:
    assert join_chunks(["```py\nx\n```", "```c\ny\n```"]) == "```py\nx\n```\n\n```c\ny\n```"
