"""Attachments are read from Discord's hosts only, bounded and without redirects."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.core.domain import AttachmentInfo
from bot.prompt.attachments.cdn import CdnReader


class Cdn:
    """A host that serves, redirects, fails and never ends."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.sent_bytes = 0
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self.server = TestServer(app)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.requests.append(name)
        if name == "moved":
            raise web.HTTPFound("/small")
        if name == "gone":
            raise web.HTTPNotFound
        if name == "gzipped":
            return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
        if name != "endless":
            return web.Response(body=b"hello")
        response = web.StreamResponse()
        await response.prepare(request)
        while self.sent_bytes < 200_000_000:
            await response.write(b"x" * 65_536)
            self.sent_bytes += 65_536
        return response

    def file(self, name: str) -> AttachmentInfo:
        return AttachmentInfo(1, name, None, 5, str(self.server.make_url(f"/{name}")))


@pytest.fixture
async def cdn() -> AsyncGenerator[Cdn, None]:
    cdn = Cdn()
    async with cdn.server:
        yield cdn


async def read(cdn: Cdn, name: str, limit_bytes: int = 1000) -> bytes | None:
    host = f"{cdn.server.host}:{cdn.server.port}"
    async with CdnReader((host,)) as reader:
        return await reader.read(cdn.file(name), limit_bytes=limit_bytes)


async def test_a_file_is_read(cdn: Cdn) -> None:
    assert await read(cdn, "small") == b"hello"


async def test_no_more_than_the_limit_is_read(cdn: Cdn) -> None:
    assert await read(cdn, "endless", 300_000) == b"x" * 300_000
    assert cdn.sent_bytes < 50_000_000
    assert cdn.requests == ["endless"]


@pytest.mark.parametrize("name", ["moved", "gone", "gzipped"])
async def test_whatever_is_not_the_plain_file_is_nothing(cdn: Cdn, name: str) -> None:
    assert await read(cdn, name) is None
    assert cdn.requests == [name]


async def test_a_host_that_was_not_named_is_never_asked(cdn: Cdn) -> None:
    async with CdnReader() as reader:
        assert await reader.read(cdn.file("small"), limit_bytes=10) is None
    assert not cdn.requests


async def test_a_host_that_is_away_is_nothing(cdn: Cdn) -> None:
    file = cdn.file("small")
    await cdn.server.close()
    host = f"{cdn.server.host}:{cdn.server.port}"
    async with CdnReader((host,)) as reader:
        assert await reader.read(file, limit_bytes=10) is None


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1", True),
        ("https://media.discordapp.net/attachments/1/2/a.png", True),
        ("http://cdn.discordapp.com/a.png", False),
        ("https://cdn.discordapp.com:8443/a.png", False),
        ("https://cdn.discordapp.com.evil.example/a.png", False),
        ("https://evil.example/cdn.discordapp.com", False),
        ("https://user@cdn.discordapp.com/a.png", False),
        ("https://cdn.discordapp.com@evil.example/a.png", False),
        ("file:///etc/passwd", False),
        ("https://127.0.0.1/a.png", False),
        ("https://[::1]/a.png", False),
        ("", False),
        ("https://", False),
        ("http://other.test:81/a", True),
        ("https://other.test:81/a", True),
        ("http://other.test:82/a", False),
        ("https://other.test/a", False),
        ("https://files.test/a", True),
        ("https://files.test:443/a", True),
        ("http://files.test/a", False),
        ("https://files.test:8443/a", False),
        ("http://files.test:443/a", False),
        ("https://FILES.test/a", True),
        ("https://more.files.test/a", False),
        ("https://files.test.evil.example/a", False),
        ("http://[::1]:99/a", True),
        ("http://[::1]/a", False),
        ("ftp://other.test:81/a", False),
    ],
)
def test_only_discords_hosts_are_allowed(url: str, is_allowed: bool) -> None:
    assert CdnReader(("other.test:81", "files.test", "[::1]:99")).allows(url) is is_allowed
