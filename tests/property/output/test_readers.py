"""Nothing that the sanitiser lets through is live in any plausible reading of Markdown."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core.domain import FinishReason, TextDelta
from bot.delivery.splitter import split, streaming_cut
from bot.output.pipeline import OutputPolicy, make_harmless
from tests.support.markdown_readers import READERS
from tests.unit.output.helpers import GUARD, pipeline

LIVE = (
    "[Claim](https://evil.example)",
    "@everyone",
    "<@123456789>",
    "discord.gg/abc",
    "](https://e.e)",
    "[a](<https://e.e>)",
    "@every[one](https://e.e)",
    "@h<tel:ere>",
    "<id:ho[me>](https://e.e)",
    "</as[k:1>](https://e.e)",
)
FRAMES = (
    "`",
    "``",
    "```",
    "```py\n",
    "\n```\n",
    "**",
    "__",
    "||",
    "~~",
    "*",
    "_",
    "[",
    "]",
    "(",
    ")",
)
LINES = (
    "\n",
    "\n\n",
    "> ",
    ">>> ",
    "- ",
    "1. ",
    "# ",
    "#\n",
    "-# ",
    "#### ",
    "  ",
    "| a | b |\n",
    "|---|---|\n",
)
PLAIN = (
    "a",
    "word ",
    " ",
    "\\",
    "\\\n",
    "https://a.example/",
    "https://a.example/x_(y)",
    "<",
    "!",
    "\\(",
    "\\)",
    "$$",
    "~~~\n",
    "````",
)
TEXTS = st.lists(
    st.sampled_from([*LIVE, *LIVE, *FRAMES, *FRAMES, *LINES, *PLAIN]), max_size=24
).map("".join)


def _assert_harmless(shown: str) -> None:
    for reader in READERS:
        assert reader.live(shown) == [], (shown, reader)


@settings(max_examples=400)
@given(TEXTS)
@example("**`a** [Claim](https://evil.example) `b`")
@example("__```[Claim](https://evil.example)_")
@example("[]```](https://e.e)")
@example("#\n```\n@everyone\n```")
@example("-# \n\n```\n[Claim](https://evil.example)\n```\n```\n@here\n```")
@example("> `a\n> [a](\n> <https://e.e>) b`")
@example("1. ~~\n>>> ~~\n```\n@here~~\n```")
@example("`A_B\n` x\n```\n<@1>_ x\n```")
@example("<:a:1>" * 200 + "@every<:a:1>one")
@example("```py\n```@everyone```[Claim](https://evil.example)")
@example("> ```\n[Claim](https://evil.example)\n```")
@example("*!***a @here**```**~~[Claim](https://evil.example)\n```~~")
def test_no_reader_finds_anything_live(text: str) -> None:
    _assert_harmless(make_harmless(text, policy=OutputPolicy(), secrets=GUARD))


CODED = "``look at this: [Claim](https://evil.example) of mine``"


@settings(max_examples=100)
@given(TEXTS, st.integers(64, 120), st.sets(st.integers(1, 300), max_size=6))
@example(f"Read {CODED} too", 64, {10 + len(CODED), 12 + len(CODED)})
@example(f"{'word ' * 6}{CODED}", 64, set())
@example("`a``b @everyone and so on`c", 64, {26, 27})
@example("\\```$$@here___## discord.com/invite/abc``**[a [b]", 64, {45, 46, 50})
def test_no_reader_finds_anything_live_in_any_message_at_any_moment(
    text: str, limit: int, moments: set[int]
) -> None:
    target = pipeline()
    for number, char in enumerate(text, 1):
        target.feed(TextDelta(char))
        if number in {*moments, len(text)}:
            for piece in split(streaming_cut(target.text_so_far), limit):
                _assert_harmless(piece)
    target.close(FinishReason.STOP)
    for piece in split(target.text, limit):
        _assert_harmless(piece)
