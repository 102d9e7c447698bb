"""The client's connections to the server under diagnosis, and its failures as findings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bot.core.clock import Clock
from bot.core.errors import BackendError
from bot.diagnostics.values import Finding, Status, Step, Target, one_line
from bot.lmstudio import errors
from bot.lmstudio.endpoints import Endpoint
from bot.lmstudio.pinning import PinnedResolver
from bot.lmstudio.transport import Transport

SEEN: Final[dict[type[BackendError], str]] = {
    errors.TlsError: "The address says https, but the server doesn't speak TLS.",
    errors.CertificateError: "The server's certificate isn't trusted.",
    errors.NotHttpError: "Something answers at that port, but not in plain HTTP.",
    errors.DisconnectedError: "The server closes the connection without an answer.",
    errors.SilentServerError: "The server accepts the connection, but doesn't answer.",
    errors.OversizedReplyError: "The server sends far more than it should.",
}
"""What a probe saw, where whoever asks a question is told less of it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One server's HTTP.

    Attributes:
        endpoint: The configured address.
        own: Sends the token, as questions do.
        bare: Sends none.
        clock: For durations.
    """

    endpoint: Endpoint
    own: Transport
    bare: Transport
    clock: Clock

    @property
    def has_path(self) -> bool:
        """Whether the configured address goes on after the port."""
        return bool(self.endpoint.prefix)


@asynccontextmanager
async def linked(
    target: Target, endpoint: Endpoint, resolver: PinnedResolver, clock: Clock
) -> AsyncIterator[Link]:
    """Give the connections to a server, and close them."""
    own = Transport(endpoint, clock, resolver, token=target.api_token, tls=target.tls)
    bare = Transport(endpoint, clock, resolver, tls=target.tls)
    try:
        yield Link(endpoint, own, bare, clock)
    finally:
        await own.aclose()
        await bare.aclose()


def failed(step: Step, failure: BackendError, cause: str = "") -> Finding:
    """Put a failure of the client into words: what is so, and what the failure table advises.

    Args:
        step: What was tried.
        failure: What came of it.
        cause: What the probe knows better than the table.
    """
    cause = cause or SEEN.get(type(failure), failure.sentence)
    return Finding(step, Status.FAILED, cause, failure.admin_hint, technical=one_line(str(failure)))
