"""Room for a little work at a time, shared so that no person's or server's work keeps another's waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from bot.core.clock import Clock

_FORGIVEN = 0.1
"""Seconds of use that are forgotten in each second."""

_REMEMBERED = 2000
"""People and servers."""


class Share(NamedTuple):
    """Whose time work takes.

    Attributes:
        person_id: Who asked for it.
        group_id: Their server; in a direct message the person.
    """

    person_id: int
    group_id: int


@dataclass(slots=True)
class _Use:
    seconds: float
    at_s: float


class FairGate:
    """Lets a few in at once; of those who wait, whose server has used the least lately goes first.

    Of the people of one server that is whoever has used the least themselves.

    Args:
        places: How many may be inside at once.
        places_person: How many of these one person may have.
    """

    def __init__(self, clock: Clock, *, places: int, places_person: int) -> None:
        self._clock = clock
        self._free = places
        self._places_person = places_person
        self._inside: Counter[int] = Counter()
        self._waiting: list[tuple[Share, asyncio.Future[None]]] = []
        self._used: dict[int, _Use] = {}

    def used_s(self, who: int) -> float:
        """Return the seconds a person or server has been inside, less what is forgotten since."""
        use = self._used.get(who)
        if use is None:
            return 0.0
        return max(0.0, use.seconds - (self._clock.monotonic() - use.at_s) * _FORGIVEN)

    @asynccontextmanager
    async def place(self, share: Share) -> AsyncGenerator[None, None]:
        """Wait for a place and hold it for the length of the block.

        Cancellation: While waiting, the turn goes to the next.
        """
        await self._enter(share)
        began_s = self._clock.monotonic()
        try:
            yield
        finally:
            for who in set(share):
                self._note(who, self._clock.monotonic() - began_s)
            self._leave(share.person_id)

    async def _enter(self, share: Share) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = (share, turn)
        self._waiting.append(waiting)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                self._leave(share.person_id)
            raise

    def _leave(self, person_id: int) -> None:
        self._free += 1
        self._inside[person_id] -= 1
        if not self._inside[person_id]:
            del self._inside[person_id]
        self._let_in()

    def _let_in(self) -> None:
        while self._free:
            able = [
                each
                for each in self._waiting
                if self._inside[each[0].person_id] < self._places_person
            ]
            if not able:
                return
            chosen = min(able, key=self._used_by)
            share, turn = chosen
            self._waiting.remove(chosen)
            self._free -= 1
            self._inside[share.person_id] += 1
            if not turn.done():  # whoever was cancelled a moment ago leaves by itself
                turn.set_result(None)

    def _used_by(self, waiting: tuple[Share, asyncio.Future[None]]) -> tuple[float, float]:
        share, _ = waiting
        return self.used_s(share.group_id), self.used_s(share.person_id)

    def _note(self, who: int, seconds: float) -> None:
        total_s = self.used_s(who) + seconds
        self._used.pop(who, None)
        self._used[who] = _Use(total_s, self._clock.monotonic())
        if len(self._used) > _REMEMBERED:
            self._used = {other: use for other, use in self._used.items() if self.used_s(other)}
        if len(self._used) > _REMEMBERED:
            del self._used[next(iter(self._used))]
