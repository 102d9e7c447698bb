"""The wire to one server: its address, bound to a machine; bounded HTTP; and a request that is watched.

One aiohttp session per server. LM Studio closes idle connections after 5 seconds, so ours live 4.
No cookies, no proxies from the environment, no redirects, no compression: each of them is a way
for an answer to cost more than it should or for a prompt to go where it must not.

A question's request (``Exchange``) runs by itself until the first text, because the connection and a
model that has been loaded are told as well; after that, each read is the reader's own. A timer ends a
request whose time is over, whether or not somebody reads. Before the first text the server is asked,
every so often, whether it is still there; as long as it is, silence means that it loads or reads. After
that, only text counts as progress: comments and empty events renew nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import re
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from aiohttp import (
    AddrInfoType,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    Fingerprint,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bot.core.clock import Clock, Timer, within
from bot.core.domain import Pace, TextDelta
from bot.core.errors import BackendError, ConfigurationError
from bot.core.tasks import apart, end_tasks
from bot.lmstudio import errors, failures
from bot.lmstudio.completion import MAX_STREAM_BYTES, CompletionDecoder, parse_json
from config.addresses import lmstudio_base

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a name; raises ``OSError`` when there is none."""

Tls = ssl.SSLContext | Fingerprint | bool
"""What decides whether an https server is trusted."""

_LOOKS_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)

METADATA: Final = frozenset(
    {"169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"}
)
"""Cloud metadata services (AWS and most others, Alibaba, Oracle, AWS, Google): never a model's server."""

COMPLETIONS: Final = "/v1/chat/completions"

KEEPALIVE_S: Final = 4.0
"""Seconds; LM Studio's server says ``Keep-Alive: timeout=5``."""

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""Largest body that isn't a stream; a list of 200 models is about 200 KB."""

_AUTHORIZATION: Final = "Authorization"

GREETING: Final = "/lmstudio-greeting"
"""A path that LM Studio answers at once, also while it is busy."""

REFUSED_ERRNOS: Final = frozenset({61, 111, 1225, 10061})
"""Connection refused on macOS, Linux and Windows (two codes)."""

_CERTIFICATE_ERRORS: Final[dict[int | None, type[errors.CertificateError]]] = {
    9: errors.CertificateExpiredError,
    10: errors.CertificateExpiredError,
    62: errors.CertificateNameError,
    64: errors.CertificateNameError,
}
"""By OpenSSL's X509_V_ERR codes: not yet valid, expired, another name, another address."""

CONNECT_LIMIT_S: Final = 5.0
"""Seconds; a LAN answers in milliseconds, a dropped packet is sent again after 1 and 3."""

LOAD_ALLOWANCE_S: Final = 180.0
"""Seconds; loading 50 to 70 GB from a solid state disk."""

PROBE_LIMIT_S: Final = 5.0
"""Seconds that a side probe may take; a busy LM Studio still answers a GET at once."""

AFTER_FINISH_S: Final = 2.0
"""Seconds to wait for usage and the end mark once a finish reason came."""

BYTES_PER_TOKEN: Final = 1024
"""Wire bytes per token of ``max_tokens``; a chunk of one token is about 300."""

GONE_AGAIN_S: Final = 2.0
"""Seconds until a server that couldn't be reached is asked once more."""

DRAIN_S: Final = 0.05
"""Seconds to wait for the end of the body after the end mark, to keep the connection."""

