"""Which of several processes answers: one leads, the others wait and take over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bot.cluster.hold import LOOK_S, SETTLE_S, Hold, LeadLostError
from bot.core.clock import Clock, elapsed_s
from bot.core.errors import StoreError
from bot.storage.lease import Leader, LeaseSession, Mode, check_term

_log = logging.getLogger(__name__)


class Leadership(Hold[LeaseSession]):
    """One process's part: takes the lead, keeps it, and knows whether it still has it.

    Args:
        connect: Makes a session, not connected yet.
        clock: For pauses.
        now_s: For durations that nobody may mistake; in seconds.

    Attributes:
        leader: Who this process is while it leads.
    """

    asked_for = "who leads"

    def __init__(
        self,
        connect: Callable[[], LeaseSession],
        clock: Clock,
        now_s: Callable[[], float] = elapsed_s,
    ) -> None:
        super().__init__(connect, clock, now_s)
        self.leader = Leader(0, Mode.ALONE)

    @classmethod
    def over(cls, location: str, clock: Clock) -> Leadership:
        """Return the part of this process in who uses a PostgreSQL database.

        Args:
            location: Its URL.
            clock: For pauses.
        """
        return cls(partial(LeaseSession, location), clock)

    @property
    def is_alone(self) -> bool:
        """Whether nobody was ever seen to wait."""
        return self.leader.mode is Mode.ALONE

    @property
    def remark(self) -> str:
        """What this process does, and how many wait."""
        return f"this process answers; {self.waiting} wait to take over"

    @property
    def guard(self) -> Callable[..., None]:
        """What a transaction that writes begins with: a look whether this process still leads."""
        return lambda connection: check_term(connection, self.leader)

    async def _try(self) -> bool:
        """Lead if nobody does; else be seen as one who waits.

        Raises:
            StoreError: The server can't be used.
        """
        is_new = self._session is None
        if not await self._took():
            if is_new:
                await self._ask(lambda session: session.wait())
            return False
        found = await self._ask(lambda session: session.leader())
        was_shared = found is not None and found.mode is Mode.SHARED
        term = 1 if found is None else found.term + 1
        self.leader = Leader(term, Mode.SHARED if was_shared else Mode.ALONE)
        await self._ask(lambda session: session.note(self.leader))
        began_s = self._now_s()
        while was_shared and self._now_s() - began_s < SETTLE_S:
            await self._clock.sleep(LOOK_S)
            await self._look()
        self._begin()
        return True

    async def _took(self) -> bool:
        await self._open()
        return await self._ask(lambda session: session.take())

    async def _take_again(self) -> None:
        has_taken = await self._took()
        found = await self._ask(lambda session: session.leader())
        if found is not None and found.term != self.leader.term:
            raise LeadLostError
        if not has_taken:  # the server hasn't noticed yet that our last session is gone
            self._drop()
            raise StoreError("the last session still holds the database")

    async def _look(self) -> None:
        standing = await self._ask(lambda session: session.look())
        if not standing.is_own:
            self._drop()
            raise StoreError("this session doesn't hold the database")
        self.waiting = standing.waiting
        if standing.waiting and self.leader.mode is Mode.ALONE:
            self.leader = replace(self.leader, mode=Mode.SHARED)
            await self._ask(lambda session: session.note(self.leader))
            _log.info("another Clawbot waits to take over from this one")

    async def _note_left(self) -> None:
        left = replace(self.leader, mode=Mode.LEFT)
        await self._ask(lambda session: session.note(left))
