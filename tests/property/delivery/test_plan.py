"""Final texts: within limits, with their quiet lines, and back from storage as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.delivery import parts_of, plan_chunks, quiet_lines, without_file
from bot.delivery.splitter import units

_WORDS = st.sampled_from(["word ", "longer-word ", "\n\n", "日本語 ", "😀 ", "```py\n", "\n```\n"])
_TEXTS = st.tuples(st.lists(_WORDS, max_size=60), st.integers(1, 200)).map(
    lambda parts: "".join(parts[0]) * parts[1]
)
_LINES = st.lists(st.text(max_size=300), max_size=4)


@given(_TEXTS, _LINES, st.integers(1, 20))
def test_every_message_fits_and_says_something(
    text: str, lines: list[str], max_messages: int
) -> None:
    parts = parts_of(plan_chunks(text, lines, max_messages=max_messages))
    assert all(part.content.strip() for part in parts)
    assert all(units(part.content) <= 2000 for part in parts)


@given(_TEXTS, _LINES, st.integers(1, 20))
def test_a_file_holds_the_whole_answer(text: str, lines: list[str], max_messages: int) -> None:
    chunks = plan_chunks(text, lines, max_messages=max_messages)
    file = parts_of(chunks)[-1].file
    if file is not None:
        assert file.content == text
        assert len(parts_of(chunks)) <= max(2, max_messages)
        whole = " ".join(part.content for part in without_file(chunks))
        assert whole.count("word") >= text.count("word")
    assert all(part.file is None for part in without_file(chunks))


@given(_TEXTS, _LINES)
def test_quiet_lines_stand_last(text: str, lines: list[str]) -> None:
    own_lines = quiet_lines(lines)
    assert all(line.startswith("-# ") for line in own_lines.split("\n") if line)
    assert parts_of(plan_chunks(text, lines, max_messages=20))[-1].content.endswith(own_lines)
