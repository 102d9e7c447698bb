"""What to diagnose, from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.core.errors import ConfigurationError
from bot.diagnostics.values import Target
from bot.lmstudio.transport import make_tls, parse_endpoint, tokens_by_origin
from config.settings import Settings

_MOST_NAMES: Final = 16
ADDRESSES: Final = "lmstudio_addresses"
"""State: what the name of each server led to at the last diagnosis, by name."""


LM_STUDIO: Final = "LM Studio"


def titles(number: int) -> list[str]:
    """Return the titles of so many servers, for people."""
    return [LM_STUDIO] if number == 1 else [f"{LM_STUDIO} {n}" for n in range(1, number + 1)]


def known_addresses(stored: object, base_url: str) -> tuple[str, ...]:
    """Return what a server's name led to the last time, from the stored state of any form."""
    addresses = stored.get(_host(base_url)) if isinstance(stored, dict) else None
    return tuple(map(str, addresses)) if isinstance(addresses, list) else ()


def with_addresses(stored: object, base_url: str, addresses: Sequence[str]) -> dict[str, object]:
    """Return the state with what a server's name leads to now."""
    kept = stored if isinstance(stored, dict) else {}
    newest = list({**kept, _host(base_url): list(addresses)}.items())[-_MOST_NAMES:]
    return dict(newest)


def _host(base_url: str) -> str:
    try:
        return parse_endpoint(base_url).host
    except ConfigurationError:
        return ""


def target_of(
    settings: Settings, base_url: str, model: str | None = None, stored: object = None
) -> Target:
    """Return one configured server as a target of a diagnosis.

    Args:
        settings: Token, model and certificates.
        base_url: One of the configured addresses.
        model: What a question would ask for; ``None`` for whatever is loaded.
        stored: The state ``ADDRESSES``, if it is known.

    Raises:
        ConfigurationError: The address or the certificate settings are wrong.
    """
    tokens = tokens_by_origin(settings.lmstudio.base_url, settings.lmstudio.api_tokens)
    return Target(
        base_url,
        tokens.get(parse_endpoint(base_url).origin),
        model,
        make_tls(settings.lmstudio.ca_file, settings.lmstudio.certificate_sha256),
        known_addresses(stored, base_url),
    )
