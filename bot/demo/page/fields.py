"""What a page sends, read field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MAX_TEXT: Final = 8000
"""Characters of the longest text that any field takes."""
MAX_ENTRIES: Final = 50


class ActionError(Exception):
    """An action that isn't done.

    Attributes:
        code: The protocol's word for the kind.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Fields:
    """The fields of one action."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw

    def text(self, name: str, default: str | None = None, *, most: int = MAX_TEXT) -> str:
        """Return a text.

        Raises:
            ActionError: It is missing and has no default, is no text, or is too long.
        """
        value = self._raw.get(name, default)
        if not isinstance(value, str):
            raise ActionError("bad_request", f"The field {name} must be a text.")
        if len(value) > most:
            raise ActionError("too_large", f"The field {name} takes {most:,} characters at most.")
        return value

    def key(self, name: str) -> int:
        """Return an id as a number.

        Raises:
            ActionError: It is missing or none.
        """
        value = self.text(name, most=20)
        if not (value.isascii() and value.isdecimal()):
            raise ActionError("bad_request", f"The field {name} must be an id.")
        return int(value)

    def flag(self, name: str) -> bool:
        """Return yes or no; yes where it is missing.

        Raises:
            ActionError: It is something else.
        """
        value = self._raw.get(name, True)
        if not isinstance(value, bool):
            raise ActionError("bad_request", f"The field {name} must be true or false.")
        return value

    def number(self, name: str, *, default: int, most: int) -> int:
        """Return a whole number from 1 on.

        Raises:
            ActionError: It is something else.
        """
        value = self._raw.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ActionError("bad_request", f"The field {name} must be a number from 1 to {most}.")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; none where it is missing.

        Raises:
            ActionError: It is something else.
        """
        value = self._raw.get(name, [])
        if not isinstance(value, list) or len(value) > MAX_ENTRIES:
            raise ActionError("bad_request", f"The field {name} must be a short list.")
        return [Fields({name: each}).text(name) for each in value]

    def values(self, name: str) -> dict[str, str | int | float | bool]:
        """Return texts, numbers and flags by name; none where it is missing.

        Raises:
            ActionError: It is something else.
        """
        value = self._raw.get(name, {})
        if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
            raise ActionError("bad_request", f"The field {name} must be an object.")
        for key, each in value.items():
            if not isinstance(each, str | int | float) or (
                isinstance(each, str) and len(each) > MAX_TEXT
            ):
                raise ActionError("bad_request", f"The value of {key[:50]} can't be taken.")
        return value

    def any(self, name: str) -> object:
        """Return whatever is there."""
        return self._raw.get(name)
