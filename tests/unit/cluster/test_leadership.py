"""Who leads, told by a database that is there, away, or somebody else's since."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from bot.cluster.hold import GIVE_UP_S, LOOK_S, SETTLE_S, SURE_S, NotLeadingError
from bot.cluster.leadership import Leadership
from bot.core.errors import StoreError
from bot.storage.lease import Leader, LeaseSession, Mode, Standing
from tests.support.clock import FakeClock, settle


class Shared:
    """A database: who holds it, who waits, who was noted, and whether it can be reached."""

    def __init__(self) -> None:
        self.holder: Session | None = None
        self.waiting = 0
        self.noted: Leader | None = None
        self.is_away = False


class Session:
    """A connection to it."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def _reach(self) -> Shared:
        if self._shared.is_away:
            self.close()
            raise StoreError("away")
        return self._shared

    def open(self) -> None:
        self._reach()

    def close(self) -> None:
        if self._shared.holder is self:
            self._shared.holder = None

    def wait(self) -> None:
        self._reach()

    def take(self) -> bool:
        shared = self._reach()
        shared.holder = shared.holder or self
        return shared.holder is self

    def look(self) -> Standing:
        shared = self._reach()
        return Standing(
            is_own=shared.holder is self,
            holders=int(shared.holder is not None),
            waiting=shared.waiting,
        )

    def leader(self) -> Leader | None:
        return self._reach().noted

    def note(self, leader: Leader) -> None:
        self._reach().noted = leader


async def _advance(clock: FakeClock, seconds: float) -> None:
    """Let time pass in steps in which threads come back."""
    for _ in range(round(seconds / LOOK_S)):
        await clock.advance(LOOK_S)
        await _threads_are_back()


async def _threads_are_back() -> None:
    """Wait until no session is asked any more, also not for what follows from its answers."""
    await settle()
    while asking := [each for each in threading.enumerate() if each.name.startswith("lease")]:
        await asyncio.to_thread(asking[0].join)
        await settle()


def _lead(shared: Shared, clock: FakeClock) -> Leadership:
    return Leadership(lambda: cast("LeaseSession", Session(shared)), clock, clock.monotonic)


@asynccontextmanager
async def _leading(lead: Leadership) -> AsyncGenerator[asyncio.Task[bool], None]:
    assert await lead.take()
    holding = asyncio.create_task(lead.hold(asyncio.Event().wait()))
    try:
        yield holding
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def test_a_leader_that_is_alone_posts_on_while_the_database_is_away(
    clock: FakeClock,
) -> None:
    shared = Shared()
    lead = _lead(shared, clock)
    async with _leading(lead) as holding:
        await _advance(clock, 2 * LOOK_S)
        shared.is_away = True
        await _advance(clock, 3 * GIVE_UP_S)
        await lead.may_post()
        shared.is_away = False
        await _advance(clock, 2 * LOOK_S)
        assert not holding.done()
        assert shared.holder is not None
    assert shared.noted == Leader(1, Mode.LEFT)


async def test_a_leader_that_others_wait_for_posts_nothing_while_it_is_not_sure(
    clock: FakeClock,
) -> None:
    shared = Shared()
    lead = _lead(shared, clock)
    async with _leading(lead) as holding:
        shared.waiting = 1
        await _advance(clock, 2 * LOOK_S)
        assert shared.noted == Leader(1, Mode.SHARED)
        shared.is_away = True
        lead.doubt()
        assert not lead.is_sure
        posting = asyncio.create_task(lead.may_post())
        await _advance(clock, SURE_S)
        assert not posting.done()
        shared.is_away = False
        await _advance(clock, 2 * LOOK_S)
        await posting
        shared.is_away = True
        await _advance(clock, SURE_S + LOOK_S)
        assert not lead.is_sure
        await _advance(clock, GIVE_UP_S)
        assert await holding is False
        with pytest.raises(NotLeadingError):
            await lead.may_post()
    assert shared.noted == Leader(1, Mode.SHARED)


async def test_a_leader_ends_as_soon_as_another_has_led(clock: FakeClock) -> None:
    shared = Shared()
    lead = _lead(shared, clock)
    async with _leading(lead) as holding:
        shared.holder, shared.noted = Session(shared), Leader(2, Mode.ALONE)
        await _advance(clock, 4 * LOOK_S)
        assert await holding is False
        assert not lead.is_sure


async def test_a_successor_waits_as_long_as_the_one_before_may_post(clock: FakeClock) -> None:
    shared = Shared()
    shared.noted = Leader(6, Mode.SHARED)
    lead = _lead(shared, clock)
    taking = asyncio.create_task(lead.take())
    await _threads_are_back()
    await _advance(clock, SURE_S)
    assert shared.noted == Leader(7, Mode.SHARED)
    assert not taking.done()
    await _advance(clock, SETTLE_S - SURE_S + 2 * LOOK_S)
    assert await taking
    await lead.close()
    shared.noted = Leader(7, Mode.LEFT)
    assert await lead.take()
    await lead.close()


def test_a_process_without_a_server_for_its_database_reads_none_of_this() -> None:
    script = "import sys, bot.cli, bot.app; print(*(n for n in sys.modules if 'cluster' in n or 'lease' in n))"
    told = subprocess.run(  # noqa: S603 - this interpreter, this line
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=50
    )
    assert told.stdout.split() == []
