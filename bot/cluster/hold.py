"""A process's hold of a database that others use, too: looked at again and again, and given up in time.

Two processes may never post for the same servers at once, whatever becomes of the network, so whoever
holds something stops before another can begin, by durations that each measures alone: it stops
``SURE_S`` after it *sent* the last look that showed its hold; whoever takes it over does so after that
look, and waits ``SETTLE_S`` before it begins. How soon the server frees the hold of a process that was
cut off (``storage.lease``) only decides how long nobody answers.

A process that never saw another one goes on where the database is away, as with SQLite.
"""

from __future__ import annotations

import asyncio
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final, Generic, TypeVar

from bot.core.clock import Clock, elapsed_s, within
from bot.core.errors import StoreError
from bot.core.tasks import TaskOwner, apart, end_tasks
from bot.storage.engine import unreachable
from bot.storage.lease import HoldingSession

_log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""Seconds between looks."""
SURE_S: Final = 2.5
"""Seconds that a look holds good for: five looks, so that a slow one pauses nothing."""
SETTLE_S: Final = 3.0
"""Seconds that whoever takes something over waits where the one before didn't end in order: longer than
``SURE_S`` by the time that a request takes which was sent at the last moment."""
GIVE_UP_S: Final = 6.0
"""Seconds of doubt after which a process ends its work, and begins anew as one who waits: less than the
server takes to let go of it (``storage.lease``) and a successor to begin, so that the model never works
for both."""
LEAVE_S: Final = 2.0
"""Seconds to say that this process ended in order."""


class LeadLostError(Exception):
    """This process's hold is gone."""


class NotLeadingError(ConnectionError):
    """A request to Discord that isn't made, because another process may answer."""


_S = TypeVar("_S", bound=HoldingSession)
_T = TypeVar("_T")


class Hold(ABC, Generic[_S]):
    """What a process holds, and whether it still does.

    Args:
        connect: Makes a session, not connected yet.
        clock: For pauses.
        now_s: For durations that nobody may mistake; in seconds.

    Attributes:
        asked_for: What the database is asked for, in the log.
        waiting: How many other processes there are.
    """

    asked_for: ClassVar[str]

    def __init__(
        self, connect: Callable[[], _S], clock: Clock, now_s: Callable[[], float] = elapsed_s
    ) -> None:
        self.waiting = 0
        self._connect = connect
        self._clock = clock
        self._now_s = now_s
        self._session: _S | None = None
        self._sure_s = -math.inf
        self._doubts = self._answered_doubts = 0
        self._sure = asyncio.Event()
        self._hurry = asyncio.Event()
        self._is_leading = False
        self._tasks = TaskOwner()

    @property
    @abstractmethod
    def is_alone(self) -> bool:
        """Whether no other process was ever seen."""

    @property
    def is_sure(self) -> bool:
        """Whether this process may post: nobody else does in its place."""
        is_fresh = self._now_s() - self._sure_s <= SURE_S and self._answered_doubts == self._doubts
        return self._is_leading and (is_fresh or self.is_alone)

    async def take(self) -> bool:
        """Take what is to be held if it is free; return whether this process holds it.

        Raises:
            ConfigurationError: URL or driver are wrong.
            DependencyError: The server can't be used.
        """
        try:
            return await self._try()
        except StoreError as exc:
            raise unreachable(str(exc)) from exc

    async def wait(self) -> None:
        """Wait until this process holds it, for ever; a server that is away is asked again."""
        is_told = False
        while True:
            try:
                if await self._try():
                    return
                is_told = False
            except StoreError as exc:
                if not is_told:
                    _log.warning(
                        "the database can't be asked %s (%s); trying on", self.asked_for, exc
                    )
                is_told = True
            await self._clock.sleep(LOOK_S)

    async def hold(self, work: Coroutine[Any, Any, object]) -> bool:
        """Run work while the hold lasts; where it is lost, the work is cancelled.

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
        """Look at once, and let nothing be posted before: the database failed, or is silent.

        A look that is under way doesn't count: it may have been answered before the failure.
        """
        self._doubts += 1
        self._hurry.set()

    @abstractmethod
    async def _try(self) -> bool:
        """Take what is to be held if it is free; return whether this process holds it.

        Raises:
            StoreError: The server can't be used.
        """

    @abstractmethod
    async def _take_again(self) -> None:
        """Take what was held where the session was lost.

        Raises:
            LeadLostError: Another process has it, or had it.
            StoreError: Not known.
        """

    @abstractmethod
    async def _look(self) -> None:
        """Look whether this session still holds it.

        Raises:
            StoreError: It doesn't, or that isn't known.
        """

    @abstractmethod
    async def _note_left(self) -> None:
        """Say that this process ended in order.

        Raises:
            StoreError: That can't be said.
        """

    async def _keep(self) -> None:
        """Look for ever whether the hold lasts.

        Raises:
            LeadLostError: It doesn't, or that isn't known for too long.
        """
        while True:
            timer = self._clock.call_later(LOOK_S, self._hurry.set)
            await self._hurry.wait()
            timer.cancel()
            self._hurry.clear()
            began_s, doubts = self._now_s(), self._doubts
            limit_s = GIVE_UP_S
            if not self.is_alone:
                limit_s = max(0.0, self._sure_s + GIVE_UP_S - began_s)
            try:
                await within(self._clock, self._confirm(), limit_s)
            except (StoreError, TimeoutError):
                is_late = self._now_s() - self._sure_s >= GIVE_UP_S
                if not self.is_alone and is_late:
                    raise self._lost() from None
            except LeadLostError:
                raise self._lost() from None
            else:
                self._sure_s, self._answered_doubts = began_s, doubts
                self._sure.set()

    async def _confirm(self) -> None:
        """Look whether the hold lasts; take it again where the session was lost.

        Raises:
            LeadLostError: Another process has it, or had it.
            StoreError: Not known.
        """
        if self._session is None:
            await self._take_again()
        await self._look()

    def _begin(self) -> None:
        """Count as one who holds it, from now on."""
        self._is_leading, self._sure_s = True, self._now_s()

    async def _open(self) -> None:
        """Connect where there is no session.

        Raises:
            StoreError: The server can't be used.
        """
        if self._session is None:
            self._session = self._connect()
            await self._ask(lambda session: session.open())

    async def _ask(self, work: Callable[[_S], _T]) -> _T:
        """Have the session asked in a thread; whatever goes wrong ends it, and not the one after it.

        Raises:
            StoreError: It failed, or what it took is lost with the session.
        """
        session = self._session
        if session is None:
            raise StoreError("there is no session")
        try:
            found = await apart(partial(work, session), name="lease")
        except BaseException:
            if session is self._session:
                self._drop()
            raise
        if session is not self._session:
            raise StoreError("the session has ended")
        return found

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
        """Say that this process ended in order, if it holds anything, and let go of the database."""
        if self._is_leading and self._session is not None:
            with suppress(StoreError, TimeoutError):
                await within(self._clock, self._note_left(), LEAVE_S)
        await self.close()

    async def close(self) -> None:
        """Let go of everything; another may take it."""
        self._is_leading = False
        self._sure.set()
        self._drop()
        await self._tasks.wait(LEAVE_S)
