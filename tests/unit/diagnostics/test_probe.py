"""Several walks followed at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.core.clock import SystemClock
from bot.diagnostics.probe import Section, together
from bot.diagnostics.values import Finding, Status, Step
from tests.support.clock import FakeClock, settle

FIRST = Finding(Step.NAME, Status.OK, "The name is known.")
LAST = Finding(Step.CONNECTION, Status.FAILED, "Nothing answers.")


async def walk(gate: asyncio.Event) -> AsyncGenerator[Finding, None]:
    yield FIRST
    await gate.wait()
    yield LAST


async def test_what_is_found_while_the_last_findings_are_being_shown_is_shown_too() -> None:
    gates = asyncio.Event(), asyncio.Event()
    shown: list[tuple[Section, ...]] = []
    async for sections in together([("1", walk(gates[0])), ("2", walk(gates[1]))], SystemClock()):
        shown.append(sections)
        for gate in gates:
            gate.set()
        await settle()
    assert shown[-1] == (Section("1", (FIRST, LAST)), Section("2", (FIRST, LAST)))


async def test_the_end_is_told_once() -> None:
    gate = asyncio.Event()
    gate.set()
    walks = [("1", walk(gate)), ("2", walk(gate))]
    shown = [sections async for sections in together(walks, SystemClock())]
    assert [all(section.is_over for section in sections) for sections in shown].count(True) == 1
    assert [sections async for sections in together([], SystemClock())] == []


async def test_what_was_found_is_shown_while_the_next_step_takes_long(clock: FakeClock) -> None:
    gate = asyncio.Event()
    shown = together([("1", walk(gate))], clock, 1.5)
    first = asyncio.create_task(anext(shown))
    await clock.advance(1.4)
    assert not first.done()
    await clock.advance(0.2)
    assert await first == (Section("1", (FIRST,), is_over=False),)
    gate.set()
    assert await anext(shown) == (Section("1", (FIRST, LAST)),)
    await shown.aclose()
