"""What to diagnose, from the settings."""

from __future__ import annotations

from bot.diagnostics.values import Target
from bot.lmstudio.transport import make_tls
from config.settings import Settings


def target_of(settings: Settings, base_url: str) -> Target:
    """Return one configured server as a target of a diagnosis.

    Args:
        settings: Token, model and certificates.
        base_url: One of the configured addresses.

    Raises:
        ConfigurationError: The certificate settings are wrong.
    """
    token = settings.lmstudio.api_token
    tls = make_tls(settings.lmstudio.ca_file, settings.lmstudio.certificate_sha256)
    return Target(
        base_url,
        token.get_secret_value() if token else None,
        settings.chat.model,
        None if isinstance(tls, bool) else tls,
    )
