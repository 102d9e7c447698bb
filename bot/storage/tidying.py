"""Keeps what is stored within its bounds, in the background and in small steps."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Final

from bot.core.clock import Clock
from bot.core.errors import StoreError
from bot.storage import tidy_sql
from bot.storage.database import Database
from bot.storage.schema import to_ms
from bot.storage.tidy_sql import Bounds

_log = logging.getLogger(__name__)

EVERY_S: Final = 300.0
"""Seconds between looks while little is written."""

EVERY_BYTES: Final = 4 * 1024 * 1024
"""Bytes written between looks; what is stored may exceed a bound by so much."""

RECENT: Final = timedelta(minutes=10)
"""Ended questions that stay in any case: Discord may send their messages again."""

LEAST_BYTES: Final = 8 * 1024 * 1024
"""What ended questions may keep although the disk is nearly full: it isn't they who fill it."""


class Tidying:
    """Deletes ended questions that are too old, or too many for a person, a guild or the disk.

    Args:
        database: Open.
        clock: For ages and intervals.
        retention_days: How long ended questions are kept.
        bounds: How much of them.
    """

    def __init__(
        self, database: Database, clock: Clock, retention_days: int, bounds: Bounds
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._bounds = bounds
        self._written = 0
        self._looked_s: float | None = None
        self._is_running = False

    def wrote(self, size_bytes: int) -> None:
        """Count what was written, and begin to tidy in the background when it is time."""
        self._written += size_bytes
        now_s = self._clock.monotonic()
        is_due = self._looked_s is None or now_s - self._looked_s >= EVERY_S
        if self._is_running or not (is_due or self._written >= EVERY_BYTES):
            return
        self._looked_s, self._written, self._is_running = now_s, 0, True
        self._database.spawn(self._tidy())

    async def _tidy(self) -> None:
        try:
            count = await self._delete()
            if count:
                _log.info("%d ended questions were deleted to make room", count)
            await self._database.reclaim()
        except StoreError as exc:
            _log.debug("tidying was given up: %s", exc)
        finally:
            self._is_running = False

    async def _delete(self) -> int:
        now = self._clock.now()
        expired_ms, recent_ms = to_ms(now - self._retention), to_ms(now - RECENT)
        bounds = await self._bounds_now()
        count = 0
        while step := await self._database.write(
            lambda c: tidy_sql.tidy(c, bounds, expired_ms, recent_ms)
        ):
            count += step
        return count

    async def _bounds_now(self) -> Bounds:
        """Return the bounds in force; where the disk is short of room, less than is stored."""
        bounds = self._bounds
        missing = await self._database.missing_room(bounds.reserve)
        if not missing:
            return bounds
        stored = await self._database.read(tidy_sql.stored_bytes)
        return replace(bounds, total=max(LEAST_BYTES, min(bounds.total, stored - missing)))
