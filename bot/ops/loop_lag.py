"""How late the event loop comes round."""

from __future__ import annotations

from collections.abc import Callable

from bot.core.clock import Clock

INTERVAL_S = 1.0


class LoopLag:
    """Measures once a second how much later than asked the loop goes on.

    Args:
        clock: Time.
        note: Told each measurement, in seconds.
    """

    def __init__(self, clock: Clock, note: Callable[[float], None]) -> None:
        self._clock = clock
        self._note = note
        self._due_s = clock.monotonic() + INTERVAL_S
        self._last_s = 0.0

    @property
    def present_s(self) -> float:
        """The last measurement, or how much the next one is overdue; in seconds."""
        return max(self._last_s, self._clock.monotonic() - self._due_s)

    async def measure(self) -> None:
        """Measure for ever."""
        while True:
            self._due_s = self._clock.monotonic() + INTERVAL_S
            await self._clock.sleep(INTERVAL_S)
            self._last_s = max(0.0, self._clock.monotonic() - self._due_s)
            self._note(self._last_s)
