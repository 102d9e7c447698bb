"""How often a bot may IDENTIFY (Discord: "Gateway", "Session start limit object")."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.discord.values.json_objects import JsonObject

_DAY_S = 86_400.0


class IdentifyBudget:
    """Counts IDENTIFYs: so many in a day, and none right after another.

    Args:
        now: UNIX time in seconds, for the day.
        monotonic: Time in seconds, for the pause between two.
        identify_every_s: Least time between two; Discord's is 5 s, 0 switches it off.

    Attributes:
        total: How many a day has.
        left: How many are left of it.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        identify_every_s: float,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._identify_every_s = identify_every_s
        self._last_at: dict[int, float] = {}
        self._day_started_at: float | None = None
        self.total = 1000
        self.left = 1000

    def session_start_limit(self, max_concurrency: int) -> JsonObject:
        """Return ``session_start_limit`` of GET /gateway/bot."""
        self._start_new_day()
        since = self._day_started_at
        left_s = 0.0 if since is None else since + _DAY_S - self._now()
        return {
            "total": self.total,
            "remaining": self.left,
            "reset_after": int(max(0.0, left_s) * 1000),
            "max_concurrency": max_concurrency,
        }

    def spend(self) -> bool:
        """Take one IDENTIFY from the day's budget; return whether there was one left."""
        self._start_new_day()
        if self._day_started_at is None:
            self._day_started_at = self._now()
        if self.left <= 0:
            return False
        self.left -= 1
        return True

    def note(self, rate_limit_key: int = 0) -> bool:
        """Note that one came; return whether it came too soon after another one of its key.

        Args:
            rate_limit_key: The shard's number modulo ``max_concurrency`` (Discord: "Gateway", "Sharding").
        """
        now = self._monotonic()
        last = self._last_at.get(rate_limit_key)
        self._last_at[rate_limit_key] = now
        return last is not None and now - last < self._identify_every_s

    def _start_new_day(self) -> None:
        now = self._now()
        if self._day_started_at is not None and now >= self._day_started_at + _DAY_S:
            self._day_started_at = None
            self.left = self.total
