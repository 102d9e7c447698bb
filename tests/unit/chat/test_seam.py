"""The rest of an answer joins its beginning without a word twice, however a model goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.seam import GO_ON, Seam
from bot.core.domain import ChatTurn, Role, TextDelta

CODE = (
    "Here it is:\n\n```python\nfor number in range(10):\n    print(number)\n```\nThat prints ten."
)
PROSE = "The capital of France is Paris. It lies on the Seine, and the Louvre is there."

texts = st.builds(
    lambda gaps, size: "".join(f"word{n}{gaps[n % len(gaps)]}" for n in range(size)).rstrip(),
    st.lists(st.sampled_from([" ", ", ", "\n", "\n\n", ".\n- "]), min_size=1, max_size=5),
    st.integers(2, 40),
)


def joined(raw: str, rest: str, sizes: list[int], *, expecting: bool = False) -> str:
    """Return the whole answer as it stands after the rest came in pieces of these sizes."""
    seam = Seam(raw, ["Clawd"], expect_missing_opening=expecting)
    said, at, index = seam.said, 0, 0
    while at < len(rest):
        size, was_anew = sizes[index % len(sizes)], seam.is_anew
        text = seam.take(TextDelta(rest[at : at + size])).content
        said = text if seam.is_anew and not was_anew else said + text
        at, index = at + size, index + 1
    return said + seam.finish()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_full_stop_behind_thinking_ends_the_sentence_before(size: int) -> None:
    rest = "<think>So on.</think>.\n- Bread"
    assert joined("Milk", rest, [size]) == "Milk.\n- Bread"


@given(texts, st.data(), st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_no_word_is_lost_and_none_comes_twice(
    text: str, data: st.DataObject, sizes: list[int]
) -> None:
    at = data.draw(st.integers(1, len(text)))
    said = text[:at]
    word = said.rstrip("\n .,-").rfind("word")
    line = said.rfind("\n") + 1
    how = data.draw(st.sampled_from(["rest", "start", "word", "line", "thinking"]))
    begin = {"rest": at, "start": 0, "word": max(0, word), "line": line, "thinking": at}[how]
    is_whole = said[begin:].isalnum() or how == "line"
    if how in {"word", "line"} and (at - begin < 3 or not is_whole):
        begin = at
    rest = text[begin:]
    if how == "thinking":
        rest = f"<think>I was at {said[-3:]}, so on.</think>{rest}"
    assert joined(said, rest, sizes) == text


@pytest.mark.parametrize("at", range(1, len(CODE)))
@pytest.mark.parametrize("size", [1, 7, 500])
def test_code_goes_on_in_its_block_whether_or_not_the_model_opens_it_again(
    at: int, size: int
) -> None:
    said, rest = CODE[:at], CODE[at:]
    assert joined(said, rest, [size]) == CODE
    is_inside = said.count("```") == 1 and "\n" in said[said.index("```") :]
    if is_inside and "```" in rest and not rest.startswith("`"):
        for mark in ("```", "~~~"):
            assert joined(said, f"{mark}python\n{rest}", [size]) == CODE


@pytest.mark.parametrize(
    ("said", "rest", "whole"),
    [
        ("The capital of Fra", "nce is Paris.", "The capital of France is Paris."),
        ("The capital of Fra", "France is Paris.", "The capital of France is Paris."),
        (
            "The capital of Fra",
            "The capital of France is Paris.",
            "The capital of France is Paris.",
        ),
        ("The capital of Fra", " capital of France is Paris.", "The capital of France is Paris."),
        ("It is very ve", "ry cold.", "It is very very cold."),
        ("One, two", ", three.", "One, two, three."),
        ("a", "a", "a"),
        ("It is Paris, and it is", " Paris", "It is Paris, and it is Paris"),
        ("Once", "", "Once"),
        ("Paris or Pa it is", " Pa it", "Paris or Pa it is Pa it"),
        ("The capital of Fra", "\n\nFrance is Paris.", "The capital of France is Paris."),
        ("So:\n  x-y", "x-y z", "So:\n  x-y z"),
        ("Say: well", " ~~~ so", "Say: well ~~~ so"),
        ("It says so. And", "It says so. But no.", "It says so. But no."),
        ("It says so, and", "It says so: no.", "It says so, and It says so: no."),
        ("One", "   \n\n   two", "One   \n\n   two"),
        ("Say: well abcdefghijkl", "abcdefghijkl m", "Say: well abcdefghijkl m"),
        ("Say: well xabcdefghijkl", "abcdefghijkl m", "Say: well xabcdefghijkl m"),
        ("Say: well xabcdefghijk", "abcdefghijk m", "Say: well xabcdefghijkabcdefghijk m"),
        (
            "\u5df4\u9ece\u662f\u6cd5",
            "\u56fd\u7684\u9996\u90fd",
            "\u5df4\u9ece\u662f\u6cd5\u56fd\u7684\u9996\u90fd",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_word_that_was_cut_is_whole_again(said: str, rest: str, whole: str, size: int) -> None:
    assert joined(said, rest, [size]) == whole


@pytest.mark.parametrize(
    ("said", "rest", "whole"),
    [
        ("1. One\n2. Two\n3.", "3. Three\n4. Four", "1. One\n2. Two\n3. Three\n4. Four"),
        ("1. One\n2. Two\n3.", "Three", "1. One\n2. Two\n3. Three"),
        ("1. One\n2. Two", "3. Three", "1. One\n2. Two\n3. Three"),
        ("- One\n- ", "- Two\n- Three", "- One\n- Two\n- Three"),
        ("- One\n-", "- Two", "- One\n- Two"),
        ("- **One**: a\n- **Tw", "**Two**: b", "- **One**: a\n- **Two**: b"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n|", "| 3 |", "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |"),
        ("| a |\n|---|\n| 1 |", "| 2 |", "| a |\n|---|\n| 1 |\n| 2 |"),
        ("# Fish\n\n##", "## Sharks\nBig.", "# Fish\n\n## Sharks\nBig."),
        ("Fish swim.", "## Sharks", "Fish swim.\n## Sharks"),
        ("Like this:", "```python\nx = 1\n```", "Like this:\n```python\nx = 1\n```"),
        ("Name: Max\nPort:", "Port: 22", "Name: Max\nPort: 22"),
        ("It is cold.", "Winter came.", "It is cold. Winter came."),
        ("This is a", "French word", "This is a French word"),
        ("Call `f`,", "then wait", "Call `f`, then wait"),
        ("It is cold,", "and it snows.", "It is cold, and it snows."),
        ("the capital of", "France", "the capital of France"),
        ("In the U.", "S. it is", "In the U.S. it is"),
        ("example.", "com is", "example.com is"),
        ("It costs 3.", "14 euros", "It costs 3.14 euros"),
        ("A rule: -", "--", "A rule: ---"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_no_blank_is_missing_and_no_mark_comes_twice_where_a_model_goes_on(
    said: str, rest: str, whole: str, size: int
) -> None:
    assert joined(said, rest, [size]) == whole


@pytest.mark.parametrize(
    ("said", "rest"),
    [
        ("I like C", "# is a language"),
        ("it holds if x", "> 5 and"),
        ("- It was 20", "24. The next"),
        ("1. It costs 1", "2. That"),
        ("1. It costs much", "50. That"),
        ("| Name | Age", "| City |\n|---|---|---|"),
        ("- run ps aux", "| grep foo"),
        ("- from 5", "- 10 of"),
        ("see https://example.com/search?", "q=foo"),
        ("see https://example.com/Foo.", "Html"),
        ("see https://example.com/wiki/new", "York"),
        ("in src/main/my", "Folder"),
        ("call `get", "Name()` then"),
        ("call `f(a,", "b)` then"),
        ("JavaScript is a language. Java", "Script runs"),
        ("it needs 3 k", "Wh a day"),
        ("an iPh", "One"),
        ("das ist z.", "B. so"),
        ("use std::", "String"),
        ("in .", "NET"),
        ("color: red !", "important"),
        ("a,b,", "c,d"),
        ("你好,", "世界"),
        ("今天是a", "B"),
        ("\u0441\u043b\u043e", "\u0432\u043e"),
        ("うれしい", "~~~!"),
        (r"so $f(x,", r"y)$"),
        ("say `a", "```b"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_what_broke_off_inside_a_word_an_address_code_or_a_row_stays_in_one_piece(
    said: str, rest: str, size: int
) -> None:
    assert joined(said, rest, [size]) == said + rest


def test_another_whole_answer_takes_the_place_of_the_broken_one() -> None:
    other = "The capital of Italy is Rome."
    assert joined("The capital of France is Pa", other, [4]) == other


def test_thinking_is_no_part_of_what_the_model_is_told_it_said() -> None:
    seam = Seam("<think>Hm, a capital.</think>The capital", [], expect_missing_opening=False)
    turns = seam.turns((ChatTurn(Role.USER, "Which?"),))
    assert turns == (
        ChatTurn(Role.USER, "Which?"),
        ChatTurn(Role.ASSISTANT, "The capital"),
        ChatTurn(Role.USER, GO_ON),
    )
    bare = Seam("Hm, a capital.</think>The capital", [], expect_missing_opening=True)
    assert bare.said == "The capital"


@pytest.mark.parametrize("size", [1, 5, 200])
@pytest.mark.parametrize(
    ("said", "rest", "whole"),
    [
        ("The capital of Fra", "</think>\n\nnce is Paris.", "The capital of France is Paris."),
        ("One, two,", "</think> three.", "One, two, three."),
        ("This is a", "</think>\n\nnd so on.", "This is and so on."),
        ("One, two,", "</think> th", "One, two, th"),
        ("It is so.", "</think>\n\nAnd it stays.", "It is so.\n\nAnd it stays."),
    ],
)
def test_blanks_behind_the_thinking_are_kept_where_they_separate_words(
    said: str, rest: str, whole: str, size: int
) -> None:
    assert joined(said, f"<think>Hm.{rest}", [size]) == whole


@pytest.mark.parametrize("size", [1, 5, 200])
def test_thinking_before_the_rest_is_left_out_also_without_an_opening_tag(size: int) -> None:
    rest = "Where was I? At Fra.</think>nce is Paris."
    assert joined("Hm.</think>The capital of Fra", rest, [size], expecting=True) == PROSE[:31]


@pytest.mark.parametrize("size", [1, 3, 4, 9, 500])
@pytest.mark.parametrize("mark", ["```python\n", "~~~python\n", "  ```python\n", ""])
def test_a_block_that_was_opened_far_back_is_gone_on_with(mark: str, size: int) -> None:
    said = "Here:\n\n```python\n" + "".join(f"value_{n} = {n}\n" for n in range(60))
    rest = "`quoted` = 1\nprint()\n```\nThat is all."
    assert joined(said, f"{mark}{rest}", [size]) == said + rest


@pytest.mark.parametrize(("mark", "left"), [("```", ""), ("~~~", ""), ("``", "``python\n")])
def test_a_block_is_opened_again_also_where_its_mark_comes_alone(mark: str, left: str) -> None:
    said = "Here:\n\n```python\n" + "".join(f"value_{n} = {n}\n" for n in range(60))
    seam = Seam(said, [], expect_missing_opening=False)
    pieces = [seam.take(TextDelta(each)).content for each in (mark, "python\n", "print()\n")]
    assert "".join(pieces) + seam.finish() == f"{left}print()\n"


def test_a_mark_that_closes_a_block_is_not_held_back() -> None:
    seam = Seam("Here:\n\n```python\nprint()\n", [], expect_missing_opening=False)
    pieces = [seam.take(TextDelta(each)).content for each in ("```", "\n", "That is all.")]
    assert "".join(pieces) == "```\nThat is all."
