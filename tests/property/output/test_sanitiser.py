"""What holds for every text, however strange and however cut."""

from __future__ import annotations

import itertools
import re
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.domain import FinishReason, TextDelta
from bot.output.pipeline import OutputPolicy, SecretGuard, make_harmless
from bot.output.sanitise.sanitiser import DENIED_CLASS, Sanitiser
from tests.unit.output.helpers import GUARD, KEY, TOKEN, pipeline
from tests.unit.output.test_secrets import longest_piece, spellings

EMOJI = ("😀", "👩‍💻", "👨‍👩‍👧‍👦", "🇩🇪", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👍🏽", "❤️", "1️⃣", "🏳️‍🌈")
PIECES = (
    *EMOJI,
    *("@everyone", "@here", "@", "<@123456789>", "<@&1>", "<#2>", "</x:1>", "<id:home>", "<", ">"),
    *("[@1](x:)", "[everyone](x:)", "[# x](x:)", "[](x:)", "<tel:@12>", "&", "-", "#"),
    *("[", "]", "(", ")", "](", "![", "[a](https://b.example)", "[a][b]", "[a]: https://b.example"),
    *(
        "https://",
        "http://a.example/",
        "steam://",
        "discord.gg/abc",
        "discord",
        ".gg",
        "/abc",
        "%2E",
    ),
    *(
        "`",
        "``",
        "```",
        "```ansi\n",
        "\n",
        "\n```\n",
        "\\",
        "\\`",
        "-# ",
        "- ",
        "> ",
        "!",
        ":",
        "/",
    ),
    *(
        "\x1b[31m",
        "\x1b]0;",
        "\x07",
        "\x00",
        "\u202e",
        "\u200b",
        "\u200d",
        "\ufe0f",
        "\u0301",
        "\ud83d",
    ),
    *("\ude00", "\U000e0041", "\u3164", "क्‍ष", "می‌خواهم", "שָׁלוֹם", "巴黎", " ", "word", "Zoë"),
)
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=14).map("".join),
    st.text(max_size=60),
    st.text(st.characters(), max_size=60),
)
DENIED = re.compile(f"[{DENIED_CLASS}]")
CODE = re.compile(r"\\[`\\]|```.*?```|(`{1,2})(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
POLICY = OutputPolicy()


def clean(text: str) -> str:
    return make_harmless(text, policy=POLICY, secrets=GUARD)


@given(TEXTS)
def test_nothing_denied_comes_through(text: str) -> None:
    shown = clean(text)
    shown.encode("utf-8")
    left = {char for char in DENIED.findall(shown) if char != "\u200b"}
    assert not left
    assert not re.search(r"(?<![@#!&])\u200b", shown)
    assert not re.search(r"[\u0300-\u036f]{3}", shown)
    assert not re.search(r"[\ud800-\udfff]", shown)


@given(TEXTS)
@example("[a]: https://b.example\\`[# x](x:)\\`")
def test_no_live_markup_comes_through_outside_code(text: str) -> None:
    shown = re.sub(r"https?://\S*", "x", CODE.sub("x", clean(text)))
    assert not re.search(r"@(everyone|here)|<@[!&]?\d|<#\d|</[\w\- ]+:\d+>|<id:\w", shown)
    assert "](" not in shown
    assert not re.search(r"(?<![A-Za-z])(?!https?:)[A-Za-z][A-Za-z0-9+.\-]*://", shown)
    assert not re.search(r"discord\.gg/\w", shown)
    assert not re.search(r"^[ \t>]*-# ", shown, re.MULTILINE)


@given(TEXTS)
@example("</abc[@1](x:)")
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


@given(TEXTS, st.data())
def test_pieces_give_what_the_whole_gives_and_only_ever_grow(
    text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=len(text) + 1)))
    edges = [0, *cuts, len(text)]
    sanitiser = Sanitiser(POLICY, GUARD)
    shown = "".join(
        sanitiser.feed(text[a:b]) for a, b in itertools.pairwise(edges)
    ) + sanitiser.feed("", ended=True)
    assert shown == Sanitiser(POLICY, GUARD).feed(text, ended=True)


@given(TEXTS)
def test_the_pipeline_gives_the_same_by_character_and_as_a_whole(text: str) -> None:
    whole, split = pipeline(), pipeline()
    whole.feed(TextDelta(text))
    before = ""
    for char in text:
        split.feed(TextDelta(char))
        assert split.text.startswith(before)
        before = split.text
    for target in (whole, split):
        target.close(FinishReason.STOP)
    assert split.text == whole.text
    assert split.text.startswith(before)


@given(st.lists(st.sampled_from([*EMOJI, " ", "a", "\n", "。"]), min_size=1, max_size=40))
def test_emoji_stay_whole(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert clean(text) == text.strip()


@given(
    st.text("abc XYZ.,019\n-", max_size=20),
    st.sampled_from([form for value in (TOKEN, KEY) for form in spellings(value)]),
    st.text("abc XYZ.,019\n-", max_size=20),
    st.data(),
)
def test_no_cut_shows_a_piece_of_a_secret(
    before: str, secret: str, after: str, data: st.DataObject
) -> None:
    text = before + secret + after
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=20)))
    edges = [0, *cuts, len(text)]
    target = pipeline()
    for start, end in itertools.pairwise(edges):
        target.feed(TextDelta(text[start:end]))
        assert longest_piece(secret, target.text) < 8
    target.close(FinishReason.STOP)
    assert longest_piece(secret, target.text) < 8


@given(st.text(max_size=40))
def test_plain_letters_pass_unchanged(text: str) -> None:
    letters = "".join(c for c in text if unicodedata.category(c) in {"Lu", "Ll"} and c not in "ĠĊ")
    assert make_harmless(letters, policy=POLICY, secrets=SecretGuard()) == letters
