"""Addresses as people type them, checked and put into one form.

Messages never repeat the address: it may hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from config.defaults import LMSTUDIO_PORT, LOOPBACK

_API_TAIL: Final = re.compile(
    r"/(?:v1|api/v\d{1,3}|chat/completions|completions|models|responses|chat|lmstudio-greeting)/*+$",
    re.IGNORECASE,
)
_SAID_TWICE: Final = re.compile(r"https?://(?=https?://)", re.IGNORECASE)
_BARE_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^/:@\[\]\s'\x22]+)(?::\d+)?(?:/(?!/).*)?")
_PORT_ONLY: Final = re.compile(r":?\d{1,5}")
_API_VERSION: Final = "/v10"
PROXY_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Schemes of proxies, with the port where none is given; socks5h is another name of socks5 here."""
_VERSIONED: Final = re.compile(r"/v\d+$")
_MAC: Final = re.compile(
    r"[0-9A-Fa-f]{12}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}|[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})"
)
_WITHOUT_MARKS: Final = str.maketrans("", "", ":.-")
_DATABASE: Final = re.compile(r"^[a-z][a-z0-9]*(\+[a-z0-9_]+)?://")


def lmstudio_base(text: str) -> str:
    """Return an LM Studio address without the API's path, so that ``…/v1`` and ``…`` are the same.

    As people type it, it may stand in quotes, have ``http://`` twice or lack it, and then LM Studio's port or the
    host too.

    Raises:
        ValueError: Not an http or https address, or it holds a password, a query or a fragment.
    """
    typed = _unquoted(text.strip())
    twice = _SAID_TWICE.match(typed)
    typed = _with_host(typed[twice.end() :] if twice else typed)
    is_bare = _BARE_HOST.fullmatch(typed) is not None
    parts = _split(f"http://{typed}" if is_bare else typed, ("http", "https"))
    if is_bare and parts.port is None:
        parts = parts._replace(netloc=f"{parts.netloc}:{LMSTUDIO_PORT}")
    path = parts.path.rstrip("/")
    while tail := _API_TAIL.search(path):
        path = path[: tail.start()].rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _unquoted(text: str) -> str:
    """Return text without the quotes around it, which docker leaves to a value of an env file."""
    return text[1:-1].strip() if text[:1] in {'"', "'"} and text[-1:] == text[:1] else text


def _with_host(text: str) -> str:
    """Return an address with loopback where only a port is given, and IPv6 in its brackets."""
    if _PORT_ONLY.fullmatch(text):
        return f"{LOOPBACK}:{text.removeprefix(':')}"
    try:
        return f"[{ipaddress.IPv6Address(text)}]"
    except ValueError:
        return text


def discord_api_base(text: str) -> str:
    """Return a Discord REST address that ends in its version; ``/api/v10`` is added where missing.

    Raises:
        ValueError: Not an http or https address, another version than 10, or it holds a password,
            a query or a fragment.
    """
    parts = _split(text, ("http", "https"))
    path = parts.path.rstrip("/")
    if not _VERSIONED.search(path):
        path += _API_VERSION if path.endswith("/api") else f"/api{_API_VERSION}"
    if not path.endswith(_API_VERSION):
        raise ValueError("must be version 10 of Discord's API (…/api/v10)")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def gateway_address(text: str) -> str:
    """Return a gateway address; the client adds its own query.

    Raises:
        ValueError: Not a ws or wss address, or it holds a password.
    """
    parts = _split(text, ("ws", "wss"), allow_query=True)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", "", ""))


def host_port(text: str) -> tuple[str, int]:
    """Split ``host:port``, ``[v6]:port``, ``:port`` or a bare port; without a host, loopback.

    Raises:
        ValueError: No port, or one outside 0 to 65535 (0 lets the system choose).
    """
    host, colon, port = text.strip().rpartition(":")
    message = "must be host:port, for example 127.0.0.1:9100"
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(message)
    if not colon or not host:
        return LOOPBACK, int(port)
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or any(ch in bare for ch in "/@[] ") or (":" in bare and host == bare):
        raise ValueError(message)
    return bare, int(port)


