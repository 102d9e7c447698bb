"""Laying text out for Discord loses no word, whatever it is cut into."""

from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.domain import FinishReason, TextDelta
from bot.output.layout import DiscordLayout
from tests.unit.output.helpers import pipeline

MARKUP = (
    *("\nx | y\n---|---\n", "\n--|--\n", "x | "),
    *("\n", "\n\n", " ", " | ", "| ", " |\n", "|---|\n", "\n| a | b |\n|---|:-:|\n", "> ", "- "),
    *("#### ", "##### ", "# ", "\\(", "\\)", "\\[", "\\]", "$$", "$", "^2", "\\alpha ", "{", "}"),
    *(
        "```\n",
        "````md\n",
        "\n````\n",
        "\n~~~\n",
        "\n> ~~~ py\n",
        "`",
        "``",
        "```",
        "**",
        "~~",
        "中文 ",
        "\\|",
        "<br>",
    ),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return markup between words, no two words alike."""
    pieces = draw(st.lists(st.sampled_from(MARKUP), max_size=30))
    return "".join(f"{piece}wd{number}wd" for number, piece in enumerate(pieces))


def laid_out(pieces: list[str]) -> str:
    layout = DiscordLayout()
    return "".join(layout.feed(piece) for piece in pieces) + layout.feed("", ended=True)


@settings(max_examples=300)
@given(texts(), st.data())
def test_every_word_comes_through_in_order_however_the_text_is_cut(
    text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=20)))
    edges = [0, *cuts, len(text)]
    shown = laid_out([text[a:b] for a, b in itertools.pairwise(edges)])
    assert shown == laid_out([text])
    words = re.findall(r"wd\d+wd", text)
    seen = re.findall(r"wd\d+wd", shown)
    assert [word for word in dict.fromkeys(seen) if word in set(words)] == words


@settings(max_examples=100)
@given(texts())
def test_every_word_comes_through_the_whole_pipeline(text: str) -> None:
    target = pipeline()
    for char in text:
        target.feed(TextDelta(char))
    target.close(FinishReason.STOP)
    assert set(re.findall(r"wd\d+wd", text)) <= set(re.findall(r"wd\d+wd", target.text))
