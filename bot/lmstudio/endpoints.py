"""The address of an LM Studio server, as people paste it, made one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from yarl import URL

from bot.core.errors import ConfigurationError

_API_TAILS: Final = (
    *("/api/v0", "/api/v1", "/v1", "/chat/completions", "/completions", "/models", "/chat"),
    "/lmstudio-greeting",
)
_HAS_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,32}://")
_LOOKS_NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_SCHEMES: Final = frozenset({"http", "https"})


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
    """Read a base URL with or without scheme, ``/v1``, other API paths and trailing slashes.

    Raises:
        ConfigurationError: It isn't an http(s) address of a host; the message never repeats a
            password.
    """
    text = text.strip()
    if any(char.isspace() or char == "\\" or ord(char) < 32 for char in text):
        raise _refusal("has a space or a control character in it")
    if not _HAS_SCHEME.match(text):
        text = f"http://{text}"
    try:
        url = URL(text)
        host, port = url.host, url.port
    except ValueError:
        raise _refusal("is not an address like http://192.168.1.20:1234") from None
    if url.scheme not in _SCHEMES:
        raise _refusal("must begin with http:// or https://")
    if url.raw_user is not None or url.raw_password is not None:
        raise _refusal("must not hold a user name or password; use LMSTUDIO_API_TOKEN")
    if url.raw_query_string or url.raw_fragment:
        raise _refusal("must end with the host, the port and at most a path")
    if not host or port is None or port == 0:
        raise _refusal("is not an address like http://192.168.1.20:1234")
    path = url.path.rstrip("/")
    prefix = _without_api(path).rstrip("/")
    return Endpoint(url.scheme, _plain_host(host, url.raw_host or "", text), port, prefix)


def _without_api(path: str) -> str:
    """Return a path without the paths of the API at its end."""
    end = len(path)
    while tail := next((tail for tail in _API_TAILS if path.endswith(tail, 0, end)), ""):
        end -= len(tail)
    return path[:end]


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
    name = raw_host.lower()
    last_label = name.rstrip(".").rpartition(".")[2]
    if not name.isascii() or _LOOKS_NUMERIC.fullmatch(last_label):
        raise _refusal("is an odd spelling of an IP address; write it as four numbers")
    return name


def _refusal(reason: str) -> ConfigurationError:
    return ConfigurationError(f"LMSTUDIO_BASE_URL {reason}.")
