"""Code that may end sooner than it seems is harmless as text, too; other code stays as it is."""

from __future__ import annotations

import pytest

from bot.delivery.splitter import split
from bot.output.pipeline import OutputPolicy, make_harmless
from tests.support.markdown_readers import READERS
from tests.unit.output.helpers import GUARD

LINK = "[Claim](https://evil.example)"
LIVE = (LINK, "@everyone", "<@123456789>", "discord.gg/abc", "https://discord.gg/abc")
FRAMES = (
    "> ```\n{}\n```",
    "> ```\n> a\n{}\n> ```",
    ">>> ```\n{}\n```\n{}",
    ">>> - a\n  ```\n{}\n  ```",
    ">>> ## \n```\n{}\n```",
    "- ```\n{}\n```",
    "1. ```\n{}\n```",
    "# ```\n{}\n```",
    "-# ```\n{}\n```",
    "- a\n  ```\n{}\n  ```",
    "**`a** {} `b`",
    "**`a** {} `b",
    "||`a|| {} `b`",
    "~~`a~~ {} `b`",
    "__`a__ {} `b`",
    "*`a* {} `b`",
    "_`a_ {} `b`",
    "**```\na**\n{}\n```",
    "||```\na||\n{}\n```",
    "a_b ```\n{} c_ \n```",
    "# `a\n{}`",
    "- `a\n{}`",
    "> `a\n{}`",
    "`a\nb` x `{}`",
    "[x `]({}) `",
    "https://a.example/` {} `",
    "`` `a {} ``",
    "***`a*** {} `b`",
    "**__`a** {} `b__`",
    "`a\n\n{}`",
    "``` a\n``` {} ```b```",
    "\\\n# ```\n{}\n```",
    "\\\n> ```\n{}\n```",
    "<```[a](<https://a.example>){}\n```",
    "<\n\n```\n[a](<https://a.example>)\n{}\n```",
    "****> ```{}**\n```",
    "a ~~~~>```\n~~{}\n```",
    "||||x ```\n||{}\n```",
    "https://a.example/x_(y) _\n\n```\nx_(y) {}\n```",
)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("live", LIVE)
def test_what_two_readers_read_differently_is_harmless_for_both(frame: str, live: str) -> None:
    shown = make_harmless(frame.replace("{}", live), policy=OutputPolicy(), secrets=GUARD)
    for reader in READERS:
        assert reader.live(shown) == [], (shown, reader)


@pytest.mark.parametrize("mark", ["**", "__", "||", "~~", "*", "_"])
@pytest.mark.parametrize("words", ["word " * 300, "word " * 70 + "\n" + "word " * 10])
def test_code_behind_emphasis_that_two_messages_share_is_harmless_in_the_second(
    mark: str, words: str
) -> None:
    text = f"{'word ' * 370}{mark}{words}end{mark} ```\n{mark} {LINK}\n``` {mark}z"
    shown = make_harmless(text, policy=OutputPolicy(), secrets=GUARD)
    for piece in split(shown):
        for reader in READERS:
            assert reader.live(piece) == [], (piece[-90:], reader)


@pytest.mark.parametrize(
    "text",
    [
        f"Write `{LINK}` for a link.",
        f"**Links**: write `{LINK}`, and *mentions* `@everyone`.",
        f"**Links** and ||more||:\n```md\n**bold** {LINK}\n```\n" * 9 + "end",
        f"- Links: `{LINK}`\n- Mentions: `<@123456789>`",
        f"> a quote with `{LINK}`\n\nand more",
        f"# Links\n\n```md\n{LINK} @everyone discord.gg/abc\n```\n\nDone.",
        f"snake_case, 2 * 3, and ||spoilers||:\n```md\n**bold** {LINK}\n```",
        f"snake_case and 2 ** 3:\n```md\n{LINK} and snake_case\n```\nend",
        "- step\n  ```js\n  a[0](b); x = `${y}`;\n\n  f(@there)\n  ```\nend",
        f"a < b, a<b, __init__ and ________:\n```md\n{LINK} and <b> **c**\n```\nend",
        f"See https://a.example/Foo_(bar):\n```md\n{LINK} and a_b\n```\nend",
        "1. Run:\n   ```bash\n   curl https://a.example | sh\n   ```\n2. Done",
    ],
)
def test_code_that_everybody_reads_as_code_stays_as_it_is(text: str) -> None:
    assert make_harmless(text, policy=OutputPolicy(), secrets=GUARD) == text


def test_doubtful_code_keeps_every_word_but_invites() -> None:
    text = f"> ```\n{LINK} a[0](b) @everyone x\n```"
    shown = make_harmless(text, policy=OutputPolicy(), secrets=GUARD)
    expected = "> ```\n[Claim] (https://evil.example) a[0](b) @\u200beveryone x\n```"
    assert shown == expected
