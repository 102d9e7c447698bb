"""A diagnosis as a list of probes: what each needs, how long it may take, what it found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from bot.core.clock import Clock, within
from bot.core.tasks import end_tasks
from bot.diagnostics.values import Finding, Status, Step

C = TypeVar("C")

NOT_TRIED: Final = "Not tried, because “{step}” must work first."


@dataclass(frozen=True, slots=True)
class Probe(Generic[C]):
    """One look at one thing.

    Attributes:
        step: What it looks at.
        limit_s: Longest it may take, in seconds.
        run: Looks, and leaves in the context what later probes work with; ``None`` where there is
            nothing to say.
        late: What is so when it takes longer.
        needs: Steps that must have ended well before; one that was left out or had nothing to say
            counts as well.
    """

    step: Step
    limit_s: float
    run: Callable[[C], Awaitable[Finding | None]]
    late: Finding
    needs: Step | None = None


async def run_probes(
    probes: Iterable[Probe[C]], context: C, clock: Clock
) -> AsyncGenerator[Finding, None]:
    """Run probes one after another; yields each finding as soon as it is known.

    Closing the iterator ends the probe that is under way.

    Args:
        probes: In their order.
        context: What they share.
        clock: For limits and durations.
    """
    blocked: set[Step] = set()
    for probe in probes:
        if probe.needs in blocked:
            blocked.add(probe.step)
            cause = NOT_TRIED.format(step=probe.needs)
            yield Finding(probe.step, Status.SKIPPED, cause)
            continue
        began_s = clock.monotonic()
        try:
            finding = await within(clock, probe.run(context), probe.limit_s)
        except TimeoutError:
            finding = probe.late
        if finding is None:
            continue
        if finding.status in {Status.FAILED, Status.SKIPPED}:
            blocked.add(probe.step)
        yield replace(finding, duration_s=clock.monotonic() - began_s)


@dataclass(frozen=True, slots=True)
class Section:
    """Findings that belong together.

    Attributes:
        title: For people.
        findings: In the order of their steps.
        is_over: No more will come.
    """

    title: str
    findings: tuple[Finding, ...] = ()
    is_over: bool = True


async def together(
    walks: Sequence[tuple[str, AsyncGenerator[Finding, None]]],
    clock: Clock,
    gather_s: float = 0.0,
) -> AsyncGenerator[tuple[Section, ...], None]:
    """Follow several walks at once; yields all sections when some have grown, and once all are over.

    Args:
        walks: A title and its findings each; all are closed at the end.
        clock: For ``gather_s``.
        gather_s: Seconds to wait for more when one has grown; not at the end.

    Raises:
        Exception: What a walk raised.
    """
    found: list[list[Finding]] = [[] for _ in walks]
    grew = asyncio.Event()

    async def follow(mine: list[Finding], walk: AsyncGenerator[Finding, None]) -> None:
        async with aclosing(walk) as findings:
            async for finding in findings:
                mine.append(finding)
                grew.set()

    def sections() -> tuple[Section, ...]:
        rows = zip(walks, found, tasks, strict=True)
        return tuple(Section(title, tuple(mine), task.done()) for (title, _), mine, task in rows)

    tasks = [
        asyncio.create_task(follow(mine, walk))
        for mine, (_, walk) in zip(found, walks, strict=True)
    ]
    for task in tasks:
        task.add_done_callback(lambda _: grew.set())
    try:
        is_over = not tasks
        while not is_over:
            await grew.wait()
            with suppress(TimeoutError):
                await within(clock, asyncio.wait(tasks), gather_s)
            grew.clear()
            grown = sections()
            is_over = all(section.is_over for section in grown)
            yield grown
        for task in tasks:
            task.result()
    finally:
        await end_tasks(*tasks)
