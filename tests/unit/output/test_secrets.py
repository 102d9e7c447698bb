"""Secrets: by value, in every spelling, and by shape; shown to the eye never more than a stub."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from bot.core.domain import FinishReason
from bot.output.pipeline import OutputPolicy, SecretGuard, make_harmless
from tests.unit.output.helpers import GUARD, HOST, KEY, TOKEN, pipeline, versions

FOREIGN = "OTk5NDU2Nzg5MDEyMzQ1Njc4.XyZ123.zyxwvutsrqponmlkjihgfedcba9876"
WEBHOOK = "123456789012345678/" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7" * 2


def spellings(value: str) -> list[str]:
    data = value.encode()
    return [
        value,
        value[::-1],
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(b"x" + data).decode(),
        data.hex(),
        data.hex().upper(),
        "".join(f"%{byte:02X}" for byte in data),
        quote(value, safe=""),
    ]


def longest_piece(secret: str, text: str) -> int:
    """Return the length of the longest piece of the secret in the text."""
    best = 0
    for start in range(len(secret)):
        while secret[start : start + best + 1] in text and start + best < len(secret):
            best += 1
    return best


def test_what_is_learned_later_is_hidden_like_what_was_known_from_the_start() -> None:
    guard = SecretGuard([KEY])
    raw = f"It is {HOST} or {KEY}."
    assert HOST in make_harmless(raw, policy=OutputPolicy(), secrets=guard)
    guard.learn([HOST])
    shown = make_harmless(raw, policy=OutputPolicy(), secrets=guard)
    assert HOST not in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    "secret", [form for value in (TOKEN, KEY, HOST) for form in spellings(value)]
)
def test_no_version_shows_eight_characters_of_a_secret(secret: str) -> None:
    raw = f"It is {secret}, keep it."
    for pieces in ([raw], list(raw), *([raw[:n], raw[n:]] for n in range(7, len(raw), 5))):
        for text in versions(pipeline(), pieces):
            assert longest_piece(secret, text) < 8, text
        assert text.endswith("[hidden], keep it.") or "[hidden]" in text


@pytest.mark.parametrize(
    ("raw", "secret"),
    [
        (FOREIGN, FOREIGN),
        (f"https://discord.com/api/webhooks/{WEBHOOK}", WEBHOOK),
        (f"https://discordapp.com/api/v10/webhooks/{WEBHOOK}", WEBHOOK),
        ("sk-lm-Qq11Ww22:Ee33Rr44Tt55Yy66Uu77", "Qq11Ww22:Ee33Rr44Tt55Yy66Uu77"),
    ],
)
def test_strangers_tokens_are_known_by_their_shape(raw: str, secret: str) -> None:
    for pieces in ([raw], list(f"{raw} ok")):
        for text in versions(pipeline(guard=SecretGuard()), pieces):
            assert longest_piece(secret, text) < 8


def test_a_secret_that_is_cut_off_or_broken_is_hidden_too() -> None:
    for raw in (TOKEN[:30], f"first {TOKEN[:35]} then {TOKEN[35:]}", TOKEN[10:50]):
        for text in versions(pipeline(), list(raw), FinishReason.LENGTH):
            assert longest_piece(TOKEN, text) < 8


def test_a_strangers_token_that_is_cut_off_is_hidden() -> None:
    for raw in (FOREIGN[:45], f"https://discord.com/api/webhooks/{WEBHOOK[:40]}"):
        text = versions(pipeline(guard=SecretGuard()), list(raw), FinishReason.LENGTH)[-1]
        assert text.endswith("[hidden]")


def test_a_secret_with_invisible_characters_in_it_is_hidden() -> None:
    assert longest_piece(TOKEN, versions(pipeline(), ["\u200b".join(TOKEN)])[-1]) < 8


def test_a_secret_split_by_thinking_is_hidden() -> None:
    raw = f"It is {TOKEN[:20]}<think>x</think>{TOKEN[20:]}"
    assert longest_piece(TOKEN, versions(pipeline(), [raw])[-1]) < 8


def test_other_addresses_and_words_stay() -> None:
    text = "Ping 192.168.0.1, 192.168.178.51 or 10.0.0.1. MTI is no token; disc, discord, sk-lm."
    assert make_harmless(text, policy=OutputPolicy(), secrets=GUARD) == text


def test_thinking_hides_secrets_as_well() -> None:
    target = pipeline()
    versions(target, [f"<think>{TOKEN}</think>ok"])
    assert longest_piece(TOKEN, target.thinking) < 8


def test_short_values_are_no_secrets() -> None:
    assert SecretGuard(["", "nas", " pc "]).values == ()
