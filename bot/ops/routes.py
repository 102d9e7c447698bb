"""Paths of Discord's REST API as their templates: a set that no id, name or token can widen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

OTHER: Final = "other"

_TEMPLATES: Final = (
    "/applications/{id}/commands",
    "/applications/{id}/commands/{id}",
    "/applications/{id}/guilds/{id}/commands",
    "/applications/@me",
    "/channels/{id}",
    "/channels/{id}/messages",
    "/channels/{id}/messages/{id}",
    "/channels/{id}/messages/{id}/reactions/{emoji}/@me",
    "/channels/{id}/messages/{id}/threads",
    "/channels/{id}/threads",
    "/channels/{id}/typing",
    "/gateway",
    "/gateway/bot",
    "/guilds/{id}",
    "/guilds/{id}/channels",
    "/guilds/{id}/messages/search",
    "/guilds/{id}/threads/active",
    "/interactions/{id}/{token}/callback",
    "/oauth2/applications/@me",
    "/users/@me",
    "/users/@me/channels",
    "/users/{id}",
    "/webhooks/{id}/{token}",
    "/webhooks/{id}/{token}/messages/@original",
    "/webhooks/{id}/{token}/messages/{id}",
)
"""What the bot asks for, and a little more; anything else is ``other``."""

_NAMED: Final = {"{token}", "{emoji}"}
_SPLIT: Final = tuple((tuple(template.split("/")), template) for template in _TEMPLATES)


def route_of(path: str) -> str:
    """Return the template of a path: ``/channels/{id}/messages``.

    Args:
        path: Of a URL of the API, with or without ``/api/v10``.
    """
    parts = path.split("/")
    if parts[1:2] == ["api"]:
        is_versioned = parts[2:3] and parts[2][:1] == "v" and parts[2][1:].isdecimal()
        del parts[1 : 3 if is_versioned else 2]
    return next((name for template, name in _SPLIT if _fits(parts, template)), OTHER)


def _fits(parts: Sequence[str], template: Sequence[str]) -> bool:
    return len(parts) == len(template) and all(
        part == form or (form == "{id}" and part.isdecimal()) or (form in _NAMED and part != "")
        for part, form in zip(parts, template, strict=True)
    )