_LONGEST_SLEEP_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one server is.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Lower case name, or an IP address in its plain form (without brackets).
        port: TCP port.
        prefix: Path before ``/v1`` and ``/api``, for servers behind a proxy; usually empty.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a token is bound to."""
        return str(URL.build(scheme=self.scheme, host=self.host, port=self.port).origin())

    def url(self, path: str) -> URL:
        """Return the address of a path such as ``/v1/models``."""
        return URL.build(
            scheme=self.scheme, host=self.host, port=self.port, path=self.prefix + path
        )


def parse_endpoint(text: str) -> Endpoint:
    """Read a base URL as people type it (``config.addresses.lmstudio_base``).

    Raises:
        ConfigurationError: It isn't an http(s) address of a host; the message never repeats a
            password.
    """
    try:
        plain = lmstudio_base(text)
    except ValueError as exc:
        raise _refusal(str(exc)) from None
    try:
        url = URL(plain)
        host, port = url.host, url.port
    except ValueError:
        raise _refusal("is not an address like http://192.168.1.20:1234") from None
    if not host or port is None:
        raise _refusal("is not an address like http://192.168.1.20:1234")
    return Endpoint(
        url.scheme, _plain_host(host, url.raw_host or "", text), port, url.path.rstrip("/")
    )


def tokens_by_origin(base_urls: Sequence[str], tokens: Sequence[str]) -> dict[str, str]:
    """Return which token goes to which origin; an origin without one is asked without a token.

    Args:
        base_urls: Addresses of servers.
        tokens: The token of each, in the same order; empty or missing where there is none.

    Raises:
        ConfigurationError: An address isn't one.
    """
    found: dict[str, str] = {}
    for text, token in zip(base_urls, tokens, strict=False):
        if token:
            found.setdefault(parse_endpoint(text).origin, token)
    return found


def plain_address(text: str) -> str | None:
    """Return an IP address in its shortest form, IPv4 in IPv6 taken out; ``None`` for others."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _plain_host(host: str, raw_host: str, text: str) -> str:
    """Return the host; refuse spellings that mean an address to some and a name to others."""
    address = plain_address(host)
    if address is not None:
        if ipaddress.ip_address(address.partition("%")[0]).is_unspecified:
            raise _refusal("means every address; use 127.0.0.1 for this machine")
        if text.isascii():
            return address
    if ":" in host:  # an address of a future kind (RFC 3986, IPvFuture), which leads nowhere
        raise _refusal("is not an address like http://192.168.1.20:1234")
    name = raw_host.lower()
    last_label = name.rstrip(".").rpartition(".")[2]
    if not name.isascii() or _LOOKS_NUMERIC.fullmatch(last_label):
        raise _refusal("is an odd spelling of an IP address; write it as four numbers")
    return name


def _refusal(reason: str) -> ConfigurationError:
    return ConfigurationError(f"LMSTUDIO_BASE_URL {reason}.")


class AddressNotPinnedError(OSError):
    """A connection would go to an address that the name didn't have at first."""


async def system_lookup(host: str) -> Sequence[str]:
    """Resolve with the system's resolver, in a thread that the end of the process doesn't wait for."""
    work = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in await apart(work, name="lookup")]


class PinnedResolver(AbstractResolver):
    """Resolver and socket factory of one server's connections: a name can't lead to another machine later.

    A server's name is resolved once; every connection must go to one of those addresses. Only when
    none of them answers any more is the name resolved again (a machine may get a new lease), and then
    only addresses of the same kinds count: a name that led into the local network never leads out of
    it, nor back to this machine. The last word is said where the socket is made, since that sees the
    final address whatever way it was spelled.
    """

    def __init__(
        self,
        host: str,
        lookup: Lookup = system_lookup,
        *,
        allows: Callable[[str], bool] = lambda _address: True,
        pinned: Sequence[str] = (),
    ) -> None:
        """Bind to a host.

        Args:
            host: Name or plain IP address.
            lookup: How names are resolved.
            allows: Whether an address may be used at all, besides those that never may.
            pinned: What the name has been found to lead to already.
        """
        self._host = host
        self._lookup = lookup
        self._allows = allows
        address = plain_address(host)
        self._pinned: tuple[str, ...] = (address,) if address else tuple(pinned)
        self._kinds = frozenset(map(_kind, self._pinned)) if pinned else frozenset[str]()
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
        if address is None or address not in self._pinned or not self._may_use(address):
            raise AddressNotPinnedError("not a pinned address")
        made = socket.socket(family, kind, proto)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return made

    def _may_use(self, address: str) -> bool:
        return address not in METADATA and self._allows(address)

    async def _pin(self) -> None:
        found = [plain_address(text) for text in await self._lookup(self._host)]
        addresses = dict.fromkeys(a for a in found if a is not None and self._may_use(a))
        if self._kinds:
            addresses = dict.fromkeys(a for a in addresses if _kind(a) in self._kinds)
        if not addresses:
            raise AddressNotPinnedError("no address that may be used")
        self._pinned = tuple(addresses)
        self._kinds = self._kinds or frozenset(map(_kind, self._pinned))
        self._is_stale = False


