"""Is the machine there: name, ping, TCP. Each way to fail has its own sentence."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from statistics import median
from typing import Final

from bot.core.clock import Clock
from bot.diagnostics.link import Way, failed, greets
from bot.diagnostics.values import Fact, Finding, Status, Step
from bot.lmstudio import errors
from bot.lmstudio.transport import (
    REFUSED_ERRNOS,
    AddressNotPinnedError,
    Endpoint,
    PinnedResolver,
    Transport,
    plain_address,
)
from config.defaults import LMSTUDIO_PORT

_MAX_ADDRESSES: Final = 4
_VPN: Final = ipaddress.ip_network("100.64.0.0/10")
"""Shared address space (RFC 6598), which overlay networks hand out."""
_UNREACHABLE: Final = frozenset(
    {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, 10049, 10051}
)
_HOST_AWAY: Final = frozenset(
    {errno.EHOSTUNREACH, getattr(errno, "EHOSTDOWN", errno.EHOSTUNREACH), 10065}
)
"""Nobody in the local network has the address: the system asked for it and got no answer."""

_A_VPN: Final = "a VPN"
_VPN_INTERFACES: Final = ("tun", "tap", "wg", "utun", "tailscale", "zt", "nordlynx", "proton")
"""What interfaces of VPN programs are called."""
_SIOCGIFADDR: Final = 0x8915

FIRST_S: Final = 3.3
"""Seconds for the first connection. Linux says only after 3 s that nobody has an address."""
SAMPLE_S: Final = 0.4
"""Seconds for each further one. A lost packet is sent again after 1 s, so a later one counts as lost."""
SAMPLES: Final = 5
_PAUSE_S: Final = 0.02
SIGN_S: Final = 0.6
"""Seconds to look for another sign of life."""
SIGN_PORT: Final = 65535
"""A port that nothing uses: a refusal there says that the machine is on."""


async def probe_name(way: Way) -> Finding:
    """Find the addresses that the client would connect to: A and AAAA, or the literal itself."""
    host = way.endpoint.host
    try:
        found = await way.resolver.resolve(host)
    except AddressNotPinnedError:
        return failed(Step.NAME, errors.AddressRefusedError())
    except (OSError, UnicodeError) as exc:
        temporary = isinstance(exc, socket.gaierror) and exc.errno == socket.EAI_AGAIN
        return name_late(host) if temporary else _no_name("There is no such name.", host)
    way.addresses = tuple(one["host"] for one in found[:_MAX_ADDRESSES])
    if not all(map(way.target.allows, way.addresses)):
        return failed(
            Step.NAME,
            errors.AddressRefusedError(),
            "The server was added by command, and its address isn't in the networks that the settings "
            "allow.",
            "Add its network to CLAWBOT_LMSTUDIO__ALLOWED_NETWORKS, or use /model endpoint remove.",
        )
    return judge_name(host, way.addresses, way.target.known)


def name_late(host: str) -> Finding:
    """Return what is so when nobody says what a name leads to."""
    return _no_name(
        "The name server doesn't answer.",
        host,
        "Check this machine's DNS setting and its router, or write the IP address of the model's "
        "machine into LMSTUDIO_BASE_URL instead of its name.",
    )


def judge_name(host: str, addresses: Sequence[str], known: Sequence[str]) -> Finding:
    """Say what a name's addresses tell.

    Args:
        host: As configured.
        addresses: What it leads to.
        known: What it led to the last time; empty where that isn't known.
    """
    facts: dict[str, Fact] = {"leads_to": _network(addresses[0])}
    if plain_address(host) is not None:
        cause = "A plain IP address, no name to resolve."
        return Finding(Step.NAME, Status.OK, cause, facts=facts)
    technical = f"{host}: {', '.join(addresses)}"
    if known and not set(known) & set(addresses):
        return Finding(
            Step.NAME,
            Status.WARNING,
            "The name leads to another address than the last time.",
            "Give the model's machine a fixed address in the router's settings (DHCP reservation).",
            technical=f"{technical}, before: {', '.join(known)}",
            facts=facts,
        )
    return Finding(Step.NAME, Status.OK, "The name is known.", technical=technical, facts=facts)


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address, which may be followed by the interface that leads to it."""
    return ipaddress.ip_address(address.partition("%")[0])


