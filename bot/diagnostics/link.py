"""Bounded HTTP to one server: no redirects, no proxies, only the addresses found before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Self

import aiohttp
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.core.clock import Clock
from bot.diagnostics.values import Target
from bot.lmstudio.endpoints import Endpoint


class Trouble(Enum):
    """What kept an HTTP exchange from happening."""

    TLS_ON_PLAIN = auto()
    CERTIFICATE = auto()
    NOT_HTTP = auto()
    CLOSED = auto()
    SILENT = auto()
    TOO_LARGE = auto()


class LinkError(Exception):
    """An exchange failed before there was a reply.

    Attributes:
        trouble: In which way.
    """

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.name)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole reply.

    Attributes:
        duration_s: From sending to the last byte.
    """

    status: int
    content_type: str
    body: bytes
    duration_s: float

    @property
    def json(self) -> object:
        """The body as JSON; ``None`` if it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def is_html(self) -> bool:
        """True for a web page."""
        return "html" in self.content_type or self.body[:64].lstrip().lower().startswith(b"<")


class _OnlyThese(AbstractResolver):
    """Knows one name, and the addresses at which it answered."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses; other names don't exist."""
        if host != self._host:
            raise OSError(f"not the server under diagnosis (family {family})")
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Link:
    """One server's HTTP; an async context manager.

    Args:
        target: Token and trust.
        endpoint: The configured address.
        addresses: IP addresses that connections may go to.
        clock: For durations.
        limit_bytes: Longest body.
    """

    def __init__(
        self,
        target: Target,
        endpoint: Endpoint,
        addresses: Sequence[str],
        clock: Clock,
        limit_bytes: int,
    ) -> None:
        self._target = target
        self._endpoint = endpoint
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._session = ClientSession(
            connector=TCPConnector(
                resolver=_OnlyThese(endpoint.host, addresses),
                use_dns_cache=False,
                keepalive_timeout=4,
                limit=2,
                ssl=target.tls if target.tls is not None else True,
            ),
            timeout=ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": "clawbot-diagnostics"},
            trust_env=False,
        )

    @property
    def has_path(self) -> bool:
        """Whether the configured address goes on after the port."""
        return bool(self._endpoint.prefix)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()

    async def get(self, path: str, *, limit_s: float, authorised: bool = False) -> Fetched:
        """Fetch a whole reply.

        Args:
            path: Below the base address, with its slash.
            limit_s: Longest the whole exchange may take.
            authorised: Send the token.

        Raises:
            LinkError: There was no whole reply.
        """
        began = self._clock.monotonic()
        async with self._exchange("GET", path, None, limit_s, authorised) as response:
            body = await self._read(response)
            return Fetched(
                response.status,
                response.headers.get("Content-Type", "").lower(),
                body,
                self._clock.monotonic() - began,
            )

    @contextlib.asynccontextmanager
    async def post(
        self, path: str, body: dict[str, Any], *, limit_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a body with the token and hand over the reply as it begins.

        Raises:
            LinkError: There was no reply, or it broke while it was read.
        """
        async with self._exchange("POST", path, body, limit_s, authorised=True) as response:
            yield response

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        limit_s: float,
        authorised: bool,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._endpoint.url(path)
        token = self._target.api_token
        headers = {"Authorization": f"Bearer {token}"} if authorised and token else {}
        try:
            async with (
                asyncio.timeout(limit_s),
                self._session.request(
                    method, url, json=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                try:
                    yield response
                finally:
                    if not response.content.at_eof():
                        response.close()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as exc:
            raise LinkError(trouble_of(exc)) from exc

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._limit_bytes:
                raise LinkError(Trouble.TOO_LARGE)
            parts.append(part)
        return b"".join(parts)


def trouble_of(exc: BaseException) -> Trouble:
    """Tell the ways apart in which an exchange fails."""
    if isinstance(exc, TimeoutError):
        return Trouble.SILENT
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch):
        return Trouble.CERTIFICATE
    if isinstance(exc, aiohttp.ClientSSLError):
        return Trouble.TLS_ON_PLAIN
    if isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError):
        return Trouble.CLOSED
    return Trouble.NOT_HTTP
