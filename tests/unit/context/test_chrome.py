"""What the bot says around an answer can be told from the answer."""

from __future__ import annotations

from bot.chrome import join_chunks, notice, strip_chrome


def test_a_notice_holds_no_words_of_the_model() -> None:
    assert not strip_chrome(notice("The model's machine had a problem."))


def test_a_long_answer_that_begins_with_a_warning_sign_is_an_answer() -> None:
    answer = "⚠️ " + "Careful with this. " * 60
    assert strip_chrome(answer) == answer.strip()


def test_quiet_lines_go_but_not_inside_code() -> None:
    text = "Answer\n```diff\n-# kept\n```\n-# 12 tokens/s\n-# Using the last 4 of 9 messages."
    assert strip_chrome(text) == "Answer\n```diff\n-# kept\n```"


def test_a_stage_line_alone_is_nothing() -> None:
    assert not strip_chrome("-# ⏳ Reading your message…")


def test_a_block_cut_between_messages_is_whole_again() -> None:
    assert join_chunks(["a\n```py\nx\n```", "```py\ny\n```\nb"]) == "a\n```py\nx\ny\n```\nb"


def test_two_blocks_of_different_languages_stay_two() -> None:
    assert join_chunks(["```py\nx\n```", "```c\ny\n```"]) == "```py\nx\n```\n\n```c\ny\n```"
