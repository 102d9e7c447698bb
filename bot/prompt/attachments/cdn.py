"""Attachments from Discord's own hosts: bounded, never redirected, never anything else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Self

import aiohttp
from yarl import URL

from bot.core.domain import AttachmentInfo
from bot.core.wording import plain_reason

_log = logging.getLogger(__name__)

DISCORD_HOSTS: Final = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
"""Where Discord keeps attachments (Discord: reference, CDN)."""

_TOTAL_S = 30.0
_CONNECT_S = 10.0
_READ_S = 10.0
_CHUNK_BYTES = 64 * 1024
_CONNECTIONS = 4


class CdnReader:
    """Reads attachments; an async context manager that owns its connections.

    Args:
        further_hosts: Of another Discord's CDN: ``host`` for https on its own port, or
            ``host:port`` for exactly that port, also over http.
        connector: Makes the connections, so many at once at most; direct ones when left out.
    """

    def __init__(
        self,
        further_hosts: tuple[str, ...] = (),
        connector: Callable[[int], aiohttp.BaseConnector] | None = None,
    ) -> None:
        self._further_hosts = frozenset(host.lower() for host in further_hosts)
        self._connector = connector or (lambda limit: aiohttp.TCPConnector(limit=limit))
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=self._connector(_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(
                total=_TOTAL_S, sock_connect=_CONNECT_S, sock_read=_READ_S
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def allows(self, url: str) -> bool:
        """Return whether an address is one that attachments may be read from."""
        try:
            parsed = URL(url)
            authority = f"{parsed.host_subcomponent}:{parsed.port}"
        except ValueError:
            return False
        if parsed.user or parsed.password or not parsed.host:
            return False
        if parsed.scheme not in {"http", "https"}:
            return False
        if authority in self._further_hosts:
            return True
        hosts = DISCORD_HOSTS | self._further_hosts
        return parsed.scheme == "https" and parsed.port == 443 and parsed.host_subcomponent in hosts

    async def read(self, attachment: AttachmentInfo, *, limit_bytes: int) -> bytes | None:
        """Return at most ``limit_bytes`` of the file; ``None`` if it can't be had.

        The connection is closed as soon as there is enough. Redirects are failures.
        """
        session = self._session
        if session is None or limit_bytes <= 0 or not self.allows(attachment.url):
            return None
        try:
            async with session.get(
                URL(attachment.url, encoded=True), allow_redirects=False
            ) as response:
                if response.status != 200 or response.headers.get("Content-Encoding"):
                    _log.info("attachment %d: HTTP %d", attachment.id, response.status)
                    return None
                data = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    data += chunk
                    if len(data) >= limit_bytes:
                        response.close()
                        break
                return bytes(data[:limit_bytes])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            _log.info("attachment %d couldn't be read: %s", attachment.id, plain_reason(exc))
            return None
