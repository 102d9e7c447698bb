"""Connections to one server: pooled, pinned, bounded, and never following where it points.

One aiohttp session per server. LM Studio closes idle connections after 5 seconds, so ours live 4.
No cookies, no proxies from the environment, no redirects, no compression: each of them is a way
for an answer to cost more than it should or for a prompt to go where it must not.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, Fingerprint, TCPConnector

from bot.core.clock import Clock
from bot.core.errors import BackendError, ConfigurationError
from bot.core.tasks import within
from bot.lmstudio import errors, failures
from bot.lmstudio.completion import parse_json
from bot.lmstudio.endpoints import Endpoint
from bot.lmstudio.pinning import AddressNotPinnedError, PinnedResolver

KEEPALIVE_S: Final = 4.0
"""Seconds; LM Studio's server says ``Keep-Alive: timeout=5``."""

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""Largest body that isn't a stream; a list of 200 models is about 200 KB."""

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

Tls = ssl.SSLContext | Fingerprint | bool


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
    """

    status: int
    content_type: str
    body: bytes
    retry_after: str | None = None

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
            headers["Authorization"] = f"Bearer {token}"
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
            raise errors.BadResponseError("the response is compressed")
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
        return Reply(response.status, kind, data, headers.get("Retry-After"))

    async def read_body(self, response: ClientResponse, prefix: bytes = b"") -> bytes:
        """Read a body that isn't a stream, up to its limit.

        Raises:
            OversizedReplyError: It is too large.
            TruncatedStreamError: The connection broke before its end.
        """
        data = bytearray(prefix)
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
        if isinstance(exc, aiohttp.ClientConnectorDNSError):
            if isinstance(exc.os_error, AddressNotPinnedError):
                return errors.AddressRefusedError()
            return errors.HostNotFoundError()
        if isinstance(exc, aiohttp.ClientConnectorError):
            if isinstance(exc.os_error, AddressNotPinnedError):
                return errors.AddressRefusedError()
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
