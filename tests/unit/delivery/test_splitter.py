"""Cutting texts, by example."""

from __future__ import annotations

import pytest

from bot.delivery.splitter import split, streaming_cut


def test_paragraphs_come_first() -> None:
    first, second = split("a " * 30 + "\n\n" + "b " * 30, 100)
    assert (first.split(), second.split()) == (["a"] * 30, ["b"] * 30)


def test_a_code_block_is_closed_and_opened_again_with_its_language() -> None:
    code = "\n".join(f"print({number})" for number in range(30))
    first, *_, last = split(f"```python\n{code}\n```\nThat's all.", 120)
    assert first.endswith("\n```")
    assert last.startswith("```python\nprint(")
    assert last.endswith("```\nThat's all.")


def test_a_long_info_string_is_not_repeated() -> None:
    pieces = split("```" + "i" * 30 + "\n" + "code\n" * 40 + "```", 100)
    assert all(piece.startswith("```\ncode") for piece in pieces[1:])


def test_a_code_block_that_fits_in_one_message_is_not_cut() -> None:
    block = "```js\n" + "x = 1;\n" * 8 + "```"
    assert split("intro " * 12 + "\n" + block, 100)[-1] == block


def test_table_rows_are_not_cut() -> None:
    rows = "\n".join(f"| {number} | {'cell ' * 8}|" for number in range(10))
    for piece in split(rows, 130):
        assert all(line.startswith("| ") and line.endswith("|") for line in piece.split("\n"))


def test_links_and_inline_code_are_not_cut() -> None:
    link = "[the whole of its label](https://example.org/page)"
    code = "`a span of inline code`"
    text = f"{'word ' * 15}{link} {'word ' * 12}{code} {'word ' * 15}"
    pieces = split(text, 100)
    assert any(link in piece for piece in pieces)
    assert any(code in piece for piece in pieces)


@pytest.mark.parametrize(
    "passage",
    [
        "||the end is a | b||",
        "~~struck and ~ out~~",
        "__under lined__",
        "*in italics*",
        "_as well_",
        "**bold with *both* in it**",
        "***both of them***",
    ],
)
def test_a_spoiler_and_emphasis_are_not_cut(passage: str) -> None:
    pieces = split(f"{'word ' * 11}{passage} and the rest", 64)
    assert any(passage in piece for piece in pieces)


@pytest.mark.parametrize("sign", [">", ">>>", "#", "###", "-#", "-", "*", "+", "1.", "12)"])
@pytest.mark.parametrize("before", ["word " * 12, "word " * 11 + "Yes. ", "w" * 63 + " ", "w" * 64])
def test_no_message_begins_with_a_sign_from_inside_a_line(before: str, sign: str) -> None:
    _, second = split(f"{before}{sign} or not", 64)
    assert not second.startswith(sign)


@pytest.mark.parametrize("title", ["## Next", "**Next**", "# Part\n\n**Next**", "**Next**\n"])
@pytest.mark.parametrize("after", ["\n", "\n\n", "\n```py\n"])
def test_a_title_comes_with_what_it_is_of(title: str, after: str) -> None:
    pieces = split(f"{'word ' * 15}\n{title}{after}{'text ' * 30}", 110)
    assert pieces[0] == ("word " * 15).strip()
    assert pieces[1].startswith(title.strip())


def test_a_comment_in_code_is_no_title() -> None:
    code = "x = 1\n" * 13 + "# a comment\n" + "y = 2\n" * 30
    assert split(f"```py\n{code}```", 100)[0].endswith("# a comment\n```")


def test_inline_code_between_two_backticks_is_not_cut() -> None:
    code = "``a ` b and some more words of code``"
    pieces = split(f"{'word ' * 9}{code} and the rest", 64)
    assert any(code in piece for piece in pieces)


def test_an_escaped_sign_stays_with_its_backslash() -> None:
    pieces = split("a" * 63 + "\\`b", 64)
    assert pieces == ["a" * 63, "\\`b"]


def test_indentation_of_a_list_survives_a_cut() -> None:
    items = "\n".join(f"  - item number {number} of the list" for number in range(20))
    for piece in split(items, 100):
        assert all(line.startswith("  - ") for line in piece.split("\n"))


def test_blank_text_makes_no_message() -> None:
    assert split(" \n\n ") == []


def test_emoji_count_twice() -> None:
    assert [len(piece) for piece in split("😀" * 1500)] == [1000, 500]


def test_growing_text_is_cut_after_a_word() -> None:
    assert streaming_cut("Hel") == "Hel"
    assert streaming_cut("Hello wor") == "Hello"
    assert streaming_cut("Hello world. The") == "Hello world."
    assert streaming_cut("Hello world ") == "Hello world"
    assert streaming_cut("see **bo") == "see"


def test_growing_code_is_shown_closed() -> None:
    assert streaming_cut("Look:\n```python\nprint(") == "Look:\n```python\nprint(\n```"
    assert streaming_cut("Look:\n```pyth") == "Look:"
    assert streaming_cut("```") == ""
