"""Where an owner may point the bot by command: only at machines of networks that the operator named."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from bot.core.clock import Clock, within
from bot.core.errors import ConfigurationError
from bot.lmstudio.errors import OwnersRequestError
from bot.lmstudio.transport import METADATA, Endpoint, Lookup, parse_endpoint, plain_address

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_CHARS: Final = 200
_LOOKUP_S: Final = 5.0
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")

NO_NETWORKS: Final = (
    "No network is named in which I may use a server. Name one in "
    "CLAWBOT_LMSTUDIO__ALLOWED_NETWORKS, such as 192.168.1.0/24."
)
NOT_ALLOWED: Final = (
    "I may not use a server there: it is in none of the networks of "
    "CLAWBOT_LMSTUDIO__ALLOWED_NETWORKS."
)
NOT_AN_ADDRESS: Final = "That isn't a server's address. Write it like 192.168.1.20:1234."
NO_SUCH_HOST: Final = "There is no machine of that name."


class EndpointError(OwnersRequestError):
    """A server may not be used, or doesn't answer."""

    user_text = "I can't use that server."
    admin_hint = "Check the address, and CLAWBOT_LMSTUDIO__ALLOWED_NETWORKS."


def read_endpoint(text: str) -> Endpoint:
    """Read an address that somebody typed; strictly, since each odd spelling means two things to two readers.

    Raises:
        EndpointError: It isn't plainly one.
    """
    text = text.strip()
    if not text.isascii() or "%" in text or len(text) > MOST_CHARS:
        raise EndpointError(NOT_AN_ADDRESS)
    try:
        return parse_endpoint(text)
    except ConfigurationError:
        raise EndpointError(NOT_AN_ADDRESS) from None


def may_use(text: str, networks: Sequence[str]) -> bool:
    """Return whether a server at an IP address may be used.

    Args:
        text: The address in its plain form.
        networks: Those that the operator named.
    """
    if "%" in text:
        return False
    address = ipaddress.ip_address(text)
    if any(_is_forbidden(one) for one in (address, *_inside(address))):
        return False
    allowed = map(ipaddress.ip_network, networks)
    return any(address.version == one.version and address in one for one in allowed)


def _is_forbidden(address: Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or str(address) in METADATA
        or str(address) == "255.255.255.255"
    )


def _inside(address: Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses to which an IPv6 address may be translated on its way."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one is not None]


async def addresses_of(
    endpoint: Endpoint, networks: Sequence[str], lookup: Lookup, clock: Clock
) -> tuple[str, ...]:
    """Return the addresses that a server has, all of which may be used.

    Raises:
        EndpointError: It has none, or one that may not be used.
    """
    if not networks:
        raise EndpointError(NO_NETWORKS)
    literal = plain_address(endpoint.host)
    try:
        found: Sequence[str] = [literal] if literal else ()
        found = found or await within(clock, lookup(endpoint.host), _LOOKUP_S)
    except (OSError, TimeoutError, UnicodeError):
        raise EndpointError(NO_SUCH_HOST) from None
    plain = [plain_address(each) for each in found]
    if not plain:
        raise EndpointError(NO_SUCH_HOST)
    if not all(each is not None and may_use(each, networks) for each in plain):
        raise EndpointError(NOT_ALLOWED)
    return tuple(dict.fromkeys(each for each in plain if each is not None))
