"""What to diagnose, from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bot.core.errors import ConfigurationError
from bot.diagnostics.values import Finding, Status, Step, Target
from bot.lmstudio.networks import may_use
from bot.lmstudio.roster import saved_servers
from bot.lmstudio.transport import make_tls, parse_endpoint, tokens_by_origin
from config.settings import Settings

_MOST_NAMES: Final = 16
ADDRESSES: Final = "lmstudio_addresses"
"""State: what the name of each server led to at the last diagnosis, by name."""


LM_STUDIO: Final = "LM Studio"


@dataclass(frozen=True, slots=True)
class Listed:
    """A server in use.

    Attributes:
        number: By which people name it.
        is_drained: An owner took it out.
    """

    number: int
    base_url: str
    is_drained: bool = False


TAKEN_OUT: Final = Finding(
    Step.SERVER,
    Status.SKIPPED,
    "Not looked at, because an owner took it out; /model undrain lets it in again.",
)


def titles(servers: Sequence[Listed]) -> list[str]:
    """Return the titles of servers, for people."""
    if len(servers) == 1:
        return [LM_STUDIO]
    return [f"{LM_STUDIO} {server.number}" for server in servers]


def listed(settings: Settings, stored: object) -> list[Listed]:
    """Return the servers that a start uses: those of the settings, then those that owners added.

    Args:
        settings: Which addresses.
        stored: The state of them, of any form.
    """
    added, drained = saved_servers(stored)
    urls = {_origin(url): url for url in (*settings.lmstudio.base_url, *added)}
    return [
        Listed(number, url, origin in drained)
        for number, (origin, url) in enumerate(urls.items(), start=1)
    ]


def known_addresses(stored: object, base_url: str) -> tuple[str, ...]:
    """Return what a server's name led to the last time, from the stored state of any form."""
    addresses = stored.get(_host(base_url)) if isinstance(stored, dict) else None
    return tuple(map(str, addresses)) if isinstance(addresses, list) else ()


def with_addresses(stored: object, base_url: str, addresses: Sequence[str]) -> dict[str, object]:
    """Return the state with what a server's name leads to now."""
    kept = stored if isinstance(stored, dict) else {}
    newest = list({**kept, _host(base_url): list(addresses)}.items())[-_MOST_NAMES:]
    return dict(newest)


def _origin(base_url: str) -> str:
    try:
        return parse_endpoint(base_url).origin
    except ConfigurationError:
        return base_url


def _host(base_url: str) -> str:
    try:
        return parse_endpoint(base_url).host
    except ConfigurationError:
        return ""


def target_of(
    settings: Settings, base_url: str, model: str | None = None, stored: object = None
) -> Target:
    """Return a server that is configured, or was added by command, as a target of a diagnosis.

    Args:
        settings: Token, certificates, what wakes it, and networks that an added one may be in.
        base_url: Its address.
        model: What a question would ask for; ``None`` for whatever is loaded.
        stored: The state ``ADDRESSES``, if it is known.

    Raises:
        ConfigurationError: The certificate settings are wrong.
    """
    lmstudio, origin = settings.lmstudio, _origin(base_url)
    target = Target(
        base_url,
        tokens_by_origin(lmstudio.base_url, lmstudio.api_tokens).get(origin),
        model,
        make_tls(lmstudio.ca_file, lmstudio.certificate_sha256),
        known_addresses(stored, base_url),
    )
    own = list(map(_origin, lmstudio.base_url))
    if origin not in own:
        return replace(target, allows=partial(may_use, networks=lmstudio.allowed_networks))
    wake = dict(zip(own, lmstudio.wake, strict=False)).get(origin)
    return replace(target, can_wake=wake is not None and wake.mac != "")
