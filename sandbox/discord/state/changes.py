"""Waiting for, and watching, what the sandbox records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long is waited by default: a wait ends as soon as it may, so this only bounds a slow machine."""


class Changes:
    """Lets tests wait until a condition holds: it is checked again at every change."""

    def __init__(self) -> None:
        self._watchers: list[Callable[[], None]] = []
        self._waiters: list[tuple[Callable[[], object], asyncio.Future[object]]] = []
        self._recheck_due = False

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call a watcher after each step of the event loop in which something was recorded."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """Call it no longer."""
        self._watchers.remove(watcher)

    def notify(self) -> None:
        """Check all conditions again, once this step of the event loop is over."""
        if (self._waiters or self._watchers) and not self._recheck_due:
            self._recheck_due = True
            asyncio.get_running_loop().call_soon(self._recheck)

    def _recheck(self) -> None:
        self._recheck_due = False
        for watcher in list(self._watchers):
            watcher()
        for condition, future in list(self._waiters):
            if future.done():
                continue
            try:
                value = condition()
            except Exception as error:  # noqa: BLE001 - the seam to the waiting test
                future.set_exception(error)
                continue
            if value:
                future.set_result(value)

    async def wait_until(self, condition: Callable[[], T], *, timeout_s: float = PATIENCE_S) -> T:
        """Wait until a condition holds.

        Raises:
            TimeoutError: It did not hold in time.
        """
        value = condition()
        if value:
            return value
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                return cast(T, await future)
        except TimeoutError:
            raise TimeoutError(f"did not come about within {timeout_s:g} s") from None
        finally:
            self._waiters.remove(entry)
