"""Ctrl-C and SIGTERM as an event, on every system."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)


@contextmanager
def stop_on_signal(stop: asyncio.Event) -> Iterator[None]:
    """Set ``stop`` at the first signal; cancel the current task at the second.

    Must be entered inside a running event loop of the main thread. Windows has no
    ``add_signal_handler``: there ``signal.signal`` hands the signal over to the loop.

    Args:
        stop: Set once the process was asked to end.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def heard() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    def hand_over(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(heard)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        try:
            loop.add_signal_handler(number, heard)
        except NotImplementedError:
            signal.signal(number, hand_over)
    try:
        yield
    finally:
        for number, handler in before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, handler)
