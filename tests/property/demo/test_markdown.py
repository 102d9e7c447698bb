"""Whatever is drawn fits the terminal and can't steer it."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.utils import get_cwidth

from bot.demo.terminal.markdown import drawn, wrapped

MARKUP = st.lists(
    st.sampled_from(
        [
            *(
                "**",
                "__",
                "*",
                "_",
                "~~",
                "||",
                "`",
                "```",
                "```py\n",
                "\n",
                "\n\n",
                "> ",
                ">>> ",
                "- ",
            ),
            *(
                "# ",
                "-# ",
                "1. ",
                "<@1>",
                "<t:1:R>",
                "<t:99999999999>",
                "[a](http://b)",
                "\\",
                " ",
                "    ",
            ),
            *(
                "word",
                "漢字",
                "👨‍👩‍👧",
                "é",
                "\x1b[2J",
                "\x9b",
                "\r",
                "\u202e",
                "averyveryverylongword",
            ),
        ]
    )
).map("".join)
TEXTS = st.text(max_size=200) | MARKUP


def rows_of(source: str, width: int) -> list[str]:
    lines = drawn(source, lambda _kind, _id: "A\x1b name", 0.0)
    return [fragment_list_to_text(row) for line in lines for row in wrapped(line, width)]


@given(TEXTS, st.integers(20, 100))
@example("> " * 30 + "x", 20)
def test_each_row_fits_and_holds_no_control_characters(source: str, width: int) -> None:
    for row in rows_of(source, width):
        assert get_cwidth(row.rstrip()) <= width
        assert not [ch for ch in row if unicodedata.category(ch) in {"Cc", "Cf", "Zl", "Zp"}]


@given(
    st.lists(st.text("abc漢字", min_size=1, max_size=12), min_size=1, max_size=30),
    st.integers(24, 60),
)
def test_no_word_is_broken_or_lost(words: list[str], width: int) -> None:
    rows = rows_of(" ".join(words), width)
    narrow = [word for word in words if word.isascii()]
    found = [part for row in rows for part in row.split()]
    assert "".join(found) == "".join(words)
    assert all(word in found for word in narrow)
