"""The sanitiser, attack by attack, and what must survive it."""

from __future__ import annotations

import re

import pytest

from bot.output.pipeline import OutputPolicy, make_harmless
from tests.unit.output.helpers import GUARD

POLICY = OutputPolicy()


def clean(text: str, policy: OutputPolicy = POLICY) -> str:
    return make_harmless(text, policy=policy, secrets=GUARD)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@everyone", "@\u200beveryone"),
        ("hi @here!", "hi @\u200bhere!"),
        ("@\u200beveryone", "@\u200beveryone"),
        ("<@123456789012345678>", "<@\u200b123456789012345678>"),
        ("<@!12> <@&34> <#56>", "<@!\u200b12> <@&\u200b34> <#\u200b56>"),
        ("</ban:123>", "/ban"),
        ("<id:customize>", "id:customize"),
        ("<id:linked-roles:123>", "id:linked-roles:123"),
        ("see https://a.example/@everyone", "see https://a.example/@\u200beveryone"),
    ],
)
def test_mentions_are_broken_where_one_can_see_it(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[docs](https://a.example/x)", "docs (https://a.example/x)"),
        ("[https://good.example](https://evil.example)", "https://evil.example"),
        ("[good.example](https://evil.example)", "https://evil.example"),
        ("[a.example](https://a.example)", "a.example (https://a.example)"),
        ("[README.md](https://a.example/r)", "README.md (https://a.example/r)"),
        ("[.](https://a.example)", "https://a.example"),
        ("[ ](https://a.example)", "https://a.example"),
        ("[x](<https://a.example/b c>)", "x (https://a.example/b c)"),
        ('[x](https://a.example "t")', "x (https://a.example)"),
        ("[x](https://a.example/a_(b))", "x (https://a.example/a_(b))"),
        ("![cat](https://a.example/c.png)", "cat (https://a.example/c.png)"),
        ("[x](javascript:alert(1))", "x"),
        ("[x](#part)", "x"),
        ("[the guide](docs/guide.md)", "the guide (docs/guide.md)"),
        ("[`a.h`](../../src/a.h)", "`a.h` (../../src/a.h)"),
        ("[`a.md`](./a.md)", "`a.md`"),
        ("[Join](discord.gg/abc)", "Join (invite removed)"),
        ("call handlers[key](event.value) now", "call handlers[key] (event.value) now"),
        ('<img src="home.png" alt="Home">', '<img src="home.png" alt="Home">'),
        ("call handlers[key](arg) now", "call handlers[key] (arg) now"),
        ("[a text][ref]", "a text [ref]"),
        ("![a cat][ref]", "a cat [ref]"),
        ("[ref]: https://a.example", "[ref] https://a.example"),
        ("[[a](http://b)](http://c)", "[a (http://b)] (http://c)"),
        ("a](http://c)", "a] (http://c)"),
        ("<img src='https://a.example/i' alt=\"i\">", "i (https://a.example/i)"),
        ("<https://a.example>", "<https://a.example>"),
        ("<tel:+4912> <mailto:a@b.example>", "+4912 a@b.example"),
        ("steam://run/1 file:///etc", "steam: //run/1 file: ///etc"),
        ("psql postgresql://u@db.example:5432/app", "psql postgresql://u@db.example:5432/app"),
        (
            "wss://a.example/s, mongodb+srv://b.example",
            "wss://a.example/s, mongodb+srv://b.example",
        ),
        ("<ftp://a.example> <ssh://b.example>", "<ftp: //a.example> <ssh: //b.example>"),
        ("[`build.target`](https://a.example/x)", "`build.target` (https://a.example/x)"),
        ("[`good.com`](https://evil.example)", "https://evil.example"),
        ("[OPTIONS][FILE] [ADDRESS][:PORT]", "[OPTIONS][FILE] [ADDRESS][:PORT]"),
        ("See [the guide][], [the list][1].", "See the guide, the list [1]."),
        ("[some words][]more", "some words more"),
    ],
)
def test_links_say_where_they_lead(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<[@123](x:)>",
        "@[everyone](x:)",
        "<<tel:@123>>",
        "<<id:home>>",
        "<</x:1>:2>",
        "-[# small](x:)",
        "-#[](x:) small",
        "discord.gg/[abc](x:)",
        "[a[b](https://c.example)](https://d.example)",
        "@every[one](https://c.example)",
        "@h<tel:ere>",
        "<id:ho[me>](x:)",
        "</[x:2>](https://c.example)",
        "</a[x:2>](https://c.example)",
        "</a [x:2>](https://c.example)",
        "<:a:1>" * 200 + "@every<:a:1>one",
    ],
)
def test_taking_markup_apart_makes_no_other_markup_live(text: str) -> None:
    shown = clean(text)
    for live in ("<@1", "@everyone", "@here", "<id:home>", "</x:2>", "-# ", "](", "gg/abc"):
        assert live not in shown
    assert re.search(r"</[\w\- ]+:2>", shown) is None


