"""What Discord's client or server does not let a person do."""

from __future__ import annotations

from collections.abc import Iterable


class NotOfferedError(Exception):
    """Discord would not have let the person do that."""


def in_words(values: Iterable[object]) -> str:
    """Return values as a sentence lists them."""
    return ", ".join(str(value) for value in values)
