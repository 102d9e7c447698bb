"""What to diagnose, from the settings."""

from __future__ import annotations

from bot.diagnostics.values import Target
from bot.lmstudio.endpoints import parse_endpoint, tokens_by_origin
from bot.lmstudio.transport import make_tls
from config.settings import Settings


def target_of(settings: Settings, base_url: str) -> Target:
    """Return one configured server as a target of a diagnosis.

    Args:
        settings: Token, model and certificates.
        base_url: One of the configured addresses.

    Raises:
        ConfigurationError: The address or the certificate settings are wrong.
    """
    tokens = tokens_by_origin(settings.lmstudio.base_url, settings.lmstudio.api_tokens)
    return Target(
        base_url,
        tokens.get(parse_endpoint(base_url).origin),
        settings.chat.model,
        make_tls(settings.lmstudio.ca_file, settings.lmstudio.certificate_sha256),
    )
