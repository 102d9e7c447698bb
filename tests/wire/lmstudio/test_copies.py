"""Further copies of a model: loaded while the line is long and there is room, unloaded when unused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.core.tasks import end_tasks
from bot.lmstudio import LMStudioBackend, open_backend
from bot.lmstudio.copies import FAILED_S, UNUSED_S
from bot.lmstudio.wake import LONG_LINE_S
from config.settings import LMStudioSettings
from sandbox.lmstudio import LMStudioSandbox, Model
from sandbox.lmstudio.values import INSTANT
from tests.support.clock import FakeClock
from tests.wire.lmstudio.rig import nodes, passing
from tests.wire.lmstudio.test_nodes import hold_slot, until

LONG_S = LONG_LINE_S + 1
GIB = 2**30


@asynccontextmanager
async def at_work(
    clock: FakeClock, *, memory_gib: float, extra: int = 2
) -> AsyncIterator[tuple[LMStudioSandbox, LMStudioBackend]]:
    """Give a server of one slot that answers, with a model of 2 GiB, and its back end."""
    model = Model("a/b", parallel=1, size_bytes=2 * GIB)
    async with LMStudioSandbox([model], INSTANT) as sandbox:
        settings = LMStudioSettings(
            base_url=(sandbox.base_url,), memory_gib=memory_gib, extra_copies=extra
        )
        async with open_backend(settings, clock) as backend:
            await passing(clock, backend.probe_now())
            asking = asyncio.create_task(hold_slot(backend, sandbox))
            await until(clock, lambda: nodes(backend)[0].in_flight)
            yield sandbox, backend
            await end_tasks(asking)


async def test_a_copy_is_loaded_while_the_line_is_long_and_unloaded_when_unused(
    clock: FakeClock,
) -> None:
    async with at_work(clock, memory_gib=5) as (sandbox, backend):
        copies = backend.copies(None)
        assert not await passing(clock, copies.look(LONG_LINE_S))
        assert await passing(clock, copies.look(LONG_S))
        assert list(sandbox.engine.instances) == ["a/b", "a/b:2"]
        assert backend.capacity().slots == 2
        assert [one.copies for one in backend.servers()[0].models] == [2]
        # The new copy is free, and the memory is full.
        assert not await passing(clock, copies.look(LONG_S))
        later = backend.copies(copies.made())
        await clock.advance(UNUSED_S)
        assert await passing(clock, later.look(0.0))
        assert list(sandbox.engine.instances) == ["a/b"]
        assert later.made() == []


@pytest.mark.parametrize(("memory_gib", "extra"), [(4, 2), (64, 0)])
async def test_no_copy_is_loaded_beyond_the_memory_or_the_number(
    clock: FakeClock, memory_gib: float, extra: int
) -> None:
    async with at_work(clock, memory_gib=memory_gib, extra=extra) as (sandbox, backend):
        assert not await passing(clock, backend.copies(None).look(LONG_S))
        assert list(sandbox.engine.instances) == ["a/b"]


async def test_a_copy_that_cannot_be_loaded_is_not_tried_at_once_again(clock: FakeClock) -> None:
    async with at_work(clock, memory_gib=64) as (sandbox, backend):
        copies = backend.copies([["elsewhere", "a/b:2"], 3, None])
        sandbox.options.memory_tokens = 16
        for _ in range(3):
            assert not await passing(clock, copies.look(LONG_S))
        sandbox.options.memory_tokens = None
        assert not await passing(clock, copies.look(LONG_S))
        await clock.advance(FAILED_S)
        assert await passing(clock, copies.look(LONG_S))


async def test_a_copy_that_cannot_be_unloaded_is_not_forgotten(clock: FakeClock) -> None:
    async with at_work(clock, memory_gib=5) as (sandbox, backend):
        copies = backend.copies(None)
        assert await passing(clock, copies.look(LONG_S))
        await clock.advance(UNUSED_S)
        sandbox.options.token = "another"
        assert not await passing(clock, copies.look(0.0))
        sandbox.options.token = None
        await clock.advance(UNUSED_S)
        assert await passing(clock, copies.look(0.0))
        assert list(sandbox.engine.instances) == ["a/b"]
        assert copies.made() == []
