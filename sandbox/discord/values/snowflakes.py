"""Snowflakes, as Discord makes them (Discord: reference, "Snowflakes")."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

DISCORD_EPOCH_MS = 1_420_070_400_000


class Snowflakes:
    """Strictly increasing ids whose upper bits are the time.

    Args:
        now: Returns UNIX time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last = 0

    def next(self) -> int:
        """Return a new id, greater than every one before."""
        fresh = (int(self._now() * 1000) - DISCORD_EPOCH_MS) << 22
        self._last = max(fresh, self._last + 1)
        return self._last


def time_of(snowflake: int) -> float:
    """Return the UNIX time in seconds at which a snowflake was made."""
    return ((snowflake >> 22) + DISCORD_EPOCH_MS) / 1000


def iso(unix_s: float) -> str:
    """Return a UNIX time as Discord writes timestamps (ISO 8601 with offset)."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="microseconds")
