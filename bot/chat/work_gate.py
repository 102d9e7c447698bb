"""Which questions are worked on at the same time, once the process has died under some of them.

A process that dies can't say which question did it: all that were being worked on are suspects. A
suspect is worked on with no other suspect beside it, and one that the process died under twice with
nothing beside it at all. So whoever is there at two more deaths did it, and nobody else is set aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

from bot.core.domain import QuestionId
from bot.core.ports import Journal

ALONE_FROM: Final = 2
"""Deaths under a question from which on it is worked on with nothing beside it."""


class WorkGate:
    """Lets work begin; waiting in the queue is no work. Whoever must be alone goes before new work."""

    def __init__(self) -> None:
        self._suspect = asyncio.Lock()
        self._changed = asyncio.Event()
        self._working = 0
        self._wanting_alone = 0
        self._is_alone = False

    def is_open(self, deaths: int) -> bool:
        """Return whether work on a question could begin at once.

        Args:
            deaths: How often the process died under it.
        """
        if deaths and self._suspect.locked():
            return False
        if deaths >= ALONE_FROM:
            return not self._working and not self._is_alone
        return not self._wanting_alone and not self._is_alone

    @asynccontextmanager
    async def work(self, deaths: int) -> AsyncGenerator[None, None]:
        """Work on a question inside the ``async with`` block; waits until that may begin.

        Args:
            deaths: How often the process died under it.
        """
        if not deaths:
            async with self._beside_others():
                yield
            return
        async with self._suspect, self._alone() if deaths >= ALONE_FROM else self._beside_others():
            yield

    @asynccontextmanager
    async def _beside_others(self) -> AsyncGenerator[None, None]:
        await self._until(lambda: not self._wanting_alone and not self._is_alone)
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1
            self._tell()

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None, None]:
        self._wanting_alone += 1
        try:
            await self._until(lambda: not self._working and not self._is_alone)
            self._is_alone = True
        finally:
            self._wanting_alone -= 1
            self._tell()
        try:
            yield
        finally:
            self._is_alone = False
            self._tell()

    async def _until(self, may_begin: Callable[[], bool]) -> None:
        while not may_begin():
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Attempt:
    """One life's attempt at a question: counted while it is worked on, and only then.

    Args:
        gate: Shared by all questions.
        journal: Keeps the count over a crash.
        question_id: What is attempted.
        deaths: How often the process died under it before.
    """

    def __init__(
        self, gate: WorkGate, journal: Journal, question_id: QuestionId, deaths: int
    ) -> None:
        self._gate = gate
        self._journal = journal
        self._question_id = question_id
        self._deaths = deaths
        self._is_counted = False

    @asynccontextmanager
    async def work(self) -> AsyncGenerator[None, None]:
        """Work on the question inside the ``async with`` block, counted before it begins."""
        if not self._gate.is_open(self._deaths):
            await self.rest()
        async with self._gate.work(self._deaths):
            if not self._is_counted:
                self._is_counted = True
                await self._journal.start(self._question_id)
            yield

    async def rest(self) -> None:
        """Give the attempt back: the question waits, or is handed over in order."""
        if self._is_counted:
            self._is_counted = False
            await self._journal.give_back(self._question_id)
