"""Diagnosis over https: trusted, pinned, neither."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.core.clock import SystemClock
from bot.diagnostics.values import Finding, Status, Step, Target
from bot.diagnostics.walk import diagnose
from tests.support.links import certificate


@dataclass(frozen=True, slots=True)
class Server:
    """A TLS server that says it is LM Studio."""

    url: str
    ca_file: Path
    fingerprint: bytes


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = certificate(tmp_path, SystemClock().now() - timedelta(days=1), days=2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        body = b'{"lmstudio":true}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 17\r\n\r\n" + body)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=made.server)
    port = listening.sockets[0].getsockname()[1]
    yield Server(f"https://127.0.0.1:{port}", made.file, made.fingerprint)
    listening.close()


async def walk(target: Target) -> dict[Step, Finding]:
    clock = SystemClock()
    return {one.step: one async for one in diagnose(target, clock=clock)}


async def test_a_certificate_nobody_vouches_for(server: Server) -> None:
    found = await walk(Target(server.url))
    assert found[Step.TLS].status is Status.FAILED
    assert "certificate isn't trusted" in found[Step.TLS].cause


async def test_a_certificate_of_the_own_ca(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    assert (await walk(Target(server.url, tls=context)))[Step.SERVER].status is Status.OK


async def test_a_pinned_certificate(server: Server) -> None:
    right = aiohttp.Fingerprint(server.fingerprint)
    wrong = aiohttp.Fingerprint(bytes(32))
    assert (await walk(Target(server.url, tls=right)))[Step.SERVER].status is Status.OK
    refused = (await walk(Target(server.url, tls=wrong)))[Step.TLS]
    assert "isn't the one that is configured" in refused.cause


async def test_a_handshake_that_the_server_cuts_off() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.transport.abort()

    async with await asyncio.start_server(cut, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        found = await walk(Target(f"https://127.0.0.1:{port}"))
    assert found[Step.TLS].status is Status.FAILED
    assert "ends the encrypted connection" in found[Step.TLS].cause
    assert found[Step.HTTP].status is Status.SKIPPED


async def test_plain_http_to_a_tls_server(server: Server) -> None:
    found = await walk(Target(server.url.replace("https", "http")))
    assert found[Step.HTTP].status is Status.FAILED
    assert "takes only https" in found[Step.HTTP].cause
    assert "begin with https" in found[Step.HTTP].advice
