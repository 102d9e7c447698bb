"""Room for a little work at a time, shared so that nobody's work keeps another's waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.core.clock import Clock

_FORGIVEN = 0.1
"""Seconds of use that are forgotten in each second."""

_REMEMBERED_PEOPLE = 1000


@dataclass(slots=True)
class _Use:
    seconds: float
    at_s: float


class FairGate:
    """Lets a few in at once; of those who wait, whoever has used the least lately goes first.

    Args:
        places: How many may be inside at once.
        places_person: How many of these one person may have.
    """

    def __init__(self, clock: Clock, *, places: int, places_person: int) -> None:
        self._clock = clock
        self._free = places
        self._places_person = places_person
        self._inside: Counter[int] = Counter()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._used: dict[int, _Use] = {}

    def used_s(self, person_id: int) -> float:
        """Return the seconds a person has been inside, less what is forgotten since."""
        use = self._used.get(person_id)
        if use is None:
            return 0.0
        return max(0.0, use.seconds - (self._clock.monotonic() - use.at_s) * _FORGIVEN)

    @asynccontextmanager
    async def place(self, person_id: int) -> AsyncGenerator[None, None]:
        """Wait for a place and hold it for the length of the block.

        Cancellation: While waiting, the turn goes to the next.
        """
        await self._enter(person_id)
        began_s = self._clock.monotonic()
        try:
            yield
        finally:
            self._note(person_id, self._clock.monotonic() - began_s)
            self._leave(person_id)

    async def _enter(self, person_id: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (person_id, turn)
        self._waiting.append(waiting)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                self._leave(person_id)
            raise

    def _leave(self, person_id: int) -> None:
        self._free += 1
        self._inside[person_id] -= 1
        if not self._inside[person_id]:
            del self._inside[person_id]
        self._let_in()

    def _let_in(self) -> None:
        while self._free:
            able = [each for each in self._waiting if self._inside[each[0]] < self._places_person]
            if not able:
                return
            chosen = min(able, key=lambda each: self.used_s(each[0]))
            self._waiting.remove(chosen)
            self._free -= 1
            self._inside[chosen[0]] += 1
            if not chosen[1].done():  # whoever was cancelled a moment ago leaves by itself
                chosen[1].set_result(None)

    def _note(self, person_id: int, seconds: float) -> None:
        total_s = self.used_s(person_id) + seconds
        self._used.pop(person_id, None)
        self._used[person_id] = _Use(total_s, self._clock.monotonic())
        if len(self._used) > _REMEMBERED_PEOPLE:
            self._used = {who: use for who, use in self._used.items() if self.used_s(who)}
        if len(self._used) > _REMEMBERED_PEOPLE:
            del self._used[next(iter(self._used))]