def listen_address(text: str) -> str:
    """Return ``host:port`` in one form, loopback where the host is left out.

    Raises:
        ValueError: As ``host_port``.
    """
    host, port = host_port(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def proxy_address(text: str) -> str:
    """Return a proxy's address with its port.

    Raises:
        ValueError: Not an http, https or socks5 address, or it has more than a user, a password, a
            host and a port.
    """
    typed = text.strip()
    parts = _parts(typed if "://" in typed else f"http://{typed}", tuple(PROXY_PORTS))
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must end after the port")
    netloc = (
        parts.netloc if parts.port else f"{parts.netloc.rstrip(':')}:{PROXY_PORTS[parts.scheme]}"
    )
    return f"{parts.scheme}://{netloc}"


class WakeTarget(NamedTuple):
    """A network card to wake, and where the packet for it goes.

    Attributes:
        mac: Six bytes in hexadecimal, small letters, with colons between; empty for a machine that
            never sleeps.
        broadcast: An IPv4 address, usually a network's broadcast address.
        port: UDP port.
    """

    mac: str
    broadcast: str = "255.255.255.255"
    port: int = 9


def wake_target(text: str) -> WakeTarget:
    """Read ``MAC``, ``MAC@broadcast`` or ``MAC@broadcast:port``; ``none`` for a machine that never sleeps.

    Raises:
        ValueError: Anything else.
    """
    typed, at, where = text.strip().partition("@")
    if typed.lower() in {"none", "-"} and not at:
        return WakeTarget("")
    if not _MAC.fullmatch(typed):
        raise ValueError("must be a MAC address such as 00:11:22:33:44:55, or none")
    digits = typed.translate(_WITHOUT_MARKS).lower()
    if int(digits[:2], 16) & 1 or not int(digits, 16):
        raise ValueError("must be the address of one network card, not of a group or of none")
    mac = ":".join(digits[place : place + 2] for place in range(0, 12, 2))
    if not at:
        return WakeTarget(mac)
    host, _, port = where.partition(":")
    try:
        target = WakeTarget(
            mac, str(ipaddress.IPv4Address(host)), int(port or WakeTarget(mac).port)
        )
    except ValueError:
        target = WakeTarget(mac, port=0)
    if not 0 < target.port <= 65_535:
        raise ValueError("must have an IPv4 address behind the @, such as @192.168.1.255")
    return target


def excepted_host(text: str) -> str:
    """Return the name of a host that is reached without the proxy.

    Raises:
        ValueError: It has a blank or a path in it, so it is no host's name.
    """
    if not text or set(text) & set(" \t/"):
        raise ValueError("must be names of hosts such as discord.com, separated by commas")
    return text


def network(text: str) -> str:
    """Return a network such as ``192.168.1.0/24``, or one address, in its plain form.

    Raises:
        ValueError: Anything else.
    """
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError("must be networks such as 192.168.1.0/24") from None


def cdn_host(text: str) -> str:
    """Return ``host`` or ``host:port`` of a CDN in one form.

    Raises:
        ValueError: Anything else, such as an address with its scheme or path.
    """
    wanted = text.strip().lower()
    try:
        parts = urlsplit(f"//{wanted}")
        is_one = parts.netloc == wanted and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one or "@" in wanted or any(ch.isspace() or not ch.isprintable() for ch in wanted):
        raise ValueError("must be a host, or host:port, without https:// and without a path")
    return wanted.removesuffix(":")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def database_address(text: str) -> str:
    """Return a SQLAlchemy URL; only its shape is checked here.

    Raises:
        ValueError: Not of the form ``dialect://…``.
    """
    if not _DATABASE.match(text):
        raise ValueError("must be a SQLAlchemy URL such as sqlite:///bot.db")
    return text


def _split(text: str, schemes: tuple[str, ...], *, allow_query: bool = False) -> SplitResult:
    parts = _parts(text, schemes)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password")
    if (parts.query or parts.fragment) and not allow_query:
        raise ValueError("must not have anything after ? or #")
    return parts


def _parts(text: str, schemes: tuple[str, ...]) -> SplitResult:
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        raise ValueError(f"must be an address that starts with {wanted}") from None
    try:
        has_port = parts.port != 0
    except ValueError:
        has_port = False
    if not has_port:
        raise ValueError("must have a port from 1 to 65535, such as :1234")
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"must be an address that starts with {wanted}")
    if any(ch.isspace() or not ch.isprintable() for ch in text.strip()):
        raise ValueError("must not hold spaces")
    return parts
