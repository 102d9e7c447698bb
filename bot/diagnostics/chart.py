"""Charts, drawn in a short-lived process: one at a time, bounded, killed when it takes too long."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final

from bot.core import child_process
from bot.core.clock import Clock, within
from bot.diagnostics import chart_process
from bot.diagnostics.model_report import NO_CHART, NO_LIBRARY

_log = logging.getLogger(__name__)

DRAW_S: Final = 30.0
"""Seconds for one chart; the first on a machine also collects its fonts."""

KEPT_S: Final = 60.0
"""Seconds that a chart is shown to everybody who asks for it."""

PNG: Final = b"\x89PNG\r\n"


class Charts:
    """Draws charts, each at most once a minute.

    Args:
        folder: Where the library keeps its list of fonts; made when needed.
    """

    def __init__(self, clock: Clock, folder: Path) -> None:
        self._clock = clock
        self._folder = folder
        self._drawing = asyncio.Lock()
        self._kept: dict[Hashable, tuple[float, bytes | str]] = {}

    async def draw(self, name: Hashable, data: Mapping[str, object]) -> bytes | str:
        """Return a PNG, or a sentence that says why there is none.

        Args:
            name: What it shows: who asks for the same within a minute gets the same.
            data: As ``model_report.drawing`` makes it.

        Cancellation: The process is killed.
        """
        async with self._drawing:
            now_s = self._clock.monotonic()
            self._kept = {key: one for key, one in self._kept.items() if now_s - one[0] < KEPT_S}
            if name not in self._kept:
                self._kept[name] = now_s, await self._draw(data)
            return self._kept[name][1]

    async def _draw(self, data: Mapping[str, object]) -> bytes | str:
        fonts = str(self._folder.absolute())
        try:
            process = await child_process.start(
                "-m", chart_process.__name__, MPLCONFIGDIR=fonts, OPENBLAS_NUM_THREADS="1"
            )
        except OSError as exc:
            _log.warning("no process to draw a chart in: %s", exc)
            return NO_CHART
        try:
            work = process.communicate(json.dumps(data).encode())
            picture, _ = await within(self._clock, work, DRAW_S)
        except TimeoutError:
            _log.warning("a chart took longer than %.0f s: given up", DRAW_S)
            return NO_CHART
        finally:
            await child_process.end(process)
        if process.returncode == chart_process.NO_LIBRARY:
            return NO_LIBRARY
        if process.returncode or not picture.startswith(PNG):
            _log.warning("the process that draws charts ended with code %s", process.returncode)
            return NO_CHART
        return picture
