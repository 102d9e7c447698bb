"""The proxy through which Discord is reached: REST, the gateway and attachments alike.

One connector for all kinds of proxy: it asks the proxy for a tunnel to the host by its name, which the
proxy resolves. LM Studio's connections are made elsewhere and know no proxy.
"""

from __future__ import annotations

import errno
import ssl
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp_socks import (
    ProxyConnectionError,
    ProxyConnector,
    ProxyError,
    ProxyTimeoutError,
    ProxyType,
)

from config.settings import DiscordSettings

_PASSWORD_WANTED: Final = 407
"""Proxy Authentication Required (RFC 9110, 15.5.8)."""


class ProxyFailedError(aiohttp.ClientOSError):
    """The proxy doesn't let us through; the text says why, without its address."""


class _Connector(ProxyConnector):
    """Connections through one proxy, whose failures are those of any connection."""

    async def connect(self, *request: Any, **more: Any) -> aiohttp.connector.Connection:  # noqa: ANN401 - handed on
        try:
            return await super().connect(*request, **more)
        except ProxyTimeoutError as exc:
            raise ProxyFailedError(errno.ETIMEDOUT, "the proxy takes too long") from exc
        except ProxyConnectionError as exc:
            raise ProxyFailedError(errno.ECONNREFUSED, "the proxy can't be reached") from exc
        except ProxyError as exc:
            raise ProxyFailedError(errno.EACCES, _why(exc)) from exc


def _why(exc: ProxyError) -> str:
    if exc.error_code == _PASSWORD_WANTED or "auth" in str(exc).lower():
        return "the proxy wants another user and password"
    return "the proxy doesn't let us through"


def connector_for(settings: DiscordSettings, limit: int = 0) -> aiohttp.TCPConnector:
    """Return connections to Discord, through the proxy where one is set.

    Args:
        settings: Say which proxy.
        limit: Most connections at once; 0 for any number.
    """
    if settings.proxy is None:
        return aiohttp.TCPConnector(limit=limit)
    parts = urlsplit(settings.proxy.get_secret_value())
    return _Connector(
        parts.hostname or "",
        parts.port or 0,
        ProxyType.SOCKS5 if parts.scheme.startswith("socks5") else ProxyType.HTTP,
        unquote(parts.username or "") or None,
        unquote(parts.password or "") or None,
        rdns=True,
        proxy_ssl=ssl.create_default_context() if parts.scheme == "https" else None,
        limit=limit,
    )