def _kind(address: str) -> str:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if parsed.is_loopback:
        return "loopback"
    return "private" if parsed.is_private or parsed.is_link_local else "public"


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def make_tls(ca_file: Path | None, certificate_sha256: str | None) -> Tls:
    """Return what decides whether an https server is trusted; verification is never off.

    Raises:
        ConfigurationError: The file can't be read, or the fingerprint isn't a SHA-256.
    """
    if certificate_sha256 is not None:
        digits = certificate_sha256.lower().removeprefix("sha256:").replace(":", "").strip()
        try:
            return Fingerprint(bytes.fromhex(digits))
        except ValueError:
            raise ConfigurationError(
                "The certificate fingerprint must be a SHA-256: 64 hexadecimal digits."
            ) from None
    if ca_file is None:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=str(ca_file))
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            f"The CA file {ca_file} can't be read as PEM certificates."
        ) from None
    return context


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply that isn't a stream, whatever its status.

    Attributes:
        content_type: The header, in lower case; empty without one.
        retry_after: The header of that name.
        location: The same, of a redirect; nobody follows it.
    """

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None
    location: str = ""

    @property
    def json(self) -> object:
        """The body as JSON; ``None`` if it is none."""
        try:
            return parse_json(self.body)
        except ValueError:
            return None

    @property
    def failure(self) -> BackendError | None:
        """What the server refuses or can't do; ``None`` for a success."""
        parsed = self.json
        if self.status == 200 and parsed is not None and not failures.error_in(parsed):
            return None
        return failures.classify(self.status, self.body, self.retry_after)


class Transport:
    """HTTP to one server."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        resolver: PinnedResolver,
        *,
        token: str | None = None,
        tls: Tls = True,
    ) -> None:
        """Prepare; nothing is connected yet. Needs a running event loop.

        Args:
            endpoint: The only server this ever talks to.
            clock: Time.
            resolver: The server's pinned addresses.
            token: Bearer token for this server.
            tls: What ``make_tls`` returned.
        """
        self.endpoint = endpoint
        self._clock = clock
        self._resolver = resolver
        headers = {"Accept-Encoding": "identity", "User-Agent": "clawbot"}
        if token:
            headers[_AUTHORIZATION] = f"Bearer {token}"
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_note_connected)
        trace.on_connection_reuseconn.append(_note_connected)
        self._session = ClientSession(
            connector=TCPConnector(
                limit=0,
                keepalive_timeout=KEEPALIVE_S,
                use_dns_cache=False,
                resolver=resolver,
                socket_factory=resolver.make_socket,
                ssl=tls,
            ),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[trace],
        )

    def use_token(self, token: str | None) -> bool:
        """Send another bearer token from the next request on; return whether it is another."""
        wanted = None if token is None else f"Bearer {token}"
        if wanted == self._session.headers.get(_AUTHORIZATION):
            return False
        self._session.headers.popall(_AUTHORIZATION, None)
        if wanted is not None:
            self._session.headers[_AUTHORIZATION] = wanted
        return True

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def open(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        on_connected: Callable[[], None] | None = None,
    ) -> ClientResponse:
        """Send a request and return the response once its head is there; the caller closes it.

        Raises:
            BackendError: No connection, no trust, no answer, or one that is encoded.
        """
        try:
            response = await self._session.request(
                method,
                self.endpoint.url(path),
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                allow_redirects=False,
                trace_request_ctx=on_connected,
            )
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise self._translated(exc) from exc
        self._resolver.mark_reachable()
        if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            response.close()
            raise errors.CompressedReplyError
        return response

    async def fetch_json(
        self, method: str, path: str, body: bytes | None = None, *, limit_s: float
    ) -> object:
        """Return the JSON that a request brings.

        Raises:
            BackendError: Whatever the server's answer means, if it isn't a success; a typed
                timeout after ``limit_s`` seconds.
        """
        reply = await self.fetch(method, path, body, limit_s=limit_s)
        if (failure := reply.failure) is not None:
            raise failure
        return reply.json

    async def fetch(
        self, method: str, path: str, body: bytes | None = None, *, limit_s: float
    ) -> Reply:
        """Return a whole reply, whatever its status.

        Raises:
            BackendError: There was none; a typed timeout after ``limit_s`` seconds, which says
                whether the connection stood by then.
        """
        connected: list[bool] = []
        work = self._fetch(method, path, body, lambda: connected.append(True))
        try:
            return await within(self._clock, work, limit_s)
        except TimeoutError:
            timeout = errors.SilentServerError if connected else errors.ConnectTimedOutError
            raise timeout from None

    async def answers(self, limit_s: float) -> bool:
        """Return whether the server answers anything at all to LM Studio's greeting.

        Raises:
            BackendUnavailableError: It can't be reached, as opposed to: it takes too long.
        """
        try:
            response = await within(self._clock, self.open("GET", GREETING), limit_s)
        except errors.BackendUnavailableError:
            raise
        except (TimeoutError, BackendError):
            return False
        response.close()
        return True

    async def _fetch(
        self, method: str, path: str, body: bytes | None, on_connected: Callable[[], None]
    ) -> Reply:
        response = await self.open(method, path, body, on_connected=on_connected)
        try:
            data = await self.read_body(response)
        finally:
            response.release()
        headers = response.headers
        kind = headers.get("Content-Type", "").lower()
        retry_after, location = headers.get("Retry-After"), headers.get("Location", "")
        return Reply(response.status, kind, data, retry_after, location)

    async def read_body(self, response: ClientResponse) -> bytes:
        """Read a body that isn't a stream, up to its limit.

        Raises:
            OversizedReplyError: It is too large.
            TruncatedStreamError: The connection broke before its end.
        """
        data = bytearray()
        try:
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > MAX_BODY_BYTES:
                    response.close()
                    raise errors.OversizedReplyError("the body is too large")
        except (aiohttp.ClientError, OSError) as exc:
            response.close()
            raise errors.TruncatedStreamError from exc
        return bytes(data)

    def _translated(self, exc: Exception) -> BackendError:
        if isinstance(exc, aiohttp.ServerFingerprintMismatch):
            return errors.FingerprintError()
        if isinstance(exc, aiohttp.ClientConnectorCertificateError):
            code = getattr(exc.certificate_error, "verify_code", None)
            return _CERTIFICATE_ERRORS.get(code, errors.CertificateError)()
        if isinstance(exc, aiohttp.ClientSSLError):
            return errors.TlsError()
        if isinstance(getattr(exc, "os_error", None), AddressNotPinnedError):
            return errors.AddressRefusedError()
        if isinstance(exc, aiohttp.ClientConnectorDNSError):
            return errors.HostNotFoundError()
        if isinstance(exc, aiohttp.ClientConnectorError):
            self._resolver.mark_unreachable()
            if exc.os_error.errno in REFUSED_ERRNOS or exc.errno in REFUSED_ERRNOS:
                return errors.ServerRefusedError()
            return errors.ConnectTimedOutError()
        if isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | OSError):
            return errors.DisconnectedError()
        return errors.NotHttpError("not HTTP as it should be")


async def _note_connected(
    _session: ClientSession, context: SimpleNamespace, _params: object
) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx()


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Bounds of one request, in seconds.

    Attributes:
        connect_s: Until the connection stands.
        silence_s: Between signs of progress once text came, and between looks at the server before.
        first_token_s: Patience for the first token; longer while the server answers probes.
        total_at_s: Monotonic time of the hard cap.
    """

    connect_s: float
    silence_s: float
    first_token_s: float
    total_at_s: float


