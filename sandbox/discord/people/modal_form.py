"""A modal as a person fills it in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.discord.people.not_offered import NotOfferedError, in_words
from sandbox.discord.values.json_objects import JsonObject


class ModalForm:
    """Fills a modal in as a person does."""

    def __init__(self, fields: Mapping[str, str | Sequence[str]]) -> None:
        self._fields = dict(fields)
        self._ids = itertools.count(1)

    def fill(self, part: JsonObject) -> JsonObject:
        """Return a component of the modal as it is sent off."""
        if part["type"] == 18:
            inner, number = part["component"], next(self._ids)
            return {"type": 18, "id": number, "component": self._value(inner, str(part["label"]))}
        children, number = part.get("components") or (), next(self._ids)
        filled = [self._value(child, str(child.get("label"))) for child in children]
        return {"type": part["type"], "id": number, "components": filled}

    def _value(self, part: JsonObject, label: str) -> JsonObject:
        custom_id = part["custom_id"]
        key = custom_id if custom_id in self._fields else label
        value: Any = self._fields.pop(key, part.get("value") or "")
        sent = {"type": part["type"], "id": next(self._ids), "custom_id": custom_id}
        if part["type"] != 4:
            return sent | {"values": [value] if isinstance(value, str) else list(value)}
        if part.get("required", True) and not value:
            raise NotOfferedError(f"{label} must be filled in")
        least, most = part.get("min_length") or 0, part.get("max_length") or 4000
        if value and not least <= len(value) <= most:
            raise NotOfferedError(f"{label} takes {least} to {most} characters")
        return sent | {"value": value}

    def finish(self) -> None:
        """Refuse fields that the modal doesn't have."""
        if self._fields:
            raise NotOfferedError(f"the modal has no fields {in_words(sorted(self._fields))}")
