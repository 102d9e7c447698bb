"""What other processes with the same database have changed is taken over at once."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from bot.cluster.hold import LOOK_S
from bot.core.clock import Clock
from bot.core.errors import StoreError
from bot.core.tasks import apart, end_tasks
from bot.storage.listening import Listener
from bot.storage.postgres import News

_log = logging.getLogger(__name__)

Take = Callable[[str], Awaitable[None]]
"""Takes a change over; told whom it is about."""

TO_BE_READ: Final = (News.FORGET, News.SETTINGS, News.PEOPLE, News.STATE)
"""What is read again after a gap in the listening, and now and then during one."""

READ_S: Final = 2.0
"""Seconds between two times that it is read while nothing is heard: less than others wait for who is to
forget somebody (``gateway.sharing``)."""

UNHEARD: Final = (
    "The database lets me have no connection to hear what other processes change ({cause}), so their changes hold "
    "here some seconds later. Each process takes three connections: raise the limit of the database, or of its user."
)


class Newsroom:
    """Listens for ever, and has what was changed read again.

    Args:
        location: The database's URL.
        clock: For pauses.
        tell: Told what the operator must know while nothing is heard, and of nothing afterwards.
    """

    def __init__(
        self, location: str, clock: Clock, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._location = location
        self._clock = clock
        self._tell = tell
        self._unheard = ""
        self._is_told = False
        self._looked_at_s = self._read_at_s = -math.inf
        self._takers: dict[News, Take] = {}
        self._heard: asyncio.Queue[tuple[News, str]] = asyncio.Queue()

    def on(self, news: News, take: Take) -> None:
        """Have news taken over by a function."""
        self._takers[news] = take

    def looked(self) -> None:
        """Take note that the database answers: where nothing is heard all the same, all is read now and then."""
        now_s = self._clock.monotonic()
        # Where the database was away, the listening is about to begin again, too.
        was_away = now_s - self._looked_at_s > READ_S
        self._looked_at_s = now_s
        if not self._unheard or was_away:
            self._read_at_s = now_s + READ_S
        elif now_s >= self._read_at_s:
            self._read_at_s = now_s + READ_S
            if not self._is_told:
                self._is_told = True
                _log.warning("%s", self._unheard)
                self._tell(self._unheard)
            self._read_all()

    def _read_all(self) -> None:
        for news in TO_BE_READ:
            self._heard.put_nowait((news, ""))

    async def run(self) -> None:
        """Listen for ever; a connection that breaks is made again, and everything is read again then."""
        loop = asyncio.get_running_loop()
        taking = loop.create_task(self._take_over())

        def hear(news: News, about: str) -> None:
            loop.call_soon_threadsafe(self._heard.put_nowait, (news, about))

        def begun() -> None:
            loop.call_soon_threadsafe(self._begun)

        try:
            while True:
                listener = Listener(self._location)
                try:
                    await apart(partial(listener.run, begun, hear), name="news")
                except StoreError as exc:
                    self._unheard = UNHEARD.format(cause=exc)
                finally:
                    listener.close()
                await self._clock.sleep(LOOK_S)
        finally:
            await end_tasks(taking)

    def _begun(self) -> None:
        if self._is_told:
            _log.info("what other processes change is heard at once again")
            self._tell("")
        self._unheard, self._is_told = "", False
        self._read_all()

    async def _take_over(self) -> None:
        while True:
            news, about = await self._heard.get()
            take = self._takers.get(news)
            if take is not None:
                try:
                    await take(about)
                except StoreError as exc:
                    _log.warning("a change by another process isn't known yet (%s)", exc)
