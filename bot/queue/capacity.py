"""How much may run at once, and how long those who wait will wait.

What may run follows from slots, the shared context pool, and what the server shows it can bear; a wait
from how long answers took.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from typing import Final

from bot.core.ports import Capacity


class Strain:
    """Tells what several people's questions bring about from what one person's do.

    A server that is full with one person's questions is relieved by that person's waiting: each of
    them is asked again alone.
    """

    def __init__(self) -> None:
        self._by: int | None = None

    def is_shared(self, person_id: int) -> bool:
        """Note that the server was full or fell over under some work; was it so for others too?"""
        is_shared = self._by not in (None, person_id)
        self._by = person_id
        return is_shared

    def eased(self) -> None:
        """Note that an answer began."""
        self._by = None


class CapacityGate:
    """Admits work while it fits. Pure; times and rates are given to it.

    The number of slots adapts like a TCP window: halved when the server is full or crashes under several people's questions,
    one more for each full round without trouble. Speed doesn't narrow it: an answer is slow because
    others are read and written beside it, and that comes and goes within one answer.
    After ``ramp`` it begins with one, and doubles with each round.
    """

    def __init__(self) -> None:
        self._capacity = Capacity(slots=1)
        self._limit: float | None = None
        self._is_ramping = False
        self._running: dict[int, tuple[int, int]] = {}
        self._number = itertools.count()
        self._last_cut = -1

    @property
    def running(self) -> int:
        """How many run now."""
        return len(self._running)

    @property
    def slots(self) -> int:
        """How many may run at once at the moment."""
        return max(1, min(self._capacity.slots, int(self._window())))

    @property
    def pool_tokens(self) -> int | None:
        """The context that all answers share; ``None`` where each slot has its own."""
        return self._capacity.pool_tokens

    @property
    def used_tokens(self) -> int:
        """How much of it running work may use."""
        return sum(used for used, _ in self._running.values())

    def update(self, capacity: Capacity) -> None:
        """Take over what the server says it can do."""
        self._capacity = capacity

    def room_for(self, tokens: int, least: int) -> int:
        """Return how many tokens of the shared pool work may use; 0 when it can't begin.

        A longest answer is rarely written, so where the pool has not room for all of it, what is
        left will do from ``least`` tokens on. Work that is alone may use what it likes.

        Args:
            tokens: Prompt and longest answer.
            least: Prompt and the shortest bound on the answer that is worth beginning with.
        """
        if not self._running:
            return tokens
        if len(self._running) >= self.slots:
            return 0
        pool = self._capacity.pool_tokens
        if pool is None:
            return tokens
        free = pool - self.used_tokens
        return min(tokens, free) if free >= least else 0

    def begin(self, key: int, tokens: int) -> None:
        """Note that work began."""
        self._running[key] = (tokens, next(self._number))

    def end(self, key: int) -> None:
        """Note that work ended, however; unknown keys change nothing."""
        self._running.pop(key, None)

    def ramp(self) -> None:
        """Begin again with one, as after the server was away."""
        self._limit = 1.0
        self._is_ramping = True

    def went_well(self) -> None:
        """Widen the window: an answer's first token came."""
        window = self._window()
        if window >= self._capacity.slots:
            self._limit = None
            self._is_ramping = False
            return
        self._limit = window + (1.0 if self._is_ramping else 1.0 / window)

    def overloaded(self, key: int) -> None:
        """Halve the window: the server was full or fell over under this work.

        Work that began before the last halving says nothing new and changes nothing.
        """
        began = self._running.get(key)
        if began is not None and began[1] <= self._last_cut:
            return
        self._last_cut = next(self._number)
        self._limit = max(1.0, self.slots * 0.5)
        self._is_ramping = False

    def _window(self) -> float:
        slots = float(self._capacity.slots)
        return slots if self._limit is None else min(slots, self._limit)


_FIRST_GUESS_S: Final = 15.0
"""Seconds an answer takes before one was seen: 500 tokens at 35 tokens/s."""

_WEIGHT: Final = 0.2
"""How much the newest answer counts; about the last ten matter."""


class Durations:
    """A moving mean of how long answers hold their slot."""

    def __init__(self) -> None:
        self._mean_s = _FIRST_GUESS_S
        self._is_learned = False

    @property
    def mean_s(self) -> float:
        """Expected duration of an answer, in seconds."""
        return self._mean_s

    def learn(self, duration_s: float) -> None:
        """Take an answer's duration into account."""
        weight = _WEIGHT if self._is_learned else 1.0
        self._mean_s += weight * (max(0.1, duration_s) - self._mean_s)
        self._is_learned = True

    def waits_s(self, running_for_s: Sequence[float], slots: int, waiting: int) -> list[float]:
        """Return when each of the waiting ones is expected to begin, in seconds from now.

        Args:
            running_for_s: How long each running answer has been at it, in seconds.
            slots: Answers at once, at least 1.
            waiting: How many wait.
        """
        least_s = self._mean_s * 0.1
        free = [max(least_s, self._mean_s - elapsed_s) for elapsed_s in running_for_s]
        free = sorted(free)[-slots:] if len(free) > slots else free
        free += [0.0] * (slots - len(free))
        heapq.heapify(free)
        waits: list[float] = []
        for _ in range(waiting):
            begins_s = free[0]
            waits.append(begins_s)
            heapq.heapreplace(free, begins_s + self._mean_s)
        return waits


def in_words(wait_s: float) -> str:
    """Return a wait roughly, as people say it: "20 seconds", "3 minutes", "2 hours"."""
    if wait_s <= 10:
        return "10 seconds"
    if wait_s <= 50:
        return f"{round(wait_s / 10) * 10} seconds"
    if wait_s < 90:
        return "a minute"
    if wait_s < 3600 - 30:
        return f"{round(wait_s / 60)} minutes"
    hours = round(wait_s / 3600)
    return "an hour" if hours <= 1 else f"{hours} hours"
