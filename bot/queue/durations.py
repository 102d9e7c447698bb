"""Expected waits, learned from how long answers took, and in words."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

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
