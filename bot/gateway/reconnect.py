"""When to connect to a gateway again: bounded both ways, and within the log-in budget.

A client that reconnects without a pause can make hundreds of connections a second, one that backs
off without a bound stays away for a quarter of an hour after the network is back, and one that logs
in 1000 times in 24 hours has its token reset (Discord: gateway, session start limit). ``Governor``
decides the pause before each connection; it does no I/O but the waiting.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import datetime, timedelta

from bot.core.clock import Clock

_log = logging.getLogger(__name__)

DAY = timedelta(hours=24)
FREE_CONNECTS = 5
"""Connections in a minute before pauses begin: a resume should not wait."""
SPACING_S = 2.6
"""Seconds between connections after that: 5 + 60 / 2.6 is less than 30 a minute."""
LONGEST_PAUSE_S = 60.0
"""Seconds; the network is noticed within this when it returns."""
LONGEST_IDENTIFY_PAUSE_S = 600.0
"""Seconds between log-ins that never lead to a lasting session."""
IDENTIFY_EVERY_S = 5.2
"""Seconds between two shards' log-ins; Discord's own figure is 5."""
STABLE_S = 60.0
"""Seconds after which a session counts as lasting and all pauses start afresh."""

Turn = Callable[[int], AbstractAsyncContextManager[None]]
"""Waits until no other process logs in under a number."""
CountIdentify = Callable[[datetime], Awaitable[list[datetime]]]
"""Keeps a log-in; returns those of the last 24 hours, by other processes, too."""


class Governor:
    """Paces connections and log-ins of one bot account.

    Attributes:
        failures: Attempts in a row that led to no session.

    Args:
        clock: Time.
        identifies_per_day: Log-ins allowed in any 24 hours.
        past_identifies: Log-ins of earlier runs, UTC.
        count: Called for each log-in.
        rng: Source of jitter.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        identifies_per_day: int,
        past_identifies: Iterable[datetime] = (),
        count: CountIdentify | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._limit = identifies_per_day
        now = clock.now()
        self._identifies = deque(sorted(t for t in past_identifies if now - DAY < t <= now))
        self._count = count
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._connects: deque[float] = deque()
        self.failures = 0
        self._short_sessions = 0
        self._last_identify_s: float | None = None
        self._session_since_s: float | None = None
        self._blocked_until_s = 0.0

    def beside(self) -> Governor:
        """Return one for another connection of the same account.

        The log-ins of a day are counted together, and none is made while Discord's own count forbids it.
        """
        other = Governor(
            self._clock, identifies_per_day=self._limit, count=self._count, rng=self._rng
        )
        other._identifies = self._identifies
        other._blocked_until_s = self._blocked_until_s
        return other

    def pause_s(self, *, identify: bool) -> float:
        """Return how long to wait before the next connection, in seconds.

        Args:
            identify: The connection will log in rather than resume.
        """
        now_s = self._clock.monotonic()
        while self._connects and self._connects[0] <= now_s - 60:
            self._connects.popleft()
        pauses = [self._failure_pause_s()]
        if len(self._connects) >= FREE_CONNECTS:
            pauses.append(self._connects[-1] + SPACING_S - now_s)
        if identify:
            pauses += [self._identify_pause_s(now_s), self._blocked_until_s - now_s]
        return max(0.0, *pauses)

    def _failure_pause_s(self) -> float:
        if not self.failures:
            return 0.0
        ceiling_s = min(LONGEST_PAUSE_S, 2.0 ** min(self.failures, 10))
        return self._rng.uniform(ceiling_s / 2, ceiling_s)

    def _identify_pause_s(self, now_s: float) -> float:
        now = self._clock.now()
        self._forget_before(now - DAY)
        pause_s = 0.0
        if self._last_identify_s is not None and self._short_sessions:
            spacing_s = min(LONGEST_IDENTIFY_PAUSE_S, 2.5 * 2.0 ** min(self._short_sessions, 10))
            pause_s = self._last_identify_s + spacing_s - now_s
        if len(self._identifies) >= self._limit:
            oldest = self._identifies[len(self._identifies) - self._limit]
            pause_s = max(pause_s, (oldest + DAY - now).total_seconds() + 1)
        return pause_s

    def _forget_before(self, moment: datetime) -> None:
        while self._identifies and self._identifies[0] <= moment:
            self._identifies.popleft()

    async def before_connect(self, *, identify: bool) -> None:
        """Wait as long as ``pause_s`` says, then count the connection."""
        pause_s = self.pause_s(identify=identify)
        if pause_s > 5:
            _log.warning("connecting to Discord again in %.0f s", pause_s)
        if pause_s > 0:
            await self._clock.sleep(pause_s)
        self._connects.append(self._clock.monotonic())

    async def identified(self) -> None:
        """Count a log-in that is about to be sent."""
        now = self._clock.now()
        self._forget_before(now - DAY)
        self._identifies.append(now)
        self._last_identify_s = self._clock.monotonic()
        self._short_sessions += 1
        if self._count:
            known = await self._count(now)
            self._identifies.clear()
            self._identifies.extend(sorted(known))

    def failed(self) -> None:
        """Note that a connection could not be made."""
        self.failures += 1

    def established(self) -> None:
        """Note that a session is up (READY or RESUMED)."""
        self.failures = 0
        self._session_since_s = self._clock.monotonic()

    def ended(self) -> None:
        """Note that a connection ended.

        One without a session was a failure; one that lasted resets the pauses between log-ins.
        """
        since_s = self._session_since_s
        if since_s is None:
            self.failures += 1
        elif self._clock.monotonic() - since_s >= STABLE_S:
            self._short_sessions = 0
        self._session_since_s = None

    def block_identify(self, duration_s: float) -> None:
        """Allow no log-in for a time: Discord says that the budget is nearly spent."""
        self._blocked_until_s = self._clock.monotonic() + duration_s


class IdentifyTurns:
    """Lets the shards of a bot log in one after the other (Discord: gateway, rate limiting).

    Args:
        clock: Time.
        beside: The turn among several processes.
    """

    def __init__(self, clock: Clock, beside: Turn = lambda _number: nullcontext()) -> None:
        self._clock = clock
        self._beside = beside
        self._concurrency = 1
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last_s: dict[int, float] = {}

    def among(self, concurrency: int) -> None:
        """Let so many log in at once: those whose numbers differ modulo this."""
        self._concurrency = max(1, concurrency)

    @asynccontextmanager
    async def turn(self, number: int | None) -> AsyncGenerator[None, None]:
        """Wait until a shard may log in, which it does within the block; one alone waits for nobody."""
        if number is None:
            yield
            return
        key = number % self._concurrency
        async with self._locks[key]:
            if key in self._last_s:
                pause_s = self._last_s[key] + IDENTIFY_EVERY_S - self._clock.monotonic()
                await self._clock.sleep(max(0.0, pause_s))
            try:
                async with self._beside(key):
                    yield
            finally:
                self._last_s[key] = self._clock.monotonic()
