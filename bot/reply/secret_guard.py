"""Secrets that an answer must not show: the values we know of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MIN_VALUE_CHARS: Final = 6
"""Shorter values would hide ordinary words."""


class SecretGuard:
    """Values that must never be shown: tokens, keys, the servers' hosts and addresses.

    Args:
        values: As they stand in the settings; those shorter than 6 characters are left out.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = tuple(
            sorted({v.strip() for v in values if len(v.strip()) >= MIN_VALUE_CHARS})
        )
