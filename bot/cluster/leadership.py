"""Which of several processes answers: one leads, the others wait and take over.

Two may never post at once, whatever becomes of the network, so the leader stops before another can
begin, by durations that each measures alone: it stops ``SURE_S`` after it *sent* the last look that
showed its hold of the database; whoever takes the hold over does so after that look, and waits
``SETTLE_S`` before it begins. How soon the server frees the hold of a process that was cut off
(``storage.lease``) only decides how long nobody answers.

A leader that never saw anybody wait goes on where the database is away, as with SQLite.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from bot.core.clock import Clock, elapsed_s, within
from bot.core.errors import StoreError
from bot.core.tasks import TaskOwner, apart, end_tasks
from bot.storage.engine import unreachable
from bot.storage.lease import Leader, LeaseSession, Mode, Standing, check_term

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

LOOK_S: Final = 0.5
"""Seconds between looks, of the leader and of those who wait."""
SURE_S: Final = 2.5
"""Seconds that a look holds good for: five looks, so that a slow one pauses nothing."""
SETTLE_S: Final = 3.0
"""Seconds that a new leader waits where the last one didn't end in order: longer than ``SURE_S`` by the
time that a request takes which was sent at the last moment."""
GIVE_UP_S: Final = 6.0
"""Seconds of doubt after which a leader ends its work, and begins anew as one who waits: less than the
server takes to let go of it (``storage.lease``) and a successor to begin, so that the model never works
for both."""
LEAVE_S: Final = 2.0
"""Seconds to say that this process ended in order."""


class LeadLostError(Exception):
    """This process leads no longer."""


class NotLeadingError(ConnectionError):
    """A request to Discord that isn't made, because another process may answer."""


