"""How late the event loop comes round; and what notices, from outside, one that doesn't at all.

A timer of the system's is put off once a second by the loop itself, as it measures how late it is. When it strikes, its
handler runs in the middle of whatever holds the loop up, also inside a pattern that backtracks
without end (``re`` looks for signals as it goes): it logs where that is, and after a minute it ends
the process, so that the service manager starts it anew. Beneath lies a timer that needs no
interpreter (``faulthandler``), for what looks for no signals, and for Windows, which has no such
timer of the system's.

A laptop that sleeps, a stopped process and a frozen container are no blocked loop: what counts is
how often the timer struck, not how late it is. Nor is a debugger.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import QuestionId
from bot.core.tasks import TaskOwner, log_ids

_log = logging.getLogger(__name__)

BLAMED_FILE: Final = "blocked"
"""In the data folder: the question that was worked on when the process was ended."""

EXIT_CODE: Final = 1
"""As any crash."""

BEAT_S: Final = 1.0
"""Seconds between two beats of the loop."""

_FRAMES = 20
_LATE_FACTOR = 5
"""How many times ``end_s`` the last timer waits where there is another: a process that was stopped
for that long and goes on is ended by it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the loop may take to come round.

    Attributes:
        beat_s: Time between two beats of the loop, in seconds.
        log_s: Silence after which the stack is logged, in seconds.
        end_s: Silence after which the process is ended, in seconds.
    """

    beat_s: float = BEAT_S
    log_s: float = 2.0
    end_s: float = 60.0


class LoopLag:
    """Measures how much later than asked the event loop goes on.

    Args:
        beat_s: Time between two measurements, in seconds.
    """

    def __init__(self, clock: Clock, beat_s: float = BEAT_S) -> None:
        self._clock = clock
        self._beat_s = beat_s
        self._listeners: list[Callable[[float], None]] = []
        self._due_s = clock.monotonic() + beat_s
        self._last_s = 0.0

    @property
    def present_s(self) -> float:
        """The last measurement, or how much the next one is overdue; in seconds."""
        return max(self._last_s, self._clock.monotonic() - self._due_s)

    def listen(self, listener: Callable[[float], None]) -> None:
        """Tell each measurement, in seconds, from here on."""
        self._listeners.append(listener)

    async def measure(self) -> None:
        """Measure for ever."""
        while True:
            self._due_s = self._clock.monotonic() + self._beat_s
            await self._clock.sleep(self._beat_s)
            self._last_s = max(0.0, self._clock.monotonic() - self._due_s)
            for listener in self._listeners:
                listener(self._last_s)


class Watchdog:
    """Watches the event loop of the main thread.

    Args:
        clock: The machine's own.
        folder: Where the question is noted that was worked on when the process was ended.
        patience: How long the loop may take.

    Attributes:
        lag: How late the loop is, measured while it is watched.
    """

    def __init__(self, clock: Clock, folder: Path, patience: Patience | None = None) -> None:
        self._clock = clock
        self._file = folder / BLAMED_FILE
        self._patience = patience or Patience()
        self.lag = LoopLag(clock, self._patience.beat_s)
        self.lag.listen(self._came_round)
        self._strikes = 0
        self._looked_s = 0.0

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None, None]:
        """Watch for the length of the block, inside the running loop of the main thread."""
        tasks = TaskOwner()
        before = None
        if sys.platform != "win32":
            before = signal.signal(signal.SIGALRM, self._struck)
            signal.siginterrupt(signal.SIGALRM, False)
        self._put_off()
        tasks.start(self.lag.measure(), name="watchdog")
        try:
            yield
        finally:
            await tasks.cancel()
            faulthandler.cancel_dump_traceback_later()
            if sys.platform != "win32":
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)

    def _came_round(self, lag_s: float) -> None:
        if lag_s > self._patience.log_s:
            _log.warning("the event loop didn't run for %.1f s", lag_s + self._patience.beat_s)
        self._put_off()

    def _put_off(self) -> None:
        patience = self._patience
        last_s = patience.end_s
        if sys.platform != "win32":
            self._strikes, self._looked_s = 0, self._clock.monotonic()
            signal.setitimer(signal.ITIMER_REAL, patience.log_s, patience.beat_s)
            last_s *= _LATE_FACTOR
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # no standard error
            faulthandler.dump_traceback_later(last_s, exit=True)

    def _struck(self, _number: int, frame: FrameType | None) -> None:
        """Count one strike, in the middle of what holds the loop up."""
        patience = self._patience
        now_s = self._clock.monotonic()
        due_s = patience.beat_s if self._strikes else patience.log_s
        is_late = now_s - self._looked_s > due_s + patience.beat_s
        self._looked_s = now_s
        if is_late or sys.gettrace() is not None:
            if not self._strikes:  # the loop has its whole time to come round again
                signal.setitimer(signal.ITIMER_REAL, patience.log_s, patience.beat_s)
            return  # the process itself was stopped meanwhile, or somebody looks at it
        self._strikes += 1
        silent_s = patience.log_s + (self._strikes - 1) * patience.beat_s
        if silent_s >= patience.end_s:
            self._end(frame, silent_s)
        elif self._strikes == 1:
            _tell(logging.ERROR, "the event loop stands still", frame, silent_s)

    def _end(self, frame: FrameType | None, silent_s: float) -> None:
        question_id = log_ids()[0]
        if question_id is not None:
            with contextlib.suppress(OSError):
                self._file.write_text(f"{question_id}\n", encoding="ascii")
        _tell(logging.CRITICAL, "ended: the event loop stood still", frame, silent_s)
        os._exit(EXIT_CODE)


def take_blamed(folder: Path) -> QuestionId | None:
    """Return the question that the last life was ended over, once; ``None`` if there was none."""
    file = folder / BLAMED_FILE
    try:
        text = file.read_text(encoding="ascii").strip()
        file.unlink()
    except (OSError, ValueError):
        return None
    return QuestionId(int(text)) if text.isdigit() else None


def _tell(level: int, what: str, frame: FrameType | None, silent_s: float) -> None:
    """Log where the loop stands: files, lines and functions, nothing of what they work on."""
    stack = traceback.StackSummary.extract(
        traceback.walk_stack(frame), limit=_FRAMES, lookup_lines=False
    )
    places = " < ".join(f"{each.filename}:{each.lineno} {each.name}" for each in stack)
    with contextlib.suppress(RuntimeError):  # the stream was in the middle of a line
        _log.log(level, "%s for %.1f s, at %s", what, silent_s, places)