def _network(address: str) -> str:
    ip = _ip(address)
    if ip.is_loopback:
        return "this machine"
    if ip.version == 4 and ip in _VPN:
        return _A_VPN
    return "a private network" if ip.is_private or ip.is_link_local else "the internet"


def _no_name(cause: str, host: str, advice: str = "") -> Finding:
    return replace(failed(Step.NAME, errors.HostNotFoundError(), cause, advice), technical=host)


class Knock(Enum):
    """How a TCP connection attempt ended."""

    OPEN = auto()
    REFUSED = auto()
    TIMED_OUT = auto()
    AWAY = auto()
    UNREACHABLE = auto()
    FORBIDDEN = auto()


def classify(exc: OSError) -> Knock:
    """Tell the ways apart in which a connection fails."""
    if isinstance(exc, TimeoutError) or exc.errno == errno.ETIMEDOUT:
        return Knock.TIMED_OUT
    codes = {exc.errno, getattr(exc, "winerror", None)}
    if REFUSED_ERRNOS & codes:
        return Knock.REFUSED
    if isinstance(exc, PermissionError):
        return Knock.FORBIDDEN
    if _HOST_AWAY & codes:
        return Knock.AWAY
    if _UNREACHABLE & codes:
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


async def probe_connection(way: Way) -> Finding:
    """Knock at all addresses at once, then some more times at the one that opened."""
    port, clock = way.endpoint.port, way.clock
    began_s = clock.monotonic()
    knocks = await asyncio.gather(*(knock(one, port, FIRST_S) for one in way.addresses))
    tried = list(zip(way.addresses, knocks, strict=True))
    technical = ", ".join(
        f"{_shown(one)}:{port} {how.name.lower().replace('_', ' ')}" for one, how in tried
    )
    if Knock.OPEN not in knocks:
        address, how = next((a, how) for a, how in tried if how is worst(knocks))
        signs = await look_around(way, address, how)
        is_only_v6 = all(":" in one for one in way.addresses) and not plain_address(
            way.endpoint.host
        )
        can_wake = way.target.can_wake
        finding = refusal(address, how, signs, is_only_v6=is_only_v6, can_wake=can_wake)
        return replace(finding, technical=technical)
    opened = next(one for one, how in tried if how is Knock.OPEN)
    trips_s = [clock.monotonic() - began_s] if len(tried) == 1 else []
    for _ in range(SAMPLES - len(trips_s)):
        await clock.sleep(_PAUSE_S)
        trip_s = await _sample(opened, port, clock)
        if trip_s is not None:
            trips_s.append(trip_s)
    finding = judge_open(tried, trips_s)
    return replace(finding, technical=technical, facts=link_facts(trips_s, SAMPLES))


