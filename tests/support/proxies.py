"""Proxies as people have them: HTTP with CONNECT, over TLS too, and SOCKS5, with or without a password."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from bot.core.tasks import end_tasks

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class LocalProxy:
    """One proxy on loopback.

    Attributes:
        kind: ``http``, ``https`` or ``socks5``.
        login: User and password it wants, joined by a colon; empty for nobody's.
        names: What hosts lead to, known to the proxy only.
        asked: ``host:port`` of each tunnel that was asked for.
        refuses: It lets nobody through.
        port: Where it listens.
    """

    kind: str
    login: str = ""
    names: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: bool = False
    port: int = 0

    @property
    def address(self) -> str:
        """What a client is told."""
        login = f"{self.login}@" if self.login else ""
        return f"{self.kind}://{login}127.0.0.1:{self.port}"

    async def tunnel(self, host: str, port: int) -> Streams | None:
        """Connect to where somebody wants to go, unless the proxy refuses."""
        self.asked.append(f"{host}:{port}")
        if self.refuses:
            return None
        try:
            return await asyncio.open_connection(self.names.get(host, host), port)
        except OSError:
            return None


@contextlib.asynccontextmanager
async def local_proxy(
    proxy: LocalProxy, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[LocalProxy, None]:
    """Run a proxy until the block ends."""
    greet = _socks if proxy.kind == "socks5" else _connect
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _serve(proxy, greet, (reader, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await end_tasks(*tasks)


async def _serve(
    proxy: LocalProxy,
    greet: Callable[[LocalProxy, Streams], Awaitable[Streams | None]],
    client: Streams,
) -> None:
    server = await greet(proxy, client)
    if server is None:
        return
    try:
        await asyncio.wait(
            [
                asyncio.ensure_future(_copy(client[0], server[1])),
                asyncio.ensure_future(_copy(server[0], client[1])),
            ],
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        server[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def _connect(proxy: LocalProxy, client: Streams) -> Streams | None:
    """Greet as an HTTP proxy does (RFC 9110, 9.3.6)."""
    head = (await client[0].readuntil(b"\r\n\r\n")).decode()
    line, _, rest = head.partition("\r\n")
    method, where, _ = line.split(" ")
    wanted = f"Basic {base64.b64encode(proxy.login.encode()).decode()}"
    if method != "CONNECT":
        client[1].write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
        return None
    if proxy.login and wanted not in rest:
        client[1].write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        return None
    host, _, port = where.rpartition(":")
    server = await proxy.tunnel(host.strip("[]"), int(port))
    client[1].write(b"HTTP/1.1 200 OK\r\n\r\n" if server else b"HTTP/1.1 403 Forbidden\r\n\r\n")
    return server


async def _socks(proxy: LocalProxy, client: Streams) -> Streams | None:
    """Greet as a SOCKS5 proxy does (RFC 1928, RFC 1929)."""
    reader, writer = client
    _, count = await reader.readexactly(2)
    methods = await reader.readexactly(count)
    method = 2 if proxy.login else 0
    if method not in methods:
        writer.write(b"\x05\xff")
        return None
    writer.write(bytes([5, method]))
    if method == 2:
        user = await reader.readexactly((await reader.readexactly(2))[1])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        is_right = b":".join((user, password)).decode() == proxy.login
        writer.write(b"\x01\x00" if is_right else b"\x01\x01")
        if not is_right:
            return None
    kind = (await reader.readexactly(4))[3]
    if kind == 1:
        host = ".".join(map(str, await reader.readexactly(4)))
    else:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    port = int.from_bytes(await reader.readexactly(2))
    server = await proxy.tunnel(host, port)
    writer.write(bytes([5, 0 if server else 2, 0, 1, 0, 0, 0, 0, 0, 0]))
    return server
