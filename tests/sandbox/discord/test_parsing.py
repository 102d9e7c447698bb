"""Mentions, links, lengths and snowflakes, over arbitrary text."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sandbox.discord import DiscordSandbox
from sandbox.discord.checks.form import utf16_len
from sandbox.discord.state.mentions import parse_mentions
from sandbox.discord.values.content import AllowedMentions
from sandbox.discord.values.markup import links, without_code
from sandbox.discord.values.snowflakes import Snowflakes, time_of

_WORLD = DiscordSandbox(now=lambda: 1_800_000_000.0)
_GUILD = _WORLD.add_guild("Home")
_CHANNEL = _GUILD.add_channel("general")
_ROLE = _GUILD.add_role("team", mentionable=True)
_PEOPLE = [_WORLD.add_user("Ada"), _WORLD.add_user("Bob")]
_PIECES = st.sampled_from(
    [*(person.tag for person in _PEOPLE), _ROLE.mention, "@everyone", "@here", "`", "```", "\n",
     "<@123456789012345678>", "<@&1>", "https://a.example/x", "<https://b.example>", " ", "<@", ">"]
) | st.text(max_size=4)  # fmt: skip
_TEXTS = st.lists(_PIECES, max_size=12).map("".join)


@given(_TEXTS)
def test_nothing_pings_where_nothing_is_allowed(text: str) -> None:
    rules = AllowedMentions(parse=frozenset(), replied_user=False)
    users = _WORLD.world.users
    named = parse_mentions(text, rules, _CHANNEL, _WORLD.bot_user, users)
    assert (named.users, named.roles, named.everyone) == ([], [], False)


@given(_TEXTS)
def test_mentions_name_only_what_is_there_and_outside_code(text: str) -> None:
    named = parse_mentions(text, AllowedMentions(), _CHANNEL, _WORLD.bot_user, _WORLD.world.users)
    assert set(named.users) <= {person.id for person in _PEOPLE}
    assert set(named.roles) <= {_ROLE.id}
    assert len(set(named.users)) == len(named.users)
    plain = without_code(text)
    assert all(f"<@{user_id}>" in plain for user_id in named.users)
    assert not named.everyone or "@everyone" in plain or "@here" in plain


@given(_TEXTS)
def test_links_are_addresses_outside_code(text: str) -> None:
    for url in links(text):
        assert url.startswith("https://a.example")
        assert url in without_code(text)


@given(st.text())
def test_lengths_are_those_of_utf16(text: str) -> None:
    assert utf16_len(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(st.lists(st.integers(1_500_000_000, 1_900_000_000), min_size=1))
def test_snowflakes_always_grow(times: list[int]) -> None:
    now = iter([float(each) for each in times])
    ids = Snowflakes(lambda: next(now))
    made = [ids.next() for _ in times]
    assert all(one < other for one, other in pairwise(made))
    assert time_of(made[0]) == times[0]
