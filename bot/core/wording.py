"""Words for people: failures and numbers of things as a sentence says them."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp

from bot.core.errors import BotError

_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TimeoutError, "it took too long"),
    (aiohttp.ClientConnectorDNSError, "its name can't be resolved"),
    (aiohttp.ClientConnectorCertificateError, "its certificate isn't trusted"),
    (aiohttp.ClientSSLError, "the encrypted connection failed"),
    (ssl.SSLError, "the encrypted connection failed"),
    (aiohttp.ServerDisconnectedError, "the connection was closed"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.InvalidURL, "the address can't be used"),
    (aiohttp.WSServerHandshakeError, "the gateway refused the connection"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionResetError, "the connection was reset"),
    (ConnectionError, "the connection broke"),
)
"""The first that fits holds; subclasses stand before their bases."""


def plain_reason(exc: BaseException) -> str:
    """Return a failure as a few words, for a log line: no class name, no address, no content.

    Args:
        exc: Ours, the network's, or Discord's (known by its ``status`` and ``code``, or by
            its ``retry_after``, in seconds).
    """
    if isinstance(exc, BotError):
        return exc.sentence.partition(". ")[0].rstrip(".")
    inner = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    for kind, words in _KINDS:
        if isinstance(exc, kind) or isinstance(inner, kind):
            return words
    wait_s = getattr(exc, "retry_after", None)
    if isinstance(wait_s, int | float):
        return f"asked to wait {wait_s:.0f} s"
    status = getattr(exc, "status", None)
    if isinstance(status, int) and status:
        code = getattr(exc, "code", None)
        return (
            f"status {status}, code {code}"
            if isinstance(code, int) and code
            else f"status {status}"
        )
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    return "an unexpected failure"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural where there isn't exactly one.

    Args:
        number: How many.
        noun: In the singular.
        plural: Where it isn't the noun with an ``s``.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
