"""Base URLs as people paste them, and those that are refused."""

from __future__ import annotations

import pytest

from bot.core.errors import ConfigurationError
from bot.lmstudio.transport import parse_endpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234/v1/models"),
        ("http://127.0.0.1:1234/", "http://127.0.0.1:1234/v1/models"),
        ("http://127.0.0.1:1234/v1", "http://127.0.0.1:1234/v1/models"),
        ("http://127.0.0.1:1234/v1///", "http://127.0.0.1:1234/v1/models"),
        ("http://127.0.0.1:1234/v1/v1", "http://127.0.0.1:1234/v1/models"),
        ("http://127.0.0.1:1234/api/v1", "http://127.0.0.1:1234/v1/models"),
        ("http://127.0.0.1:1234/api/v0/models", "http://127.0.0.1:1234/v1/models"),
        ("http://127.0.0.1:1234/v1/chat/completions", "http://127.0.0.1:1234/v1/models"),
        ("'http://http://127.0.0.1:1234/API/v1'", "http://127.0.0.1:1234/v1/models"),
        (":1234", "http://127.0.0.1:1234/v1/models"),
        ("lm.local", "http://lm.local:1234/v1/models"),
        (" 192.168.1.20:1234 ", "http://192.168.1.20:1234/v1/models"),
        ("lm.local:1234", "http://lm.local:1234/v1/models"),
        ("HTTP://LM.Local:1234", "http://lm.local:1234/v1/models"),
        ("https://lm.example/", "https://lm.example/v1/models"),
        ("https://lm.example/box/v1", "https://lm.example/box/v1/models"),
        ("http://[::1]:1234", "http://[::1]:1234/v1/models"),
        ("http://[::ffff:127.0.0.1]:1234", "http://127.0.0.1:1234/v1/models"),
        ("http://bücher.example:1234", "http://xn--bcher-kva.example:1234/v1/models"),
    ],
)
def test_any_spelling_leads_to_one_address(text: str, expected: str) -> None:
    url = parse_endpoint(text).url("/v1/models")
    assert f"{url.scheme}://{url.raw_authority}{url.raw_path}" == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "ws://127.0.0.1:1234",
        "gopher://127.0.0.1",
        "unix:///run/x",
        "http+unix://x",
        "javascript://x",
        "http://user:secret@127.0.0.1:1234",
        "http://user@127.0.0.1:1234",
        "http://0x7f000001:1234",
        "http://0x7f.1:1234",
        "http://127.1:1234",
        "http://2130706433:1234",
        "http://0177.0.0.1:1234",
        "http://127.0.0.1.:1234",
        "http://0:1234",
        "http://0.0.0.0:1234",
        "http://[::]:1234",
        "http://①②⑦.⓪.⓪.①:1234",
        "http://127。0。0。1:1234",
        "http://[v1.fe80::1]:1234",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:0",
        "http://127.0.0.1:1234/?x=1",
        "http://127.0.0.1:1234/#x",
        "http://a b:1234",
        "http://a\\b:1234",
        "http://a\r\nX: y:1234",
        "http://:1234",
    ],
)
def test_what_is_no_plain_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_endpoint(text)
    assert "secret" not in str(refused.value)
    assert str(refused.value).startswith("LMSTUDIO_BASE_URL ")


def test_two_spellings_are_one_endpoint() -> None:
    assert parse_endpoint("http://127.0.0.1:1234/v1") == parse_endpoint("127.0.0.1:1234")
    assert parse_endpoint("lm:1234").origin == "http://lm:1234"
