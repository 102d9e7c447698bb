"""The proxy through which Discord is reached: REST, the gateway and attachments alike.

One connector for all kinds of proxy: it asks the proxy for a tunnel to the host by its name, which the
proxy resolves. LM Studio's connections are made elsewhere and know no proxy.
"""

from __future__ import annotations

import errno
import socket
import ssl
from functools import partial
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp_socks import (
    ProxyConnectionError,
    ProxyConnector,
    ProxyError,
    ProxyTimeoutError,
    ProxyType,
)

from bot.core.tasks import apart
from bot.diagnostics.discord_side import NoAnswer
from config.settings import DiscordSettings

_PASSWORD_WANTED: Final = 407
"""Proxy Authentication Required (RFC 9110, 15.5.8)."""


class ProxyFailedError(aiohttp.ClientOSError):
    """The proxy doesn't let us through; the text says why, without its address."""


class ProxyLoginError(ProxyFailedError):
    """The proxy wants another user and password."""


class _Connector(ProxyConnector):
    """Connections through one proxy, whose failures are those of any connection; to some hosts, direct ones.

    Attributes:
        direct: Makes the direct ones.
        excepted: The hosts, as in NO_PROXY.
    """

    direct: aiohttp.TCPConnector
    excepted: str

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all of them."""
        await self.direct.close(abort_ssl=abort_ssl)
        await super().close(abort_ssl=abort_ssl)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        *rest: Any,  # noqa: ANN401 - handed on
        **more: Any,  # noqa: ANN401 - handed on
    ) -> aiohttp.connector.Connection:
        if proxy_bypass_environment(req.url.host or "", {"no": self.excepted}):
            return await self.direct.connect(req, *rest, **more)
        try:
            return await super().connect(req, *rest, **more)
        except ProxyTimeoutError as exc:
            raise ProxyFailedError(errno.ETIMEDOUT, "the proxy takes too long") from exc
        except ProxyConnectionError as exc:
            raise ProxyFailedError(errno.ECONNREFUSED, "the proxy can't be reached") from exc
        except ProxyError as exc:
            raise _refusal(exc) from exc


def _refusal(exc: ProxyError) -> ProxyFailedError:
    if exc.error_code == _PASSWORD_WANTED or "auth" in str(exc).lower():
        return ProxyLoginError(errno.EACCES, "the proxy wants another user and password")
    return ProxyFailedError(errno.EACCES, "the proxy doesn't let us through")


def no_answer(exc: BaseException) -> NoAnswer:
    """Return why there is no answer of Discord's, by what discord.py raised."""
    if isinstance(exc, ProxyLoginError):
        return NoAnswer.NO_PROXY_LOGIN
    if isinstance(exc, ProxyFailedError):
        return NoAnswer.NO_PROXY
    if isinstance(exc, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return NoAnswer.NO_NAME
    if isinstance(exc, aiohttp.ClientSSLError | ssl.SSLError):
        return NoAnswer.NO_TRUST
    return NoAnswer.NO_WAY


class _Names(AbstractResolver):
    """Looks names up in threads that the end of the process doesn't wait for, as aiohttp's own would."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            OSError: There is no such name.
        """
        work = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, proto, _, address in await apart(work, name="lookup")
        ]

    async def close(self) -> None:
        """Nothing is held."""


def connector_for(settings: DiscordSettings, limit: int = 0) -> aiohttp.TCPConnector:
    """Return connections to Discord, through the proxy where one is set.

    Args:
        settings: Say which proxy.
        limit: Most connections at once; 0 for any number.
    """
    direct = aiohttp.TCPConnector(limit=limit, resolver=_Names())
    if settings.proxy is None:
        return direct
    parts = urlsplit(settings.proxy.get_secret_value())
    connector = _Connector(
        parts.hostname or "",
        parts.port or 0,
        ProxyType.SOCKS5 if parts.scheme.startswith("socks5") else ProxyType.HTTP,
        unquote(parts.username or "") or None,
        unquote(parts.password or "") or None,
        rdns=True,
        proxy_ssl=ssl.create_default_context() if parts.scheme == "https" else None,
        limit=limit,
    )
    connector.direct, connector.excepted = direct, ",".join(settings.no_proxy)
    return connector