INVITES = (
    "discord.gg/abc",
    "DISCORD.GG/ABC",
    "https://discord.gg/abc",
    "http://www.discord.gg/abc",
    "https://discord.com/invite/abc",
    "https://discordapp.com/invite/abc",
    "https://ptb.discord.com/invite/abc",
    "discord.com/invite/abc",
    "discordapp.com/invite/abc",
    "discord.io/abc",
    "discord.me/abc",
    "discord.li/abc",
    "dsc.gg/abc",
    "invite.gg/abc",
    ".gg/abc",
    "discord%2Egg/abc",
    "discord.gg%2Fabc",
    "discord%252Egg/abc",
    "dis%63ord.gg/abc",
    "https://discord.gg%2Fabc",
    "dis\\cord.gg/abc",
    "discord\\.gg/abc",
    "discord.gg\\/abc",
    "discord\\.gg\\/abc",
    "dis\u200bcord.gg/abc",
    "discord.\u2060gg/abc",
    "discord.gg\u00ad/abc",
    "ｄiscord.gg/abc",
    "ｄｉｓｃｏｒｄ．ｇｇ／ａｂｃ",
    "https://ⓓiscord.gg/abc",
    "https://𝐝𝐢𝐬𝐜𝐨𝐫𝐝.gg/abc",
    "discord。gg/abc",
    "discord,gg/abc",
    "discord[.]gg/abc",
    "discord(dot)gg/abc",
    "discord dot gg/abc",
    "discord.gg//abc",
    "<https://discord.gg/abc>",
    "[join](https://discord.gg/abc)",
    "![join](https://discord.com/invite/abc)",
    "https://discord.com//invite/abc",
    "https://discord.com/./invite/abc",
    "https://discord.com/blog/../invite/abc",
    "https://discord.com.:443/invite/abc",
    "https://discord.gg./abc",
    "https://discord.gg:443/abc",
    "https://discord.gg:/abc",
    "https://discord.com.:/invite/abc",
    "%1discord.gg/abc",
    "https://discord.gg\\abc",
    "https://discord.com\\invite\\abc",
)


