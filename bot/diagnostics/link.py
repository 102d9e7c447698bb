"""What the probes of one server share: its address, the client's connections, its models."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import ModelInfo, TextDelta
from bot.core.errors import BackendError
from bot.diagnostics.values import Finding, Status, Step, Target, one_line
from bot.lmstudio import errors
from bot.lmstudio.catalogue import Catalogue
from bot.lmstudio.transport import GREETING, Endpoint, Lookup, PinnedResolver, Reply, Transport

SEEN: Final[dict[type[BackendError], str]] = {
    errors.TlsError: "The address says https, but the server doesn't speak TLS.",
    errors.CertificateError: "The server's certificate isn't trusted.",
    errors.CertificateExpiredError: "The server's certificate has expired, or isn't valid yet.",
    errors.CertificateNameError: "The server's certificate is made for another name.",
    errors.FingerprintError: "The server's certificate isn't the one that is configured.",
    errors.OutOfMemoryError: "The model's machine has too little memory for the model.",
    errors.NotHttpError: "Something answers at that port, but not in plain HTTP.",
    errors.DisconnectedError: "The server closes the connection without an answer.",
    errors.SilentServerError: "The server accepts the connection, but doesn't answer.",
    errors.OversizedReplyError: "The server sends far more than it should.",
    errors.CompressedReplyError: "The replies come compressed, which the bot doesn't read.",
}
"""What a probe saw, where whoever asks a question is told less of it."""

Turn = Callable[[str], AbstractAsyncContextManager[str]]
"""Waits until a model may be asked for a few tokens, and holds that slot; called with the model's
key. Gives a sentence that says why not, or nothing."""


@dataclass(slots=True)
class Way:
    """The way to one server, as far as it is known yet.

    Attributes:
        target: What to look at.
        resolver: Finds and pins its IP addresses.
        clock: For durations.
        turn: Where the model may be asked.
        stack: Closes what was opened, at the end.
        own: Sends the token, as questions do.
        bare: Sends none.
        addresses: IP addresses of its name.
        greeting: What came of LM Studio's greeting; ``None`` before it was asked.
        greeted_s: How long that took, in seconds.
        is_poor: It loses what is sent, or is slow.
        info: The model that a question would get.
        sent: The name by which that is asked for.
        has_spoken: It gave a token in the short completion.
        said: What it said in the longer completion.
    """

    target: Target
    endpoint: Endpoint
    resolver: PinnedResolver
    clock: Clock
    turn: Turn
    stack: AsyncExitStack
    own: Transport
    bare: Transport
    addresses: tuple[str, ...] = ()
    greeting: Reply | BackendError | None = None
    greeted_s: float = 0.0
    is_poor: bool = False
    catalogue: Catalogue | None = None
    info: ModelInfo | None = None
    sent: str = ""
    has_spoken: bool = False
    said: list[TextDelta] = field(default_factory=list)


def open_way(
    target: Target,
    endpoint: Endpoint,
    clock: Clock,
    lookup: Lookup,
    turn: Turn,
    stack: AsyncExitStack,
) -> Way:
    """Make the connections to a server, none of which is open yet; ``stack`` closes them."""
    resolver = PinnedResolver(endpoint.host, lookup, allows=target.allows)
    own = Transport(endpoint, clock, resolver, token=target.api_token, tls=target.tls)
    bare = Transport(endpoint, clock, resolver, tls=target.tls)
    for transport in (own, bare):
        stack.push_async_callback(transport.aclose)
    return Way(target, endpoint, resolver, clock, turn, stack, own, bare)


def is_greeting(reply: object) -> bool:
    """Return whether a reply is LM Studio's greeting."""
    body = reply.json if isinstance(reply, Reply) else None
    return isinstance(body, dict) and body.get("lmstudio") is True


async def greets(transport: Transport, limit_s: float) -> bool:
    """Return whether LM Studio greets back; closes the connection."""
    try:
        return is_greeting(await transport.fetch("GET", GREETING, limit_s=limit_s))
    except BackendError:
        return False
    finally:
        await transport.aclose()


def first_sentence(text: str) -> str:
    """Return what happened, without what whoever asked a question is told to do."""
    first, stop, _ = text.partition(". ")
    return f"{first}." if stop else first


def failed(step: Step, failure: BackendError, cause: str = "", advice: str = "") -> Finding:
    """Put a failure of the client into words: what is so, and what the failure table advises.

    Args:
        step: What was tried.
        failure: What came of it.
        cause: What the probe knows better than the table.
        advice: The same.
    """
    return Finding(
        step,
        Status.FAILED,
        cause or SEEN.get(type(failure)) or first_sentence(failure.sentence),
        advice or failure.admin_hint,
        technical=one_line(str(failure)),
    )
