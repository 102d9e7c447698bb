"""The tokeniser loses nothing, and a conversation's beginning keeps its tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.lmstudio.prompt import render
from sandbox.lmstudio.tokens import common_prefix, tokenize

TURNS = st.lists(st.text(max_size=40), min_size=1, max_size=6)


def messages(texts: list[str]) -> list[dict[str, str]]:
    return [
        {"role": "assistant" if at % 2 else "user", "content": text}
        for at, text in enumerate(texts)
    ]


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text
    assert all(tokenize(text))


@given(TURNS, TURNS)
def test_an_appended_turn_leaves_the_beginning_alone(before: list[str], after: list[str]) -> None:
    shorter, longer = render(messages(before)), render(messages(before + after))
    assert common_prefix(shorter, longer) >= len(shorter) - 2


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_the_common_prefix_is_common_and_longest(left: list[str], right: list[str]) -> None:
    count = common_prefix(left, right)
    assert left[:count] == right[:count]
    assert left[count : count + 1] != right[count : count + 1] or not left[count:]
