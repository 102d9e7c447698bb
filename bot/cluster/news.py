"""What other processes with the same database have changed is taken over at once."""

from __future__ import annotations

import asyncio
import logging
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
"""What is read again after a gap in the listening."""


class Newsroom:
    """Listens for ever, and has what was changed read again.

    Args:
        location: The database's URL.
        clock: For pauses.
    """

    def __init__(self, location: str, clock: Clock) -> None:
        self._location = location
        self._clock = clock
        self._takers: dict[News, Take] = {}
        self._heard: asyncio.Queue[tuple[News, str]] = asyncio.Queue()

    def on(self, news: News, take: Take) -> None:
        """Have news taken over by a function."""
        self._takers[news] = take

    async def run(self) -> None:
        """Listen for ever; a connection that breaks is made again, and everything is read again then."""
        loop = asyncio.get_running_loop()
        taking = loop.create_task(self._take_over())

        def hear(news: News, about: str) -> None:
            loop.call_soon_threadsafe(self._heard.put_nowait, (news, about))

        def begun() -> None:
            for news in TO_BE_READ:
                hear(news, "")

        try:
            while True:
                listener = Listener(self._location)
                try:
                    await apart(partial(listener.run, begun, hear), name="news")
                except StoreError as exc:
                    _log.debug("changes by other processes aren't heard (%s)", exc)
                finally:
                    listener.close()
                await self._clock.sleep(LOOK_S)
        finally:
            await end_tasks(taking)

    async def _take_over(self) -> None:
        while True:
            news, about = await self._heard.get()
            take = self._takers.get(news)
            if take is not None:
                try:
                    await take(about)
                except StoreError as exc:
                    _log.warning("a change by another process isn't known yet (%s)", exc)
