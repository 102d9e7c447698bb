"""One walk for everybody who asks at the same time, and for a moment after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from bot.core.clock import Clock
from bot.core.tasks import TaskOwner
from bot.diagnostics.values import Finding

FRESH_S: Final = 5.0
"""Seconds that a finished walk is shown again instead of a new one, to whoever asks just then."""

WalkKey = tuple[str, str | None]
"""A server's address, and the model that is asked."""

Walk = Callable[[], AsyncGenerator[Finding, None]]


class _Run:
    """One walk under way or ended, with what it found so far."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.grew = asyncio.Event()
        self.ended_s: float | None = None
        self.error: BaseException | None = None

    def add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._wake()

    def end(self, now_s: float) -> None:
        self.ended_s = now_s
        self._wake()

    def _wake(self) -> None:
        self.grew.set()
        self.grew = asyncio.Event()


class SharedWalks:
    """Walks by server's address and model, so that ten people asking cost the server one walk.

    Args:
        clock: Says when a walk is no longer fresh.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[WalkKey, _Run] = {}
        self._tasks = TaskOwner()

    def has(self, key: WalkKey) -> bool:
        """Return whether a walk to this server is under way, or fresh."""
        run = self._runs.get(key)
        if run is None:
            return False
        return run.ended_s is None or self._clock.monotonic() - run.ended_s < FRESH_S

    async def findings(self, key: WalkKey, walk: Walk) -> AsyncGenerator[Finding, None]:
        """Yield what a walk finds, as soon as it is known, beginning one only where none is fresh.

        A walk goes on to its end also when nobody listens any more. One that found a problem isn't
        shown again: whoever asks after it may have mended that.

        Args:
            key: The server and the model.
            walk: Begins a walk; called at most once.

        Raises:
            Exception: What the walk raised.
        """
        if not self.has(key):
            self._runs[key] = run = _Run()
            self._tasks.start(self._walk(key, run, walk), name="diagnosis")
        run = self._runs[key]
        shown = 0
        while True:
            grew = run.grew
            while shown < len(run.findings):
                shown += 1
                yield run.findings[shown - 1]
            if run.error is not None:
                raise run.error
            if run.ended_s is not None:
                return
            if grew is run.grew:
                await grew.wait()

    async def cancel(self) -> None:
        """End the walks that are under way."""
        await self._tasks.cancel()

    async def _walk(self, key: WalkKey, run: _Run, walk: Walk) -> None:
        is_for_all = True
        try:
            async with aclosing(walk()) as findings:
                async for finding in findings:
                    is_for_all &= not (finding.is_personal or finding.is_problem)
                    run.add(finding)
        except Exception as exc:  # noqa: BLE001 - the seam of a walk: whoever listens raises it
            run.error = exc
        finally:
            if not is_for_all or run.error is not None:
                self._runs.pop(key, None)
            run.end(self._clock.monotonic())
