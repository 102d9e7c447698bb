"""The bot as ``python -m bot run`` starts it, with a look at its event loop from inside.

``python -m benchmarks._probe FILE`` appends a JSON line to FILE four times a second: the time
(``time.monotonic``), the loop's lags since the line before in milliseconds, and its tasks.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.app import run
from bot.ops.logs import set_up_logging
from bot.ops.signals import stop_on_signal
from config.environment import read_environment
from config.settings import Settings

STEP_S = 0.01
"""Time between two looks, in seconds; what a look comes later than that is the lag."""
LINE_S = 0.25


@dataclass(frozen=True)
class Look:
    """One line of a probe's file.

    Attributes:
        at_s: When, on the machine's monotonic clock.
        lags_ms: How late each look since the line before came, in milliseconds.
        tasks: Tasks that had not ended.
        cpu_ms: Processor time that the loop's thread used in each lag, in milliseconds. A lag far
            longer than that was a wait for a processor.
    """

    at_s: float
    lags_ms: Sequence[float]
    tasks: int
    cpu_ms: Sequence[float] = ()


def arguments(file: Path) -> tuple[str, ...]:
    """Return what Python runs for a bot with a probe."""
    return ("-m", "benchmarks._probe", str(file))


def read_looks(file: Path) -> list[Look]:
    """Return what a probe has written so far."""
    if not file.exists():
        return []
    lines = file.read_text().splitlines()
    return [Look(*json.loads(line)) for line in lines if line.endswith("]")]


def longest_pause(looks: Sequence[Look]) -> tuple[float, float]:
    """Return the longest lag, and the most processor time between two looks, in milliseconds."""
    lag = max((lag for look in looks for lag in look.lags_ms), default=0.0)
    return lag, max((used for look in looks for used in look.cpu_ms), default=0.0)


async def _watch(file: Path) -> None:
    """Note how late the loop comes round, until cancelled."""
    lags: list[float] = []
    cpu: list[float] = []
    line_at_s = time.monotonic() + LINE_S
    with file.open("a", encoding="utf-8") as out:
        while True:
            due_s = time.monotonic() + STEP_S
            began_cpu_s = time.thread_time()
            await asyncio.sleep(STEP_S)
            now_s = time.monotonic()
            lags.append(round((now_s - due_s) * 1000, 2))
            cpu.append(round((time.thread_time() - began_cpu_s) * 1000, 2))
            if now_s >= line_at_s:
                out.write(json.dumps([now_s, lags, len(asyncio.all_tasks()), cpu]) + "\n")
                out.flush()
                lags, cpu = [], []
                line_at_s = now_s + LINE_S


async def _serve(settings: Settings, file: Path) -> None:
    stop = asyncio.Event()
    gc.freeze()  # as the command does
    watching = asyncio.create_task(_watch(file))
    with stop_on_signal(stop):
        await run(settings, stop=stop)
    watching.cancel()


def main(argv: list[str]) -> int:
    """Run the bot until it is asked to end."""
    settings = read_environment().load(require_token=True).settings
    set_up_logging(settings)
    asyncio.run(_serve(settings, Path(argv[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
