"""Time, injected: everything that waits, measures or stamps asks a ``Clock``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

WRONG_CLOCK_S: Final = 30.0
"""Discord's Date header has whole seconds, and comes after the way back."""


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Have nothing called; after the call it changes nothing."""
        ...


class Clock(Protocol):
    """What the application knows of time."""

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never run backwards."""
        ...

    def now(self) -> datetime:
        """Return the wall-clock time in UTC; it may jump."""
        ...

    def told(self, now: datetime) -> timedelta:
        """Take note of the time that Discord tells; return how far the machine's own is behind it."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait for ``delay_s`` seconds; zero or less only yields to the loop."""
        ...

    def timeout(self, limit_s: float) -> AbstractAsyncContextManager[object]:
        """Return a context that is cancelled after ``limit_s`` seconds and raises ``TimeoutError``."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Call a function after ``delay_s`` seconds, with no context variable of whoever asks for it."""
        ...


class SystemClock:
    """The machine's own clock, which asyncio's timers use too; its time is put right by Discord's.

    How old a question is follows from Discord's time, and may not depend on which machine's clock is wrong.
    """

    def __init__(self) -> None:
        self._behind = timedelta()

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)
    timeout = staticmethod(asyncio.timeout)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC) + self._behind

    def told(self, now: datetime) -> timedelta:
        """Go by Discord's time where the machine's is clearly wrong, until it is right again."""
        behind, wrong = now - datetime.now(UTC), timedelta(seconds=WRONG_CLOCK_S)
        if abs(behind - self._behind) > wrong:
            self._behind = behind if abs(behind) > wrong else timedelta()
        return behind

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Have the running event loop call."""
        return asyncio.get_running_loop().call_later(max(0.0, delay_s), call, context=Context())


def elapsed_s() -> float:
    """Return seconds that count on while the machine sleeps, where the system can tell."""
    kind = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if kind is None else time.clock_gettime(kind)


async def every(clock: Clock, interval_s: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do work for ever, so many seconds after the last time; the first time after as many."""
    while True:
        await clock.sleep(interval_s)
        await work()


async def within(clock: Clock, work: Awaitable[T], limit_s: float) -> T:
    """Return what ``work`` returns, if it does so in time.

    Raises:
        TimeoutError: It didn't within ``limit_s`` seconds; it was cancelled and has ended.
    """
    async with clock.timeout(limit_s):
        return await work