def first_token_patience_s(
    least_s: float, expected_s: float, *, queued: float = 0.0, is_loading: bool = False
) -> float:
    """Return the patience for the first token.

    Args:
        least_s: The setting: never less.
        expected_s: Expected reading time of the prompt; doubled, for speed falls with length.
        queued: Requests ahead per slot, each taken as long as this one.
        is_loading: The model must be loaded first.
    """
    patience_s = expected_s * 2 * (1 + max(0.0, queued))
    return max(least_s, patience_s) + (LOAD_ALLOWANCE_S if is_loading else 0.0)


class Reached(Enum):
    """What a request has reached before its first text."""

    STARTED = "started"
    CONNECTED = "connected"
    LOADED = "loaded"


class _Watch:
    """Ends one request once one of its times is over, whether or not somebody reads.

    Args:
        transport: The server.
        clock: Time.
        limits: Bounds of the request.
        end: Ends it, with the reason.

    Attributes:
        is_connected: The connection stands.
        has_text: Text came.
        reading_since_s: Monotonic time since when the reader waits; ``None`` while it doesn't.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        limits: TimeLimits,
        end: Callable[[BackendError], None],
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._limits = limits
        self._end = end
        self._began_s = self._asked_s = clock.monotonic()
        self._ask_at_s = self._began_s + limits.silence_s
        self._patient_until_s = self._began_s + limits.first_token_s
        self._times_gone = 0
        self._asking: asyncio.Task[bool] | None = None
        self._timer: Timer | None = None
        self.is_connected = self.has_text = False
        self.reading_since_s: float | None = None

    def look(self) -> None:
        """Look whether it may go on, from here on until ``close``."""
        if self._timer is not None:
            self._timer.cancel()
        now_s = self._clock.monotonic()
        try:
            next_at_s = min(self._next_at_s(now_s), self._limits.total_at_s)
        except BackendError as exc:
            self._end(exc)
        else:
            left_s = min(max(0.01, next_at_s - now_s), _LONGEST_SLEEP_S)
            self._timer = self._clock.call_later(left_s, self.look)

    async def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            await end_tasks(self._asking)

    def _next_at_s(self, now_s: float) -> float:
        """Return when a time may be over.

        Raises:
            BackendError: One is.
        """
        limits = self._limits
        if now_s >= limits.total_at_s:
            raise errors.TotalTimeoutError
        if not self.is_connected:
            next_at_s = self._began_s + limits.connect_s
            if now_s >= next_at_s:
                raise errors.ConnectTimedOutError
            return next_at_s
        if self.has_text:
            since_s = now_s if self.reading_since_s is None else self.reading_since_s
            if now_s >= since_s + limits.silence_s:
                raise errors.StalledError
            return since_s + limits.silence_s
        return self._first_text_at_s(now_s)

    def _first_text_at_s(self, now_s: float) -> float:
        """Ask the server whether it is there when that is due; as long as it is, patience is renewed."""
        asking = self._asking
        if asking is not None and asking.done():
            self._asking = None
            is_there = asking.result()
            pause_s = self._limits.silence_s
            self._ask_at_s = self._asked_s + (
                min(pause_s, GONE_AGAIN_S) if self._times_gone else pause_s
            )
            if self._asked_s >= self._patient_until_s:
                if not is_there:
                    raise errors.FirstTokenTimeoutError
                self._patient_until_s = self._ask_at_s
        next_at_s = min(self._ask_at_s, self._patient_until_s)
        if self._asking is None and now_s >= next_at_s:
            self._asked_s = now_s
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(lambda task: None if task.cancelled() else self.look())
        return math.inf if self._asking is not None else next_at_s

    async def _ask(self) -> bool:
        """Ask whether the server is there; twice not reachable in a row means that it is gone."""
        try:
            answers = await self._transport.answers(PROBE_LIMIT_S)
        except errors.BackendUnavailableError:
            if self._times_gone:
                raise
            self._times_gone += 1
            return False
        except BackendError:
            return False
        self._times_gone = 0
        return answers


class Exchange:
    """One request to one server.

    Attributes:
        decoder: What came.
        first_text_at_s: Monotonic time of the first content or reasoning; ``None`` before.
        has_text: Set from then on.
    """

    def __init__(
        self, transport: Transport, clock: Clock, limits: TimeLimits, *, max_tokens: int, pace: Pace
    ) -> None:
        """Prepare.

        Args:
            transport: The server.
            clock: Time.
            limits: Bounds of this request.
            max_tokens: Longest answer asked for; bounds the bytes that are read.
            pace: How soon text is wanted.
        """
        self._transport = transport
        self._clock = clock
        self._response: ClientResponse | None = None
        self._beginning: asyncio.Task[TextDelta | None] | None = None
        self._watch = _Watch(transport, clock, limits, self._end)
        self._out_of_time: BackendError | None = None
        self._pace = pace
        self._body_is_whole = asyncio.Event()
        self._is_over = self._is_read = False
        self.decoder = CompletionDecoder(max(MAX_STREAM_BYTES, max_tokens * BYTES_PER_TOKEN))
        self.first_text_at_s: float | None = None
        self.has_text = asyncio.Event()

    async def events(
        self, body: bytes, loaded: asyncio.Future[Any] | None = None
    ) -> AsyncGenerator[Reached | TextDelta, None]:
        """Send the request and read the answer to its end.

        ``aclose()`` closes the connection at once.

        Args:
            body: The request.
            loaded: Done once the model is loaded, where it isn't yet.

        Raises:
            BackendError: It failed, was cut, took too long, or ended without an answer.
        """
        connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        beginning = asyncio.create_task(self._begin(body, connected))
        ahead: dict[asyncio.Future[Any], Reached] = {connected: Reached.CONNECTED}
        if loaded is not None:
            ahead[loaded] = Reached.LOADED
        self._beginning = beginning
        self._watch.look()
        try:
            yield Reached.STARTED
            while not beginning.done():
                await asyncio.wait({beginning, *ahead}, return_when=asyncio.FIRST_COMPLETED)
                for future in [each for each in ahead if each.done()]:
                    yield ahead.pop(future)
            if self._out_of_time is not None:
                raise self._out_of_time
            text = beginning.result()
            while text is not None:
                yield text
                text = await self._next_text()
            if not self.decoder.is_whole:
                failure = failures.failure_of(self.decoder)
                if failure is not None:
                    raise failure
        except BackendError as exc:
            raise (
                self._out_of_time or exc
            ) from exc  # that closed the connection, so it is the reason
        finally:
            await self._watch.close()
            await end_tasks(beginning)
            self._hang_up()

    def _end(self, reason: BackendError) -> None:
        """End the request because one of its times is over."""
        self._out_of_time = reason
        if self._beginning is not None:
            self._beginning.cancel()
        self._hang_up()

    async def _begin(self, body: bytes, connected: asyncio.Future[None]) -> TextDelta | None:
        """Send the request and return the first text; ``None`` where there is none."""

        def note_connected() -> None:
            if not connected.done():
                self._watch.is_connected = True
                connected.set_result(None)

        response = await self._transport.open(
            "POST", COMPLETIONS, body, on_connected=note_connected
        )
        self._response = response
        response.content.on_eof(self._body_is_whole.set)
        note_connected()
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if response.status != 200 or kind.endswith("json") or kind == "text/html":
            return await self._whole_reply(response)
        return await self._next_text()

    async def _whole_reply(self, response: ClientResponse) -> TextDelta | None:
        self._is_read = True
        data = await self._transport.read_body(response)
        try:
            reply = parse_json(data)
        except ValueError:
            reply = None
        is_answer = isinstance(reply, dict) and isinstance(reply.get("choices"), list)
        if response.status != 200 or not is_answer or failures.error_in(reply):
            raise failures.classify(response.status, data, response.headers.get("Retry-After"))
        return self._text(*self.decoder.accept_reply(reply))

    async def _next_text(self) -> TextDelta | None:
        """Read on and return what text came; ``None`` at the end.

        Time that the reader spends with a text isn't the server's silence.
        """
        if self._is_read or self._response is None:
            return None
        decoder, content = self.decoder, self._response.content
        if self._pace.gather_s and not self._body_is_whole.is_set():
            with contextlib.suppress(TimeoutError):
                async with self._clock.timeout(self._pace.gather_s):
                    await self._body_is_whole.wait()
        self._watch.reading_since_s = self._clock.monotonic()
        try:
            while not self._is_over:
                chunk = await content.readany()
                pieces = decoder.feed(chunk)
                has_ended = decoder.finish_reason is not None or decoder.is_done
                self._is_over = not chunk or has_ended or decoder.has_failed
                text = self._text(*pieces)
                if text is not None:
                    return text
        except (aiohttp.ClientError, OSError) as exc:
            raise errors.TruncatedStreamError from exc
        finally:
            self._watch.reading_since_s = None
        self._is_read = True
        return await self._last_text(self._response)

    async def _last_text(self, response: ClientResponse) -> TextDelta | None:
        """Read usage and end mark, which follow the finish reason at once or never."""
        decoder = self.decoder
        texts: list[tuple[str, str]] = []
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
            if decoder.finish_reason is not None and not (decoder.is_done or decoder.has_failed):
                await within(self._clock, self._read_rest(response, texts), AFTER_FINISH_S)
        texts.append(decoder.finish())
        if decoder.is_done and not response.content.at_eof():
            with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
                await within(self._clock, _drain(response), DRAIN_S)
        contents, thoughts = zip(*texts, strict=True)
        return self._text("".join(contents), "".join(thoughts))

    async def _read_rest(self, response: ClientResponse, texts: list[tuple[str, str]]) -> None:
        while chunk := await response.content.readany():
            texts.append(self.decoder.feed(chunk))
            if self.decoder.is_done or self.decoder.has_failed:
                return

    def _text(self, content: str, reasoning: str) -> TextDelta | None:
        """Return what came as an event; ``None`` for nothing."""
        if not content and not reasoning:
            return None
        if self.first_text_at_s is None:
            self.first_text_at_s = self._clock.monotonic()
            self._watch.has_text = True
            self.has_text.set()
        return TextDelta(content, reasoning)

    def _hang_up(self) -> None:
        """Close the connection, or keep it for the next request where the answer was read whole."""
        response = self._response
        if response is not None:
            if not response.content.at_eof():
                response.close()
            response.release()


async def _drain(response: ClientResponse) -> None:
    await response.content.readany()
