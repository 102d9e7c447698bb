"""Is the machine there: address, name, TCP. Each way to fail has its own sentence."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto

from bot.core.clock import Clock
from bot.core.tasks import within
from bot.diagnostics.link import failed
from bot.diagnostics.values import Finding, Status, Step
from bot.lmstudio import errors
from bot.lmstudio.endpoints import plain_address
from bot.lmstudio.pinning import AddressNotPinnedError, PinnedResolver
from bot.lmstudio.transport import REFUSED_ERRNOS

_MAX_ADDRESSES = 4
_VPN = ipaddress.ip_network("100.64.0.0/10")
"""Shared address space (RFC 6598), which overlay networks hand out."""
_UNREACHABLE = frozenset(
    {
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        getattr(errno, "EHOSTDOWN", errno.EHOSTUNREACH),
        10049,
        10051,
        10065,
    }
)


BAD_ADDRESS = Finding(
    Step.NAME,
    Status.FAILED,
    "The configured address of LM Studio isn't a web address.",
    "Write LMSTUDIO_BASE_URL as http://, the machine's address, a colon and the port.",
)


async def resolve(
    resolver: PinnedResolver, host: str, limit_s: float, clock: Clock
) -> tuple[Finding, Sequence[str]]:
    """Find the addresses that the client would connect to: A and AAAA, or the literal itself."""
    try:
        found = await within(clock, resolver.resolve(host), limit_s)
    except TimeoutError:
        return _no_name("The name server doesn't answer.", host), ()
    except AddressNotPinnedError:
        return failed(Step.NAME, errors.AddressRefusedError()), ()
    except (OSError, UnicodeError) as exc:
        temporary = isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN
        text = "The name can't be resolved right now." if temporary else "There is no such name."
        return _no_name(text, host), ()
    addresses = [one["host"] for one in found[:_MAX_ADDRESSES]]
    if plain_address(host) is not None:
        finding = Finding(Step.NAME, Status.OK, "A plain IP address, no name to resolve.")
        return finding, addresses
    technical = f"{host}: {', '.join(addresses)}"
    return Finding(Step.NAME, Status.OK, "The name is known.", technical=technical), addresses


def _no_name(cause: str, host: str) -> Finding:
    return replace(failed(Step.NAME, errors.HostNotFoundError(), cause), technical=host)


class Knock(Enum):
    """How a TCP connection attempt ended."""

    OPEN = auto()
    REFUSED = auto()
    TIMED_OUT = auto()
    UNREACHABLE = auto()
    FORBIDDEN = auto()


def classify(exc: OSError) -> Knock:
    """Tell the ways apart in which a connection fails."""
    if isinstance(exc, TimeoutError) or exc.errno == errno.ETIMEDOUT:
        return Knock.TIMED_OUT
    windows_code = getattr(exc, "winerror", None)
    if REFUSED_ERRNOS & {exc.errno, windows_code}:
        return Knock.REFUSED
    if isinstance(exc, PermissionError):
        return Knock.FORBIDDEN
    if exc.errno in _UNREACHABLE or windows_code in _UNREACHABLE:
        return Knock.UNREACHABLE
    return Knock.REFUSED if isinstance(exc, ConnectionError) else Knock.UNREACHABLE


async def knock(address: str, port: int, limit_s: float) -> Knock:
    """Try to open one TCP connection, and close it at once."""
    try:
        async with asyncio.timeout(limit_s):
            _, writer = await asyncio.open_connection(address, port)
    except OSError as exc:
        return classify(exc)
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(0.2):
            await writer.wait_closed()
    return Knock.OPEN


async def connect(addresses: Sequence[str], port: int, limit_s: float) -> Finding:
    """Knock at all addresses at once."""
    knocks = await asyncio.gather(*(knock(one, port, limit_s) for one in addresses))
    tried = list(zip(addresses, knocks, strict=True))
    technical = ", ".join(f"[{one}]:{port} {how.name.lower()}" for one, how in tried)
    if Knock.OPEN in knocks:
        return _opened(tried, technical)
    return replace(refusal(tried[0][0], worst(knocks)), technical=technical)


def _opened(tried: Sequence[tuple[str, Knock]], technical: str) -> Finding:
    dead_v6 = any(":" in one and how is not Knock.OPEN for one, how in tried)
    if not dead_v6:
        return Finding(Step.CONNECTION, Status.OK, "The port is open.", technical=technical)
    return Finding(
        Step.CONNECTION,
        Status.WARNING,
        "The port is open, but the name also has an IPv6 address where nothing answers.",
        "Write the machine's IPv4 address into LMSTUDIO_BASE_URL; LM Studio listens on IPv4.",
        technical=technical,
    )


def worst(knocks: Sequence[Knock]) -> Knock:
    """Return the answer that says most: a refusal proves that a machine is there."""
    order = (Knock.REFUSED, Knock.TIMED_OUT, Knock.FORBIDDEN, Knock.UNREACHABLE)
    return next(how for how in order if how in knocks)


def refusal(address: str, how: Knock) -> Finding:
    """Put a failed connection into words.

    Args:
        address: The IP address tried; decides the advice, and isn't shown.
        how: How it failed.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    cause, advice = _CONNECTION_TEXTS[how]
    if how is Knock.REFUSED and (ip.is_loopback or ip.is_unspecified):
        cause = "Nothing listens at that port on the bot's own machine."
        advice = (
            "If LM Studio runs on another machine, put that machine's address into "
            "LMSTUDIO_BASE_URL (localhost means the bot's own); else start LM Studio's server "
            "and compare the port."
        )
    elif ip.version == 4 and ip in _VPN:
        advice += " The address belongs to a VPN: check that it is up on both machines."
    return Finding(Step.CONNECTION, Status.FAILED, cause, advice)


_CONNECTION_TEXTS = {
    Knock.REFUSED: (
        "The machine is there, but nothing listens at that port.",
        errors.ServerRefusedError.admin_hint,
    ),
    Knock.TIMED_OUT: (
        "The machine doesn't answer: it is off or asleep, or a firewall drops the connection.",
        errors.ConnectTimedOutError.admin_hint,
    ),
    Knock.UNREACHABLE: (
        "There is no way from the bot's machine to that address.",
        "Check that both machines are in the same network and that no VPN takes the traffic.",
    ),
    Knock.FORBIDDEN: (
        "The bot's own machine forbids the connection.",
        "Allow outgoing connections for the bot in this machine's firewall or sandbox.",
    ),
}
