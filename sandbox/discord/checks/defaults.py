"""Components and embeds as Discord keeps them: with the fields that a request may leave out."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.discord.values.components import (
    CONTAINER,
    SELECTS,
    SEPARATOR,
    THUMBNAIL,
    walk,
)
from sandbox.discord.values.json_objects import JsonObject


def complete_components(sent: Iterable[JsonObject]) -> list[JsonObject]:
    """Return a message's components with ids, counted from 1, and every other field filled in."""
    kept = [_copy(part) for part in sent]
    used = {part["id"] for part in walk(kept) if part.get("id")}
    number = 0
    for part in walk(kept):
        if not part.get("id"):
            number += 1
            while number in used:
                number += 1
            part["id"] = number
        for key, value in _defaults(part["type"]).items():
            part.setdefault(key, value)
    return kept


def _copy(part: JsonObject) -> JsonObject:
    copied = dict(part)
    if isinstance(part.get("components"), list):
        copied["components"] = [_copy(child) for child in part["components"]]
    if isinstance(part.get("accessory"), dict):
        copied["accessory"] = _copy(part["accessory"])
    if isinstance(part.get("default_values"), list):  # ids are text in whatever Discord sends
        copied["default_values"] = [
            {**each, "id": str(each.get("id"))} for each in part["default_values"]
        ]
    return copied


def _defaults(kind: int) -> JsonObject:
    if kind in SELECTS:
        return {"min_values": 1, "max_values": 1}
    if kind == CONTAINER:
        return {"accent_color": None, "spoiler": False}
    if kind == SEPARATOR:
        return {"spacing": 1, "divider": True}
    if kind == THUMBNAIL:
        return {"description": None, "spoiler": False}
    return {}


def complete_embeds(sent: Iterable[JsonObject]) -> list[JsonObject]:
    """Return a message's embeds with their type, and with ``inline`` in every field."""
    kept = []
    for embed in sent:
        full = {"type": "rich", **embed}
        if full.get("fields"):
            full["fields"] = [{"inline": False, **each} for each in full["fields"]]
        kept.append(full)
    return kept