class Session(Protocol):
    """A connection that may hold the database: ``LeaseSession``."""

    def open(self) -> None:
        """Connect."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...

    def wait(self) -> None:
        """Be seen as one who waits to lead."""
        ...

    def take(self) -> bool:
        """Hold the database where nobody does; return whether this session holds it."""
        ...

    def look(self) -> Standing:
        """Return who holds the database."""
        ...

    def leader(self) -> Leader | None:
        """Return the newest leader."""
        ...

    def note(self, leader: Leader) -> None:
        """Note who leads."""
        ...


class Leadership:
    """One process's part: takes the lead, keeps it, and knows whether it still has it.

    Args:
        connect: Makes a session, not connected yet.
        clock: For pauses.
        now_s: For durations that nobody may mistake; in seconds.

    Attributes:
        leader: Who this process is while it leads.
        waiting: How many others wait.
    """

    def __init__(
        self,
        connect: Callable[[], Session],
        clock: Clock,
        now_s: Callable[[], float] = elapsed_s,
    ) -> None:
        self.leader = Leader(0, Mode.ALONE)
        self.waiting = 0
        self._connect = connect
        self._clock = clock
        self._now_s = now_s
        self._session: Session | None = None
        self._sure_s = -math.inf
        self._doubts = self._answered_doubts = 0
        self._sure = asyncio.Event()
        self._hurry = asyncio.Event()
        self._is_leading = False
        self._tasks = TaskOwner()

    @classmethod
    def over(cls, location: str, clock: Clock) -> Leadership:
        """Return the part of this process in who uses a PostgreSQL database.

        Args:
            location: Its URL.
            clock: For pauses.
        """
        return cls(partial(LeaseSession, location), clock)

    @property
    def is_sure(self) -> bool:
        """Whether this process may post: nobody else does."""
        is_fresh = self._now_s() - self._sure_s <= SURE_S and self._answered_doubts == self._doubts
        return self._is_leading and (is_fresh or self.leader.mode is Mode.ALONE)

    async def take(self) -> bool:
        """Lead if nobody does; return whether this process leads.

        Raises:
            ConfigurationError: URL or driver are wrong.
            DependencyError: The server can't be used.
        """
        try:
            return await self._try()
        except StoreError as exc:
            raise unreachable(str(exc)) from exc

    async def wait(self) -> None:
        """Wait until this process leads, for ever; a server that is away is asked again."""
        is_told = False
        while True:
            try:
                if await self._try():
                    return
                is_told = False
            except StoreError as exc:
                if not is_told:
                    _log.warning("the database can't be asked who leads (%s); trying on", exc)
                is_told = True
            await self._clock.sleep(LOOK_S)

    async def hold(self, work: Coroutine[Any, Any, object]) -> bool:
        """Run work while this process leads; where it leads no longer, the work is cancelled.

        Returns:
            Whether the work came to its end.

        Raises:
            BaseException: What the work raised.
        """
        loop = asyncio.get_running_loop()
        working, keeping = loop.create_task(work), loop.create_task(self._keep())
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return True
            with suppress(LeadLostError):
                keeping.result()
            return False
        finally:
            await end_tasks(working)
            await end_tasks(keeping)
            await self._leave()

    async def may_post(self) -> None:
        """Wait while another process may answer.

        Raises:
            NotLeadingError: One does, as far as this one knows.
        """
        while not self.is_sure:
            if not self._is_leading:
                raise NotLeadingError("another process may answer")
            self._sure.clear()
            await self._sure.wait()

    def doubt(self) -> None:
        """Look at once, and let nothing be posted before: the database failed.

        A look that is under way doesn't count: it may have been answered before the failure.
        """
        self._doubts += 1
        self._hurry.set()

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
        self._is_leading, self._sure_s = True, self._now_s()
        return True

    async def _took(self) -> bool:
        if self._session is None:
            self._session = self._connect()
            await self._ask(lambda session: session.open())
        return await self._ask(lambda session: session.take())

    async def _keep(self) -> None:
        """Look for ever whether this process still leads.

        Raises:
            LeadLostError: It doesn't, or can't know for too long.
        """
        while True:
            timer = self._clock.call_later(LOOK_S, self._hurry.set)
            await self._hurry.wait()
            timer.cancel()
            self._hurry.clear()
            began_s, doubts = self._now_s(), self._doubts
            limit_s = GIVE_UP_S
            if self.leader.mode is Mode.SHARED:
                limit_s = max(0.0, self._sure_s + GIVE_UP_S - began_s)
            try:
                await within(self._clock, self._confirm(), limit_s)
            except (StoreError, TimeoutError):
                is_late = self._now_s() - self._sure_s >= GIVE_UP_S
                if self.leader.mode is Mode.SHARED and is_late:
                    raise self._lost() from None
            except LeadLostError:
                raise self._lost() from None
            else:
                self._sure_s, self._answered_doubts = began_s, doubts
                self._sure.set()

    async def _confirm(self) -> None:
        """Look whether this process leads; take the lead again where the session was lost.

        Raises:
            LeadLostError: Another process has led since.
            StoreError: Not known.
        """
        if self._session is None:
            await self._take_again()
        await self._look()

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

    async def _ask(self, work: Callable[[Session], _T]) -> _T:
        """Have the session asked in a thread; whatever goes wrong ends it.

        Raises:
            StoreError: It failed.
        """
        session = self._session
        if session is None:
            raise StoreError("there is no session")
        try:
            return await apart(partial(work, session), name="lease")
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        """Give the session up; a thread that still asks may hang for some seconds."""
        session, self._session = self._session, None
        if session is not None:
            self._tasks.start(apart(session.close, name="lease-close"), name="lease-close")

    def _lost(self) -> LeadLostError:
        self._is_leading = False
        self._sure.set()
        return LeadLostError()

    async def _leave(self) -> None:
        """Say that this process ended in order, if it leads, and let go of the database."""
        if self._is_leading and self._session is not None:
            left = replace(self.leader, mode=Mode.LEFT)
            with suppress(StoreError, TimeoutError):
                await within(self._clock, self._ask(lambda session: session.note(left)), LEAVE_S)
        await self.close()

    async def close(self) -> None:
        """Let go of everything; another may lead."""
        self._is_leading = False
        self._sure.set()
        self._drop()
        await self._tasks.wait(LEAVE_S)
