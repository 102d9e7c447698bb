"""Rate limits: a bucket per route class and major parameter, and the global one.

Discord announces limits only by headers (Discord: topics, "Rate limits"); the default figures are
those that bot authors have read from them, five writes per five seconds and channel among them
(discord-api-docs #2761, #1442).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Limit = tuple[int, float]
"""How many requests in how many seconds."""

DEFAULT_LIMITS: Mapping[str, Limit] = {
    "message_write": (5, 5.0),
    "message_delete": (5, 1.0),
    "message_read": (10, 5.0),
    "typing": (5, 5.0),
    "reaction": (1, 0.25),
    "webhook": (5, 2.0),
    "dm_open": (10, 10.0),
    "command_write": (5, 20.0),
    "thread_create": (10, 10.0),
    "other": (50, 1.0),
}
SPLIT_OFF = "message_edit"
"""Edits count as ``message_write``, unless this class is given a limit of its own."""

GLOBAL_LIMIT: Limit = (50, 1.0)


@dataclass
class Bucket:
    """A window of one limit."""

    limit: int
    per_s: float
    name: str
    used: int = 0
    started_at: float = -1e9

    def renew(self, now: float) -> None:
        """Start a new window where the last one is over."""
        if now >= self.started_at + self.per_s:
            self.used = 0
            self.started_at = now

    def left_s(self, now: float) -> float:
        """Return the seconds until the window ends."""
        return max(0.0, self.started_at + self.per_s - now)


@dataclass(frozen=True)
class LimitResult:
    """What the limits say of one request.

    Attributes:
        retry_after_s: ``None`` lets the request through.
        scope: user or global.
    """

    headers: dict[str, str]
    retry_after_s: float | None = None
    scope: str = "user"


class Buckets:
    """Counts requests and writes the headers.

    Args:
        monotonic: Time in seconds.
        now: UNIX time in seconds, for X-RateLimit-Reset.
        limits: Route class → limit; those not named keep the default. ``message_edit`` splits
            edits from posts, which share one bucket otherwise.
        enabled: False: nothing is limited and no header is sent.
        global_limit: Over all routes but interactions'; ``None`` for none.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], float],
        limits: Mapping[str, Limit],
        enabled: bool,
        global_limit: Limit | None,
    ) -> None:
        unknown = set(limits) - set(DEFAULT_LIMITS) - {SPLIT_OFF}
        if unknown:
            raise ValueError(f"no such route class: {sorted(unknown)}")
        self.limits = {**DEFAULT_LIMITS, **limits}
        self.enabled = enabled
        self.hits = 0
        self._monotonic = monotonic
        self._now = now
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._global = Bucket(*global_limit, name="global") if global_limit else None

    def count(self, route_class: str, major: str, *, interaction: bool = False) -> LimitResult:
        """Count one request and say whether it passes.

        Args:
            route_class: Key of ``limits``.
            major: The channel, guild or webhook that it is counted for.
            interaction: Interaction endpoints are free of the global limit.
        """
        if not self.enabled:
            return LimitResult({})
        if route_class not in self.limits:
            route_class = "message_write"
        now = self._monotonic()
        if self._global is not None and not interaction:
            self._global.renew(now)
            if self._global.used >= self._global.limit:
                self.hits += 1
                return LimitResult(
                    {"X-RateLimit-Global": "true"}, self._global.left_s(now), "global"
                )
            self._global.used += 1
        bucket = self._bucket(route_class, major)
        bucket.renew(now)
        if bucket.used >= bucket.limit:
            self.hits += 1
            return LimitResult(self._headers(bucket, now), bucket.left_s(now))
        bucket.used += 1
        return LimitResult(self._headers(bucket, now))

    def _bucket(self, route_class: str, major: str) -> Bucket:
        key = (route_class, major)
        if key not in self._buckets:
            digest = hashlib.md5(route_class.encode(), usedforsecurity=False).hexdigest()
            self._buckets[key] = Bucket(*self.limits[route_class], name=digest)
        return self._buckets[key]

    def _headers(self, bucket: Bucket, now: float) -> dict[str, str]:
        left_s = bucket.left_s(now)
        return {
            "X-RateLimit-Limit": str(bucket.limit),
            "X-RateLimit-Remaining": str(bucket.limit - bucket.used),
            "X-RateLimit-Reset": f"{self._now() + left_s:.3f}",
            "X-RateLimit-Reset-After": f"{left_s:.3f}",
            "X-RateLimit-Bucket": bucket.name,
        }