@pytest.mark.parametrize("invite", INVITES)
def test_no_invite_survives_in_any_spelling(invite: str) -> None:
    text = clean(f"Join {invite} now")
    assert "abc" not in text.lower()
    assert "ａｂｃ" not in text
    assert "(invite removed)" in text
    assert text.startswith("Join ")
    assert text.endswith(" now")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://discord.gg/abc", "(invite removed)"),
        ("Join https://discord.gg/abc now", "Join (invite removed) now"),
        ("Join:HTTP://DISCORD.GG/abc", "Join: (invite removed)"),
        ("(https://discord.com/invite/abc)", "((invite removed))"),
        ("<https://discord.gg/abc>", "<(invite removed)>"),
    ],
)
def test_an_invite_goes_with_its_scheme(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_invites_stay_where_the_policy_allows_them() -> None:
    policy = OutputPolicy(allow_invites=True)
    text = "Join https://discord.gg/abc or discord.com/invite/abc"
    assert clean(text, policy) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\u202eb\u2066c\u200f", "abc"),
        ("one\rtwo\r\nthree", "one\ntwo\nthree"),
        ("a\u200bb\ufeffc\u2060d", "abcd"),
        ("a\U000e0041\U000e0042b", "ab"),
        ("a\u3164\u115f\uffa0b", "ab"),
        ("a\ufe0fb\u200dc\U000e0100", "abc"),
        ("z\u0301\u0302\u0303\u0304\u0305", "z\u0301\u0302"),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "😀"),
        ("\x1b[31mred\x1b[0m \x1b]8;;http://x\x1b\\y\x9b1m", "red y"),
        ("a\x00b\x07c\x7f\x85d", "abc\nd"),
        ("a\r\nb", "a\nb"),
        ("```ansi\nx\n```", "```text\nx\n```"),
        ("-# small print", "small print"),
        ("text\n> -# -# small", "text\n> small"),
    ],
)
def test_misleading_characters_go(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "👩‍💻 👨‍👩‍👧‍👦 🇩🇪 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👍🏽 ❤️ 1️⃣ #️⃣ 🏳️‍🌈 ☺︎",
        "می‌خواهم کتاب‌ها را بخوانم. שָׁלוֹם עוֹלָם! مَرْحَبًا",
        "क्‍ष नमस्ते தமிழ் ภาษาไทย 한국어 日本語。葛󠄀城",
        "Café naïve é ä́ tiếng Việt",
        "```python\nx = [1](2)\nprint('@everyone', a[0](b), '<@123>')\n```",
        "`[a](https://b.example)` and `` `x` @here ``",
        "# Title\n## Sub\n- [ ] todo\n- [x] done\n1. one\n> quote\n||spoiler|| ~~s~~ __u__",
        "a[0][1], f(x)[i] (y); x^2 \\frac{a}{b} 50% and/or :/ 2 < 3 > 1",
        "<t:1700000000:R> <:name:123456789012345678> <a:x:123456789012345678> </div> <b>b</b>",
        "https://example.com/a_(b)?c=%20d&e=[f]#g and http://[::1]:8080/",
        "discord is fine. Discord. gg was said; discord.com/developers too, www.discord.com",
        "mail a@b.example, 10:30, key: value, C:\\dir\\file",
    ],
)
def test_honest_text_survives_untouched(text: str) -> None:
    assert clean(text) == text


def test_an_open_fence_is_closed() -> None:
    assert clean("```py\nx = 1") == "```py\nx = 1\n```"
    assert clean("````md\n```x\n````") == "```md\n`` `x\n```"


def test_code_that_discord_would_not_take_for_code_is_treated_as_text() -> None:
    assert "](" not in clean("`open [x](https://evil.example)")
    assert "](" not in clean("```\n``` a ``` b ``` [x](https://evil.example)")
    assert "](" not in clean("\\`[x](https://evil.example)`")
    assert "](" not in clean("`a\nb` [x](https://evil.example) `c`")


def test_emoji_beyond_the_cap_are_left_out() -> None:
    assert clean("😀" * 9 + "end", OutputPolicy(max_emoji=4)) == "😀😀😀😀end"
    assert clean("<:x:1>" * 5 + "end", OutputPolicy(max_emoji=2)) == "<:x:1><:x:1>end"


def test_the_cap_never_cuts_a_cluster() -> None:
    assert clean("abc👍🏽", OutputPolicy(max_chars=4)) == "abc"
    assert clean("abce\u0301", OutputPolicy(max_chars=4)) == "abc"


@pytest.mark.parametrize(
    "text",
    [
        "https://discord.gift/abc",
        "discord.new/abc",
        "https://top.gg/bot/1",
        "discord.com/channels/1",
    ],
)
def test_a_gift_a_template_and_a_list_of_servers_are_no_invites(text: str) -> None:
    assert clean(text) == text