def _shown(address: str) -> str:
    """Return an address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


async def _sample(address: str, port: int, clock: Clock) -> float | None:
    began_s = clock.monotonic()
    how = await knock(address, port, SAMPLE_S)
    return clock.monotonic() - began_s if how is Knock.OPEN else None


def link_facts(trips_s: Sequence[float], tried: int) -> dict[str, Fact]:
    """Return what round trips measure.

    Args:
        trips_s: Those that came back, in seconds.
        tried: How many were made.
    """
    facts: dict[str, Fact] = {"lost": f"{tried - len(trips_s)} of {tried}"}
    if trips_s:
        facts["round_trip_ms"] = round(median(trips_s) * 1000, 1)
        facts["jitter_ms"] = round((max(trips_s) - min(trips_s)) * 1000, 1)
    return facts


def judge_open(tried: Sequence[tuple[str, Knock]], trips_s: Sequence[float]) -> Finding:
    """Say what the knocks tell where one of them was answered.

    Args:
        tried: Each address with what came of it.
        trips_s: How long those connections took that came about, of ``SAMPLES``, in seconds.
    """
    dead = [one for one, how in tried if how is not Knock.OPEN and not _costs_nothing(one, how)]
    if any(":" in one for one in dead) and len(tried) > 1:
        return Finding(
            Step.CONNECTION,
            Status.WARNING,
            "The port is open, but the name also has an IPv6 address where nothing answers.",
            "Write the machine's IPv4 address into LMSTUDIO_BASE_URL; LM Studio listens on IPv4.",
        )
    if dead:
        return Finding(
            Step.CONNECTION,
            Status.WARNING,
            "The name leads to several addresses, and only at some of them the port is open.",
            "Take the old address out of the name server, or write the right one into "
            "LMSTUDIO_BASE_URL instead of the name.",
        )
    if len(trips_s) < SAMPLES:
        return Finding(
            Step.CONNECTION,
            Status.WARNING,
            "The port is open, but some connections are lost on the way.",
            LOSSY,
        )
    return Finding(Step.CONNECTION, Status.OK, "The port is open.")


def _costs_nothing(address: str, how: Knock) -> bool:
    """Whether it is IPv6 and refuses at once, as ``localhost`` does where a server listens on IPv4."""
    return ":" in address and how is Knock.REFUSED


LOSSY: Final = "Use a cable instead of Wi-Fi, or move closer to the access point; with a cable, try another one."


@dataclass(frozen=True, slots=True)
class Signs:
    """What else was seen where a connection failed.

    Attributes:
        is_own: The address is one of the bot's own machine.
        is_alive: The machine answered something else.
        is_on_loopback: LM Studio answers at 127.0.0.1 of the bot's own machine, at this port.
        is_on_usual_port: LM Studio answers at the same address, at its usual port.
        is_through_vpn: The way to it begins in a VPN.
    """

    is_own: bool = False
    is_alive: bool = False
    is_on_loopback: bool = False
    is_on_usual_port: bool = False
    is_through_vpn: bool = False


async def look_around(way: Way, address: str, how: Knock) -> Signs:
    """Look for what explains a connection that failed; only at the same address and at loopback."""
    port = way.endpoint.port
    is_through_vpn = _begins_in_vpn(address)
    if how is Knock.TIMED_OUT:
        other, answered = await asyncio.gather(
            knock(address, SIGN_PORT, SIGN_S), ping(address, SIGN_S)
        )
        is_alive = answered or other in {Knock.REFUSED, Knock.OPEN}
        return Signs(is_alive=is_alive, is_through_vpn=is_through_vpn)
    if how is not Knock.REFUSED:
        return Signs(is_through_vpn=is_through_vpn)
    is_own = _is_own(address)
    loopback = is_own and address != "127.0.0.1"
    on_loopback, on_usual = await asyncio.gather(
        _is_lmstudio(way, "127.0.0.1", port) if loopback else _no(),
        _is_lmstudio(way, address, LMSTUDIO_PORT) if port != LMSTUDIO_PORT else _no(),
    )
    return Signs(is_own, True, on_loopback, on_usual, is_through_vpn)


def _begins_in_vpn(address: str) -> bool:
    """Return whether this machine would send to an IPv4 address from a VPN's address or interface."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # of a datagram socket: chooses the way, and sends nothing
            source = probe.getsockname()[0]
        names = [name for _, name in socket.if_nameindex() if name.startswith(_VPN_INTERFACES)]
    except OSError:
        return False
    return _network(source) == _A_VPN or source in map(_address_of, names)


def _address_of(interface: str) -> str:
    """Return an interface's IPv4 address; on Linux only, else nothing."""
    if sys.platform != "linux":
        return ""
    import fcntl  # noqa: PLC0415 - not on every system

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            found = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return ""
    return socket.inet_ntoa(found[20:24])


async def _no() -> bool:
    return False


async def _is_lmstudio(way: Way, address: str, port: int) -> bool:
    endpoint = Endpoint("http", address, port)
    return await greets(Transport(endpoint, way.clock, PinnedResolver(address)), SIGN_S)


