"""Discord's Markdown, as a terminal shows it."""

from __future__ import annotations

import pytest
from prompt_toolkit.formatted_text import fragment_list_to_text

from bot.demo.terminal.markdown import drawn, wrapped

NOW = 1_700_000_000
NAMES = {("@", 123): "Ada", ("#", 5): "general", ("@&", 7): "Mods"}


def name_of(kind: str, target: int) -> str | None:
    return NAMES.get((kind, target))


def shown(source: str, width: int = 40) -> list[str]:
    rows = [row for line in drawn(source, name_of, NOW) for row in wrapped(line, width)]
    return [fragment_list_to_text(row).rstrip() for row in rows]


def styles(source: str) -> dict[str, str]:
    """Return the style of each piece of text."""
    parts = [part for line in drawn(source, name_of, NOW) for part in line.text]
    return {part[1]: " ".join(sorted(set(part[0].split()))) for part in parts if part[1].strip()}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<@123> and <@!123>, <#5>, <@&7>", "@Ada and @Ada, #general, @Mods"),
        ("<@999>", "@unknown"),
        (
            f"<t:{NOW - 180}:R>, <t:{NOW + 1}:R>, <t:{NOW}:R>",
            "3 minutes ago, in 1 second, 0 seconds ago",
        ),
        ("<t:999999999999>", "a time out of range"),
        ("</config set:12> <:smile:34> <a:wave:56>", "/config set :smile: :wave:"),
        ("`<@123> **x**`", "<@123> **x**"),
        (r"\*not\* \<@123>", "*not* <@123>"),
        ("foo__init__bar 2 * 3 * 4", "foo__init__bar 2 * 3 * 4"),
        ("[here](https://a.b/c)", "here (https://a.b/c)"),
        ("<https://a.b/c>", "https://a.b/c"),
        ("&amp; <b>", "&amp; <b>"),
        ("  indented", "  indented"),
        ("#no heading", "#no heading"),
        ("-# small", "small"),
        ("## Head", "Head"),
        ("- one", "• one"),
        ("  - two", "  • two"),
        ("12. twelve", "12. twelve"),
        ("> quoted **x**", "▎ quoted x"),
        ("a ``` b", "a ``` b"),
    ],
)
def test_a_line_is_shown_as_discord_means_it(source: str, text: str) -> None:
    assert shown(source, 80) == [text]


@pytest.mark.parametrize(
    ("source", "words", "style"),
    [
        ("**x**", "x", "bold"),
        ("*x*", "x", "italic"),
        ("_x_", "x", "italic"),
        ("__x__", "x", "underline"),
        ("~~x~~", "x", "strike"),
        ("***x***", "x", "bold italic"),
        ("`x`", "x", "class:code"),
        ("||x||", "x", "class:spoiler"),
        ("||**x**||", "x", "bold class:spoiler"),
        ("a||x", "x", ""),
        ("-# x", "x", "class:small"),
        ("# x", "x", "bold underline"),
        ("**x\ny**", "y", "bold"),
    ],
)
def test_a_style_is_shown(source: str, words: str, style: str) -> None:
    found = {text: each for whole, each in styles(source).items() for text in (whole, whole[-1])}
    assert found[words] == style


def test_a_code_block_keeps_its_lines_and_is_highlighted() -> None:
    source = "See:\n```py\ndef f():\n\n    return '**'\n```\nThat's it."
    assert shown(source) == ["See:", "    def f():", "", "        return '**'", "That's it."]
    assert styles(source)["def"] == "class:pygments.keyword"


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("```x```", ["    x"]),
        ("```no-such-language\nx\n```", ["    x"]),
        ("before ```\nx\n``` after", ["before", "    x", " after"]),
        ("```\na\n```\n```\nb\n```", ["    a", "    b"]),
        ("> ```\n> a\n> ```\n> b\nc", ["▎     a", "▎ b", "c"]),
        ("```\n> no quote\n- no item\n```", ["    > no quote", "    - no item"]),
        (">>> a\nb", ["▎ a", "▎ b"]),
        ("> a\nb", ["▎ a", "b"]),
        ("a\n\n\nb", ["a", "", "", "b"]),
        ("> > a", ["▎ > a"]),
        ("**a\n- b**", ["**a", "• b**"]),
    ],
)
def test_lines_are_grouped_as_discord_does(source: str, rows: list[str]) -> None:
    assert shown(source) == rows


def test_rows_end_between_words() -> None:
    assert shown("- the quick brown fox jumps over", 16) == [
        "• the quick",
        "  brown fox",
        "  jumps over",
    ]
    assert shown("a-word-longer-than-it x", 10) == ["a-word-lon", "ger-than-i", "t x"]
    assert shown("漢字漢字漢字", 5) == ["漢字", "漢字", "漢字"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a\x1b[2Jb\x07\x9bc", r"a\x1b[2Jb\x07\x9bc"),
        ("a\rb\r\nc", "a\\rb|c"),
        ("a\tb", "a   b"),
        ("👨‍👩‍👧 👍🏽 ❤️ 1️⃣ 🇩🇪", "👨👩👧 👍 ❤ 1 DE"),
        ("a\u202eb\u200b\u00a0c\u3000d", "ab c d"),
        ("e\u0301", "e\u0301"),
    ],
)
def test_nothing_steers_the_terminal_or_has_a_doubtful_width(source: str, text: str) -> None:
    assert "|".join(shown(source)) == text
