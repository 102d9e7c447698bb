"""Addresses as typed, in one form."""

from __future__ import annotations

import pytest

from config import addresses


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("http://127.0.0.1:1234/", "http://127.0.0.1:1234"),
        ("http://127.0.0.1:1234/v1", "http://127.0.0.1:1234"),
        ("http://127.0.0.1:1234/v1/", "http://127.0.0.1:1234"),
        ("https://box.lan/v1/chat/completions", "https://box.lan"),
        ("http://box/api/v0", "http://box"),
        ("http://box/api/v1/models", "http://box"),
        ("http://box/llm/v1", "http://box/llm"),
        ("HTTP://[::1]:1234/v1", "http://[::1]:1234"),
        ("192.168.1.20:1234", "http://192.168.1.20:1234"),
        ("192.168.1.20:1234/v1", "http://192.168.1.20:1234"),
        ("localhost:8080", "http://localhost:8080"),
        ("box.lan", "http://box.lan:1234"),
        ("[::1]", "http://[::1]:1234"),
        ("http://box.lan", "http://box.lan"),
        ("http://http://box:1234", "http://box:1234"),
        ("http://box:1234/V1", "http://box:1234"),
        ("1234", "http://127.0.0.1:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("::1", "http://[::1]:1234"),
        ("fe80::1", "http://[fe80::1]:1234"),
        ('"192.168.1.20:1234"', "http://192.168.1.20:1234"),
        ("' http://box:1234/v1 '", "http://box:1234"),
    ],
)
def test_an_lmstudio_address_loses_the_api_path(typed: str, kept: str) -> None:
    assert addresses.lmstudio_base(typed) == kept


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/api/v10"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/api/v10"),
        ("http://127.0.0.1:8000/api", "http://127.0.0.1:8000/api/v10"),
        ("http://127.0.0.1:8000/api/v10/", "http://127.0.0.1:8000/api/v10"),
        ("https://proxy/discord", "https://proxy/discord/api/v10"),
    ],
)
def test_a_discord_address_gets_its_version(typed: str, kept: str) -> None:
    assert addresses.discord_api_base(typed) == kept


def test_another_version_of_discord_is_refused() -> None:
    with pytest.raises(ValueError, match="version 10"):
        addresses.discord_api_base("https://discord.com/api/v9")


def test_a_gateway_address_loses_its_query() -> None:
    assert addresses.gateway_address("ws://127.0.0.1:9/?v=10&x=1") == "ws://127.0.0.1:9/"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "99999",
        "box:99999",
        "box:0",
        "http://box:0",
        "http//box:1234",
        '"',
        "'box:1234\"",
        "/v1",
        "user:hunter22@box",
        "ftp:/box",
        "http:/box:1234",
        "box:",
        "http://",
        "ftp://box",
        "http://box:99999",
        "http://box:port",
        "http://user:hunter22@box",
        "http://user@box",
        "http://box/?q=1",
        "http://box/#f",
        "http://bo x",
        "http://box/\n",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(typed: str) -> None:
    with pytest.raises(ValueError, match="must") as refused:
        addresses.lmstudio_base(typed if typed != "http://box/\n" else "http://box/\n/")
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("127.0.0.1:9100", "127.0.0.1:9100"),
        ("9100", "127.0.0.1:9100"),
        (":0", "127.0.0.1:0"),
        ("[::1]:9100", "[::1]:9100"),
        ("box.lan:80", "box.lan:80"),
    ],
)
def test_a_listening_address_has_one_form(typed: str, kept: str) -> None:
    assert addresses.listen_address(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", "box", "box:", "box:99999", "::1:9100", "http://a:1", "[]:1"]
)
def test_a_listening_address_needs_a_port(typed: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        addresses.listen_address(typed)


@pytest.mark.parametrize(
    ("host", "is_own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box", False)],
)
def test_loopback_is_told_from_the_network(host: str, is_own: bool) -> None:
    assert addresses.is_loopback(host) is is_own


def test_a_database_address_names_its_dialect() -> None:
    assert addresses.database_address("sqlite+pysqlite:///x.db") == "sqlite+pysqlite:///x.db"
    with pytest.raises(ValueError, match="SQLAlchemy"):
        addresses.database_address("bot.db")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("cdn.example.org", "cdn.example.org"),
        (" CDN.example.org ", "cdn.example.org"),
        ("cdn.example.org:8443", "cdn.example.org:8443"),
        ("[::1]:80", "[::1]:80"),
    ],
)
def test_a_host_of_attachments_is_one_host(typed: str, kept: str) -> None:
    assert addresses.cdn_host(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", ":80", "https://cdn.example.org", "cdn.example.org/files", "a@cdn.example.org", "a b",
        "cdn.example.org:0", "cdn.example.org:99999", "cdn.example.org:x", "cdn.example.org?a",
    ],
)  # fmt: skip
def test_anything_else_is_no_host_of_attachments(typed: str) -> None:
    with pytest.raises(ValueError, match="must be a host"):
        addresses.cdn_host(typed)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        (" proxy.example:3128 ", "http://proxy.example:3128"),
        ("http://proxy.example/", "http://proxy.example:80"),
        ("https://ada:p%40ss@proxy.example", "https://ada:p%40ss@proxy.example:443"),
        ("socks5://[::1]", "socks5://[::1]:1080"),
        ("socks5h://10.0.0.1:9050", "socks5h://10.0.0.1:9050"),
    ],
)
def test_a_proxy_is_kept_with_its_port(typed: str, kept: str) -> None:
    assert addresses.proxy_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", "http://", "socks4://10.0.0.1", "ftp://10.0.0.1", "http://proxy.example/path",
        "http://proxy.example:0", "http://proxy.example:99999", "http://a b:80", "http://x?y",
        "socks5://:1080", "http://user:pa ss@x:1",
    ],
)  # fmt: skip
def test_anything_else_is_no_proxy_and_isnt_repeated(typed: str) -> None:
    with pytest.raises(ValueError, match="must ") as caught:
        addresses.proxy_address(typed)
    assert "pa ss" not in str(caught.value)
