"""Who has the model while nobody waits for it: one piece of one work at a time, until a question comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from bot.core.clock import Clock, within
from bot.core.errors import BackendError
from bot.core.tasks import end_tasks
from bot.core.wording import plain_reason
from bot.queue.scheduler import Scheduler
from config.settings import ContextSettings

_log = logging.getLogger(__name__)

SETTLE_S: Final = 0.5
"""Seconds without a question before anything is begun: people ask in bursts."""

SHARE: Final = 0.25
"""The part of the time that may be spent in idle work, in the long run."""

MOST_S: Final = 90.0
"""Seconds of work that may come together: a prompt of 32,000 tokens at 400 tokens/s."""

LOOK_S: Final = 15.0
"""Seconds between looks for work where nothing is told."""

PAUSE_S: Final = 60.0
"""Seconds without work after a failure."""


class IdleWork(Protocol):
    """Something to do with the model while nobody waits for it."""

    async def step(self) -> bool:
        """Do one short piece.

        Returns:
            False where there is nothing to do.

        Raises:
            BackendError: It can't be done at the moment.

        Cancellation: A question has come: nothing may be left half done.
        """
        ...


class IdleTime:
    """Gives the model's idle time to works, the first that has something to do at each moment.

    Args:
        settings: Say whether it shall be used, at the moment.
    """

    def __init__(self, clock: Clock, settings: ContextSettings) -> None:
        self._settings = settings
        self._clock = clock
        self._idle = asyncio.Event()
        self._idle.set()
        self._news = asyncio.Event()
        self._piece: asyncio.Task[bool] | None = None
        self._spent_s = 0.0
        self._counted_at_s = clock.monotonic()
        self._paused_until_s = clock.monotonic()

    def set_idle(self, is_idle: bool) -> None:
        """Take note that nobody waits any more, or that somebody does: then the work ends at once."""
        if is_idle:
            self._idle.set()
            self._news.set()
            return
        self._idle.clear()
        if self._piece is not None:
            self._piece.cancel()

    def wake(self) -> None:
        """Take note that there may be something to do."""
        self._news.set()

    async def follow(self, line: Scheduler, works: Sequence[IdleWork]) -> None:
        """Work for ever while nobody is in the line, from when it shall be used for the first time on.

        Args:
            line: Who waits.
            works: As for ``run``.
        """
        while not self._settings.warm_ahead:
            self._news.clear()
            await self._wait_for_news()
        self.set_idle(line.is_idle)
        line.on_idle(self.set_idle)
        await self.run(works)

    async def run(self, works: Sequence[IdleWork]) -> None:
        """Work for ever.

        Args:
            works: In order of their priority.
        """
        while True:
            await self._idle.wait()
            self._news.clear()
            await self._clock.sleep(SETTLE_S)
            while self._idle.is_set() and self._may_work() and await self._work(works):
                pass
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        with contextlib.suppress(TimeoutError):
            await within(self._clock, self._news.wait(), LOOK_S)

    def _may_work(self) -> bool:
        now_s = self._clock.monotonic()
        self._spent_s = max(0.0, self._spent_s - SHARE * (now_s - self._counted_at_s))
        self._counted_at_s = now_s
        has_rested = now_s >= self._paused_until_s and self._spent_s < MOST_S
        return has_rested and self._settings.warm_ahead

    async def _work(self, works: Sequence[IdleWork]) -> bool:
        """Do one piece of the first work that has one; return whether there may be more."""
        for work in works:
            began_s = self._clock.monotonic()
            self._piece = asyncio.get_running_loop().create_task(work.step())
            try:
                await asyncio.wait({self._piece})
                if self._ended_with(self._piece):
                    return True
            finally:
                self._spent_s += self._clock.monotonic() - began_s
                await end_tasks(self._piece)
                self._piece = None
            if not self._idle.is_set() or self._clock.monotonic() < self._paused_until_s:
                return False
        return False

    def _ended_with(self, piece: asyncio.Task[bool]) -> bool:
        """Return whether something was done; a failure pauses all work for a while."""
        if piece.cancelled():
            return False
        failure = piece.exception()
        if failure is None:
            return piece.result()
        self._paused_until_s = self._clock.monotonic() + PAUSE_S
        if isinstance(failure, BackendError):
            _log.debug("idle work paused (%s)", plain_reason(failure))
        else:
            _log.error("idle work failed", exc_info=failure)
        return False
