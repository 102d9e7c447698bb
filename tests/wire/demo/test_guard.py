"""Only the page itself is let in, and nothing leads out of its folder."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from yarl import URL

from bot.demo.page.guard import HEADERS
from bot.demo.page.server import PageServer
from bot.demo.world import Demo
from tests.support.page import TabClient, opened_tab

FOREIGN_HOSTS = [
    "attacker.example",
    "attacker.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1.attacker.example:{port}",
    "localhost.attacker.example:{port}",
    "[::1]:{port}",
    "0.0.0.0:{port}",
    "",
]
FOREIGN_ORIGINS = [
    "http://attacker.example",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://127.0.0.1:{port}.attacker.example",
    "http://localhost:{port}@attacker.example",
    "null",
    "file://",
    "",
]
PATHS = ["/", "/static/js/store.js", "/live", "/attachments", "/files/1/2/a.png", "/nowhere"]


def _at(server: PageServer, text: str) -> str:
    return text.format(port=URL(server.address).port)


async def _status(session: aiohttp.ClientSession, method: str, url: str, **how: Any) -> int:
    async with session.request(method, URL(url, encoded=True), **how) as response:
        for name, value in HEADERS.items():
            assert response.headers[name] == value
        assert "Server" not in response.headers
        return response.status


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_another_name_for_this_machine_is_refused(
    server: PageServer, session: aiohttp.ClientSession, host: str
) -> None:
    """A name server may point any name at 127.0.0.1."""
    for path in PATHS:
        headers = {"Host": _at(server, host), "Origin": server.address}
        assert await _status(session, "GET", server.address + path, headers=headers) == 421


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_another_page_is_refused(
    server: PageServer, session: aiohttp.ClientSession, origin: str
) -> None:
    headers = {"Origin": _at(server, origin), "Content-Type": "application/octet-stream"}
    for path in PATHS:
        assert await _status(session, "GET", server.address + path, headers=headers) == 403
    url = f"{server.address}/attachments?name=a.txt"
    assert await _status(session, "POST", url, headers=headers, data=b"x") == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(f"{server.address}/live", headers={"Origin": headers["Origin"]})
    assert refused.value.status == 403


async def test_whoever_names_no_page_is_refused_where_something_could_change(
    server: PageServer, session: aiohttp.ClientSession
) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    url = f"{server.address}/attachments?name=a.txt"
    assert await _status(session, "POST", url, headers=headers, data=b"x") == 403
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(f"{server.address}/live")
    assert refused.value.status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "junk"])
async def test_what_a_browser_says_comes_from_elsewhere_is_refused(
    server: PageServer, session: aiohttp.ClientSession, site: str
) -> None:
    headers = {"Sec-Fetch-Site": site}
    assert await _status(session, "GET", f"{server.address}/", headers=headers) == 403


async def test_the_page_answers_under_both_of_its_names(
    demo: Demo, server: PageServer, session: aiohttp.ClientSession
) -> None:
    local = _at(server, "localhost:{port}")
    headers = {"Host": local, "Origin": f"http://{local}", "Sec-Fetch-Site": "same-origin"}
    assert await _status(session, "GET", f"{server.address}/", headers=headers) == 200
    async with session.ws_connect(
        f"{server.address}/live", headers=headers, max_msg_size=0
    ) as socket:
        assert json.loads((await socket.receive()).data)["guild"]["id"] == str(demo.places.guild.id)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static/js/../../server.py",
        "/static/js/%2e%2e%2f%2e%2e%2fserver.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..\\server.py",
        "/static/%00",
        "/static/index.html%00.js",
        "/static/.hidden.js",
        "/static/.git/config.txt",
        "/static/js",
        "/static/js/",
        "/static/",
        "/static/C:/Windows/win.ini",
        "/static/" + "a" * 5000 + ".js",
        "/server.py",
        "/files/1/2/..%2f..%2fserver.py",
        "/files/x/y/z",
        "/files/%00/%00/%00",
        "/files/%D9%A3/%D9%A3/a",
    ],
)
async def test_nothing_leads_out_of_the_folder(
    server: PageServer, session: aiohttp.ClientSession, path: str
) -> None:
    assert await _status(session, "GET", server.address + path) == 404


async def test_bytes_that_are_no_request_end_nothing(
    server: PageServer, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    port = URL(server.address).port
    for sent in (b"\x16\x03\x01\x00\n\n", b"GET /\xd9 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert not (await reader.read()).startswith(b"HTTP/1.1 2")
        writer.close()
    assert await _status(session, "GET", f"{server.address}/") == 200
    assert caplog.messages == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_only_uploads_are_taken(
    server: PageServer, session: aiohttp.ClientSession, method: str
) -> None:
    headers = {"Origin": server.address}
    for path in ("/", "/static/js/store.js", "/live"):
        assert await _status(session, method, server.address + path, headers=headers) == 405


async def test_the_page_and_its_modules_have_their_types(
    server: PageServer, session: aiohttp.ClientSession
) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/static/js/store.js", "text/javascript"),
        ("/static/page.css", "text/css"),
        ("/static/icon.svg", "image/svg+xml"),
    ):
        async with session.get(server.address + path) as response:
            assert (response.status, response.content_type) == (200, kind)
            tag = response.headers["ETag"]
        headers = {"If-None-Match": tag}
        assert await _status(session, "GET", server.address + path, headers=headers) == 304


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "5",
        "[]",
        "null",
        "{}",
        '{"id": null, "do": "say"}',
        '{"id": true, "do": "say"}',
        '{"id": 1e400, "do": "say"}',
        '{"id": [], "do": "say"}',
        '{"id": 99999999999999999999, "do": "say"}',
        '{"id": "' + "x" * 51 + '", "do": "say"}',
        '{"do": "say"}',
        "[" * 100_000,
        '{"id": ' * 10_000,
        '{"id": ' + "9" * 5000 + "}",
        "\ufeff{}",
    ],
)
async def test_a_frame_of_another_form_is_told_and_ends_nothing(tab: TabClient, frame: str) -> None:
    await tab.socket.send_str(frame)
    answer = await tab.receive()
    assert (answer["id"], answer["ok"], answer["error"]["code"]) == (None, False, "bad_request")
    await tab.do("typing", person=tab.person("owner"), channel=tab.channel("general"))


async def test_bytes_are_told_and_end_nothing(tab: TabClient) -> None:
    await tab.socket.send_bytes(b"\xff\xfe")
    assert (await tab.receive())["error"]["code"] == "bad_request"
    await tab.do("typing", person=tab.person("owner"), channel=tab.channel("general"))


async def test_a_frame_that_is_too_large_ends_the_tab_and_no_other(
    server: PageServer, session: aiohttp.ClientSession, tab: TabClient
) -> None:
    async with opened_tab(server, session) as other:
        await other.socket.send_str(json.dumps({"id": 1, "do": "say", "text": "x" * 300_000}))
        frame = await other.socket.receive(timeout=30)
        assert frame.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        assert other.socket.close_code == 1009
    said = await tab.do(
        "say", person=tab.person("owner"), channel=tab.channel("general"), text="still here"
    )
    assert said["message"]
