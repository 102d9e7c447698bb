"""A budget of actions that many people share, and that no stranger can spend for the others."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

WINDOW_S: Final = 60.0
"""Seconds that an action counts."""

K = TypeVar("K")
_Concerns = Callable[[int, int], bool]


@dataclass(frozen=True, slots=True)
class Shares:
    """How many actions a window allows.

    Attributes:
        person: Of one person, in all groups together.
        group: Of one group (a guild; a person in a direct message).
        total: Of all groups together.
        reserve: What a group may do although the others have spent the total.
    """

    person: int
    group: int
    total: int
    reserve: int


class FairBudget:
    """Counts actions in a sliding window: per person, per group, and in all.

    The bound over all keeps a reserve for each group, so that it slows down those who spend it and
    nobody else. What is remembered is what the last window allowed.
    """

    def __init__(self, shares: Shares, window_s: float = WINDOW_S) -> None:
        self._shares = shares
        self._window_s = window_s
        self._taken: deque[tuple[float, int, int]] = deque()
        self._persons: Counter[int] = Counter()
        self._groups: Counter[int] = Counter()

    def take(self, person: int, group: int, now_s: float) -> float:
        """Count an action; a refused one isn't counted.

        Args:
            person: Who acts.
            group: For whom it counts; 0 is a group like any other.
            now_s: Seconds of any clock; one that is set back counts as a new window.

        Returns:
            0 when it is allowed, else the seconds after which asking again may succeed.
        """
        self._expire(now_s)
        shares = self._shares
        if self._persons[person] >= shares.person:
            return self._wait_s(now_s, lambda who, _group: who == person)
        if self._groups[group] >= shares.group:
            return self._wait_s(now_s, lambda _who, where: where == group)
        if len(self._taken) >= shares.total and self._groups[group] >= shares.reserve:
            return self._wait_s(now_s, lambda _who, _group: True)
        self._taken.append((now_s, person, group))
        self._persons[person] += 1
        self._groups[group] += 1
        return 0.0

    def _wait_s(self, now_s: float, concerns: _Concerns) -> float:
        oldest_s = next((at_s for at_s, who, where in self._taken if concerns(who, where)), now_s)
        return max(0.001, oldest_s + self._window_s - now_s)

    def _expire(self, now_s: float) -> None:
        while self._taken and not 0 <= now_s - self._taken[0][0] < self._window_s:
            _, person, group = self._taken.popleft()
            discount(self._persons, person)
            discount(self._groups, group)


def discount(counts: Counter[K], key: K) -> None:
    """Count one less; what is counted no more is forgotten."""
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]
