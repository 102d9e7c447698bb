"""A clock that only the test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta


class FakeTimer:
    """A call that is to come.

    Args:
        call: What is called.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    def cancel(self) -> None:
        """Have nothing called."""
        self.call = lambda: None


class FakeClock:
    """A ``Clock`` whose time stands still until ``advance`` is awaited."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, FakeTimer]] = []

    @property
    def is_idle(self) -> bool:
        """Whether nobody sleeps, and no call is to come."""
        return not self._due

    def monotonic(self) -> float:
        """Return the seconds advanced so far, from 1000."""
        return 1000.0 + self._elapsed_s

    def now(self) -> datetime:
        """Return the start plus what was advanced."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def told(self, now: datetime) -> timedelta:
        """Return how far this clock is behind, and go on by it."""
        return now - self.now()

    async def sleep(self, delay_s: float) -> None:
        """Wait until the test has advanced past ``delay_s``."""
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        self.call_later(delay_s, wake)
        await future

    @asynccontextmanager
    async def timeout(self, limit_s: float) -> AsyncGenerator[None, None]:
        """Cancel what is inside once the test has advanced past ``limit_s``."""
        async with asyncio.timeout(None) as bound:

            async def expire() -> None:
                await self.sleep(limit_s)
                bound.reschedule(0)

            timer = asyncio.create_task(expire())
            try:
                yield
            finally:
                timer.cancel()

    def call_later(self, delay_s: float, call: Callable[[], object]) -> FakeTimer:
        """Call once the test has advanced past ``delay_s``."""
        timer = FakeTimer(call)
        heapq.heappush(self._due, (self._elapsed_s + delay_s, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking sleepers in their order and letting each one run."""
        end_s = self._elapsed_s + seconds
        await settle()
        while self._due and self._due[0][0] <= end_s:
            due_s, _, timer = heapq.heappop(self._due)
            self._elapsed_s = max(self._elapsed_s, due_s)
            timer.call()
            await settle()
        self._elapsed_s = end_s
        await settle()


class SwiftClock:
    """A clock that runs faster than the world's, for waits that no test should sit through.

    Args:
        factor: How many seconds pass in one real second.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._start = datetime.now(UTC)
        self._start_s = time.monotonic()

    def monotonic(self) -> float:
        """Return real seconds times the factor."""
        return (time.monotonic() - self._start_s) * self._factor

    def now(self) -> datetime:
        """Return the start plus what has passed on this clock."""
        return self._start + timedelta(seconds=self.monotonic())

    def told(self, now: datetime) -> timedelta:
        """Return how far this clock is behind, and go on by it."""
        return now - self.now()

    def skip(self, seconds: float) -> None:
        """Let this much pass at once; whoever sleeps sleeps on."""
        self._start_s -= seconds / self._factor

    async def sleep(self, delay_s: float) -> None:
        """Wait for the shortened time."""
        await asyncio.sleep(max(0.0, delay_s) / self._factor)

    def timeout(self, limit_s: float) -> AbstractAsyncContextManager[object]:
        """Return a timeout of the shortened time."""
        return asyncio.timeout(max(0.0, limit_s) / self._factor)

    def call_later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        """Call after the shortened time."""
        return asyncio.get_running_loop().call_later(max(0.0, delay_s) / self._factor, call)


async def settle(rounds: int = 20) -> None:
    """Let every task that is ready run, a bounded number of times."""
    for _ in range(rounds):
        await asyncio.sleep(0)
