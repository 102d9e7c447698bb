"""Addresses bound at first use, so that a name can't lead to another machine later.

A server's name is resolved once; every connection must go to one of those addresses. Only when
none of them answers any more is the name resolved again (a machine may get a new lease), and then
only addresses of the same kind count: a name that led into the local network never leads out of
it, nor back to this machine. The last word is said where the socket is made, since that sees the
final address whatever way it was spelled.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.lmstudio.endpoints import plain_address

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a name; raises ``OSError`` when there is none."""

_METADATA: Final = frozenset({"169.254.169.254", "100.100.100.200", "fd00:ec2::254"})
"""Cloud metadata services: never a model's server."""


class AddressNotPinnedError(OSError):
    """A connection would go to an address that the name didn't have at first."""


async def system_lookup(host: str) -> Sequence[str]:
    """Resolve with the system's resolver, in a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class PinnedResolver(AbstractResolver):
    """Resolver and socket factory of one server's connections."""

    def __init__(self, host: str, lookup: Lookup = system_lookup) -> None:
        """Bind to a host.

        Args:
            host: Name or plain IP address.
            lookup: How names are resolved.
        """
        self._host = host
        self._lookup = lookup
        address = plain_address(host)
        self._pinned: tuple[str, ...] = (address,) if address else ()
        self._kind: str | None = None
        self._is_stale = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the pinned addresses of this server's name; refuse every other name."""
        if host.rstrip(".").lower() != self._host.rstrip("."):
            raise AddressNotPinnedError("not this server's name")
        if not self._pinned or self._is_stale:
            await self._pin()
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=_family(address),
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._pinned
            if family in (socket.AF_UNSPEC, _family(address))
        ]

    async def close(self) -> None:
        """Nothing is held."""

    def mark_unreachable(self) -> None:
        """Let the next connection resolve the name again: no pinned address answers."""
        self._is_stale = True

    def mark_reachable(self) -> None:
        """Keep the pinned addresses: one of them answered."""
        self._is_stale = False

    def make_socket(self, info: AddrInfoType) -> socket.socket:
        """Make the socket of a connection after a last look at where it goes.

        Raises:
            AddressNotPinnedError: The address isn't one of the pinned.
        """
        family, kind, proto, _, target = info
        address = plain_address(str(target[0]))
        if address is None or address not in self._pinned or address in _METADATA:
            raise AddressNotPinnedError("not a pinned address")
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return made

    async def _pin(self) -> None:
        found = [plain_address(text) for text in await self._lookup(self._host)]
        addresses = dict.fromkeys(a for a in found if a is not None and a not in _METADATA)
        if self._kind is not None:
            addresses = dict.fromkeys(a for a in addresses if _kind(a) == self._kind)
        if not addresses:
            raise AddressNotPinnedError("no address that may be used")
        self._pinned = tuple(addresses)
        self._kind = _kind(self._pinned[0])
        self._pinned = tuple(a for a in self._pinned if _kind(a) == self._kind)
        self._is_stale = False


def _kind(address: str) -> str:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if parsed.is_loopback:
        return "loopback"
    return "private" if parsed.is_private or parsed.is_link_local else "public"


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