def _is_own(address: str) -> bool:
    """Return whether an address is one of this machine: only those can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


async def ping(address: str, limit_s: float) -> bool:
    """Return whether an IPv4 address answers a ping; ``False`` also where this system lets us send none.

    Linux and macOS let everybody (or some groups) send echo requests over a datagram socket.
    The bot's own machine always answers itself, which says nothing, so it isn't asked.
    """
    ip = _ip(address)
    if ip.version != 4 or ip.is_loopback:
        return False
    try:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    except OSError:
        return False
    with made:
        made.setblocking(False)
        body = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, 1)
        sum_ = sum(struct.unpack("!4H", body))
        request = body[:2] + struct.pack("!H", ~(sum_ + (sum_ >> 16)) & 0xFFFF) + body[4:]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limit_s):
                await loop.sock_connect(made, (address, 0))
                await loop.sock_sendall(made, request)
                return bool(await loop.sock_recv(made, 256))
        except OSError:
            return False


def worst(knocks: Sequence[Knock]) -> Knock:
    """Return the answer that says most: a refusal proves that a machine is there."""
    order = (Knock.REFUSED, Knock.TIMED_OUT, Knock.FORBIDDEN, Knock.AWAY, Knock.UNREACHABLE)
    return next(how for how in order if how in knocks)


_ASLEEP: Final = "Nothing answers at that address: the machine is off or asleep."
_WAKE_BY_HAND: Final = (
    "Wake the machine or switch it on, and switch off its sleep, or let the bot wake it "
    "(CLAWBOT_LMSTUDIO__WAKE); if it is on, check that its address hasn't changed and allow LM Studio in "
    "its firewall."
)
_WAKE: Final = (
    "Wake it with /model wake, or ask a question, which wakes it too; if it stays away, switch it on, and "
    "check that its address hasn't changed."
)


def refusal(
    address: str,
    how: Knock,
    signs: Signs | None = None,
    *,
    is_only_v6: bool = False,
    can_wake: bool = False,
) -> Finding:
    """Put a failed connection into words.

    Args:
        address: The IP address tried; decides the advice, and isn't shown.
        how: How it failed.
        signs: What else was seen.
        is_only_v6: The name has no IPv4 address.
        can_wake: The bot knows how to wake the machine.
    """
    cause, advice = _words(address, how, signs or Signs())
    if can_wake and cause == _ASLEEP:
        advice = _WAKE
    if is_only_v6 and how is not Knock.FORBIDDEN:
        cause = "The name has only an IPv6 address, and nothing answers there."
        advice = (
            "Write the machine's IPv4 address into LMSTUDIO_BASE_URL; LM Studio listens on IPv4."
        )
    return Finding(Step.CONNECTION, Status.FAILED, cause, advice)


def _words(address: str, how: Knock, signs: Signs) -> tuple[str, str]:
    if _network(address) == _A_VPN and not (signs.is_own or signs.is_through_vpn):
        return (
            "The address belongs to a VPN, and this machine isn't in it.",
            "Check that the VPN is up on both machines.",
        )
    if how is Knock.REFUSED:
        return _refused(address, signs)
    if how is Knock.FORBIDDEN:
        return (
            "The bot's own machine forbids the connection.",
            "Allow outgoing connections for the bot in this machine's firewall or sandbox.",
        )
    if how is Knock.TIMED_OUT and signs.is_alive:
        return (
            "The machine is on, but a firewall drops the connection.",
            "Allow LM Studio in the firewall of the model's machine, for private networks.",
        )
    if signs.is_through_vpn:
        return (
            "This machine sends to that address through a VPN, and nothing answers there.",
            "Check that the VPN is up on both machines, or let it leave out the local network.",
        )
    if how is Knock.UNREACHABLE:
        return (
            "There is no way from the bot's machine to that address.",
            "Check that both machines are in the same network and that no VPN takes the traffic.",
        )
    return _ASLEEP, _WAKE_BY_HAND


def _refused(address: str, signs: Signs) -> tuple[str, str]:
    ip = _ip(address)
    if signs.is_on_usual_port:
        return (
            f"Nothing listens at the configured port, but LM Studio answers at port {LMSTUDIO_PORT}.",
            f"Write port {LMSTUDIO_PORT} into LMSTUDIO_BASE_URL.",
        )
    if signs.is_on_loopback:
        return (
            "LM Studio listens only at 127.0.0.1, and the bot asks at another address.",
            (
                "Switch on “Serve on Local Network” in LM Studio, or write http://127.0.0.1 and the "
                "port into LMSTUDIO_BASE_URL."
            ),
        )
    if ip.is_loopback or ip.is_unspecified:
        return (
            "Nothing listens at that port on the bot's own machine.",
            (
                "If LM Studio runs on another machine, put that machine's address into "
                "LMSTUDIO_BASE_URL (localhost means the bot's own); else start LM Studio's server "
                "and compare the port."
            ),
        )
    return (
        "The machine is there, but nothing listens at that port.",
        errors.ServerRefusedError.admin_hint,
    )
