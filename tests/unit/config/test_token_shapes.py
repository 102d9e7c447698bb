"""What people paste in the place of a bot token, and what is said of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.loader import SettingsError, load_settings
from config.token_shapes import mistaken_token, refused_token

URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("the token of step 1", "placeholder"),
        ("your-token-here", "placeholder"),
        ("YOUR_BOT_TOKEN", "placeholder"),
        ("<token>", "placeholder"),
        ("changeme", "placeholder"),
        ("abc", "three parts"),
        ("abc.def.ghi", "three parts"),
        ("your.bot.token", "placeholder"),
        ("YOUR_BOT_ID_HERE.TIME.SIGNATURE", "placeholder"),
        ("************************", "placeholder"),
        ("123456789012345678", "application's id"),
        ("0123456789abcdef" * 4, "public key"),
        ("aB3_" * 8, "client secret"),
        ("Bot abc.def.ghi", "leave that out"),
        ("bot\tabc.def.ghi", "leave that out"),
        ("Bearer abc.def.ghi", "leave that out"),
        ("Token: abc.def.ghi", "leave that out"),
        (f"{'a' * 26}.{'b' * 6}.{'c' * 38} Clawbot", "has a space in it"),
        (f"Clawbot {'a' * 26}.{'b' * 6}.{'c' * 38}", "has a space in it"),
        ("<abc.def.ghi>", "brackets around it"),
        ("“abc.def.ghi”", "quotes"),
        ("DISCORD_TOKEN=abc.def.ghi", "its own name once more"),
    ],
)
def test_what_is_no_token_is_named(pasted: str, said: str) -> None:
    problem = mistaken_token(pasted)
    assert problem is not None
    assert said in problem
    assert said in refused_token(pasted)


@given(
    st.text(URL_SAFE, min_size=23, max_size=28),
    st.text(URL_SAFE, min_size=6, max_size=7),
    st.text(URL_SAFE, min_size=27, max_size=40),
)
def test_what_has_the_form_of_a_token_is_left_to_discord(bot: str, time: str, sign: str) -> None:
    assert mistaken_token(f"{bot}.{time}.{sign}") is None


def test_a_placeholder_is_said_at_the_start_without_being_repeated() -> None:
    (warning,) = load_settings({"DISCORD_TOKEN": "put your token here"}).warnings
    assert warning.startswith("DISCORD_TOKEN: holds a placeholder")
    assert "put your token here" not in warning


@pytest.mark.parametrize("pasted", ["your-token-here", "Bot a.b.c", "123456789012345678"])
def test_what_cannot_be_a_token_ends_the_start(pasted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"DISCORD_TOKEN": pasted}, require_token=True)
    (problem,) = caught.value.problems
    assert problem.startswith("DISCORD_TOKEN: ")
    assert pasted not in problem


def test_another_discord_may_have_tokens_of_any_form() -> None:
    given_env = {"DISCORD_TOKEN": "token", "CLAWBOT_DISCORD_API_BASE": "http://127.0.0.1:1"}
    assert load_settings(given_env).warnings == ()
