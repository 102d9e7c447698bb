"""The model's slots among several processes: each runs no more than it holds, and gives some to others.

A slot is a lock of a process's session (``storage.shares``), so that together they never run more than
there are. A process keeps what it has until others want it; then each has one, and the rest is shared
out by how many people ask through it. Where there are more processes than slots, each gives its slot up
after an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from bot.core.errors import StoreError
from bot.core.tasks import TaskOwner
from bot.storage.shares import Sight

YIELD_S: Final = 2.0
"""Seconds for which a free slot is left to those who had too few when it was given up."""


class Holder(Protocol):
    """This process among the others: ``Membership``."""

    @property
    def sight(self) -> Sight:
        """What the newest look at the others has shown."""
        ...

    @property
    def is_alone(self) -> bool:
        """Whether no other process was ever seen."""
        ...

    @property
    def slots(self) -> frozenset[int]:
        """The slots that this process holds."""
        ...

    async def take_slot(self, most: int) -> bool:
        """Take one of so many slots; return whether one is free."""
        ...

    async def free_slots(self, count: int) -> None:
        """Give slots back."""
        ...

    async def want_slots(self, people: int, *, is_short: bool) -> None:
        """Be seen as one through whom so many people ask, and who has too few slots."""
        ...


class Line(Protocol):
    """This process's line of questions: ``Scheduler``."""

    @property
    def waiting(self) -> int:
        """How many wait."""
        ...

    @property
    def running(self) -> int:
        """How many run."""
        ...

    @property
    def people(self) -> int:
        """How many people's questions these are."""
        ...

    def allow(self, most: int) -> None:
        """Run at most so many."""
        ...


def fair_share(own: int, others: list[int], most: int) -> int:
    """Return how many slots a process may keep while others want some.

    Args:
        own: How many people ask through it.
        others: The same of the others that are asked anything.
        most: How many slots there are.
    """
    rest = most - len(others) - 1
    return 1 + max(0, rest) * own // max(1, own + sum(others))


class SharedSlots:
    """Takes and gives up slots for this process's line.

    Args:
        membership: This process among the others.
        line: Its line.
        most: How many slots there are.
        now_s: For durations, in seconds.
    """

    def __init__(
        self,
        membership: Holder,
        line: Line,
        most: Callable[[], int],
        now_s: Callable[[], float],
    ) -> None:
        self._membership = membership
        self._line = line
        self._most = most
        self._now_s = now_s
        self._yields_to: frozenset[int] = frozenset()
        self._yields_until_s = 0.0
        self._is_asked = self._is_at_it = False
        self._tasks = TaskOwner()

    def look(self) -> None:
        """See soon whether slots are to be taken or given up."""
        self._is_asked = True
        if not self._is_at_it:
            self._is_at_it = True
            self._tasks.start(self._work(), name="slots")

    async def close(self) -> None:
        """Take and give up nothing more."""
        await self._tasks.cancel()

    async def _work(self) -> None:
        try:
            while self._is_asked:
                self._is_asked = False
                await self._settle()
        except StoreError:  # the next look is half a second away
            if self._membership.is_alone:
                self._line.allow(self._most())
        finally:
            self._is_at_it = False

    async def _settle(self) -> None:
        membership, line, most = self._membership, self._line, self._most()
        need = min(most, line.running + line.waiting)
        others = [each for each in membership.sight.others if each.people]
        short = frozenset(each.number for each in others if each.is_short)
        self._yields_to &= short
        fair = fair_share(line.people, [each.people for each in others], most)
        held = cap = len(membership.slots)
        if held + sum(len(each.slots) for each in membership.sight.others) >= most:
            self._yields_until_s = self._now_s() + YIELD_S
        if short:
            cap = min(held, line.running - 1 if len(others) >= most else min(need, fair))
        line.allow(max(0, cap))
        surplus = held - max(cap, line.running) if short else 0
        if surplus > 0:
            self._yields_to, self._yields_until_s = short, self._now_s() + YIELD_S
            await membership.free_slots(surplus)
        taken = await self._take(min(need, fair) if short else need, most)
        is_short = len(membership.slots) < min(need, fair)
        await membership.want_slots(line.people, is_short=is_short)
        line.allow(max(0, cap) + taken)

    async def _take(self, target: int, most: int) -> int:
        """Take slots until there are enough, or no more are free; return how many."""
        membership, taken = self._membership, 0
        if not self._yields_to or self._now_s() >= self._yields_until_s:
            while len(membership.slots) < target and await membership.take_slot(most):
                taken += 1
        return taken
