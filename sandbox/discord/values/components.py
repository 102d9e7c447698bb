"""Numbers of component types, and how components nest (Discord: "Component reference")."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.discord.values.json_objects import JsonObject

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = frozenset({3, 5, 6, 7, 8})
SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
LABEL = 18


def walk(components: Iterable[JsonObject]) -> Iterable[JsonObject]:
    """Yield every component of a tree, parents first."""
    for part in components:
        yield part
        yield from walk(part.get("components", ()))
        for key in ("accessory", "component"):
            if isinstance(part.get(key), dict):
                yield from walk([part[key]])
