"""An event loop that stands still is noticed, in a process of its own as the command starts it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bot.ops.watchdog import BLAMED_FILE, take_blamed
from tests.support.process import ROOT, START_S, Ended, ended

PROGRAM = """
import asyncio, itertools, re, sys, time
from pathlib import Path
from bot.core.clock import SystemClock
from bot.core.tasks import log_context
from bot.ops.logs import set_up_logging
from bot.ops.watchdog import Patience, Watchdog
from config.settings import Settings

SECRET = "the words of a person "

def poison(words):
    if sys.argv[2] == "pattern":
        re.match(r"(x+x+)+y", "x" * 64)
    elif sys.argv[2] == "loop":
        while True:
            words += "x" if len(words) < 100 else ""
    elif sys.argv[2] == "wait":
        time.sleep(1000)
    elif sys.argv[2] == "deaf":
        sum(itertools.repeat(0))
    elif sys.argv[2] == "pause":
        time.sleep(2)

async def main():
    loop = asyncio.get_running_loop()
    patience = Patience(beat_s=0.25, log_s=float(sys.argv[3]), end_s=float(sys.argv[4]))
    async with Watchdog(SystemClock(), Path(sys.argv[1]), patience).watching():
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        with log_context(question_id=42):
            poison(SECRET)
        await asyncio.sleep(1.5)
    print("done", flush=True)

set_up_logging(Settings())
asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def watched(
    folder: Path, poison: str, log_s: float = 1.0, end_s: float = 1.5
) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Start a process with a watchdog; it takes the poison once it is written a line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, str(folder), poison, str(log_s), str(end_s)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        assert await process.stdout.readline() == b"ready\n"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def poisoned(folder: Path, poison: str, log_s: float = 1.0, end_s: float = 1.5) -> Ended:
    """Run a process to its end."""
    async with watched(folder, poison, log_s, end_s) as process:
        return await ended(process, "now\n")


@pytest.mark.parametrize("poison", ["pattern", "loop", "wait"])
async def test_a_loop_that_never_comes_round_ends_the_process(tmp_path: Path, poison: str) -> None:
    end = await poisoned(tmp_path, poison)
    assert end.code == 1
    first, last = (line for line in end.err.splitlines() if "question=42" in line)
    assert "ERROR" in first
    assert "question=42: the event loop stands still for 1.0 s" in first
    assert "CRITICAL" in last
    assert "question=42: ended: the event loop stood still for 1.5 s" in last
    for line in (first, last):
        assert " poison < " in line
        assert "the words of a person" not in line
    assert take_blamed(tmp_path) == 42
    assert take_blamed(tmp_path) is None


async def test_what_hears_no_signal_is_ended_too(tmp_path: Path) -> None:
    end = await poisoned(tmp_path, "deaf", end_s=0.3)
    assert end.code == 1
    assert "in poison" in end.err
    assert "the words of a person" not in end.err


async def test_a_pause_is_logged_and_survived(tmp_path: Path) -> None:
    end = await poisoned(tmp_path, "pause", end_s=30)
    assert (end.code, end.out) == (0, "done\n")
    assert re.search("stands still.*\n.*the event loop didn't run for", end.err)
    assert not (tmp_path / BLAMED_FILE).exists()


async def test_a_loop_that_comes_round_is_left_alone(tmp_path: Path) -> None:
    end = await poisoned(tmp_path, "nothing", end_s=1.2)
    assert (end.code, end.out) == (0, "done\n")


async def test_a_process_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Stopped for longer than a loop may stand still, as another process's end tells."""
    async with (
        watched(tmp_path, "nothing", end_s=1.0) as stopped,
        watched(tmp_path, "wait", end_s=1.5) as other,
    ):
        stopped.send_signal(signal.SIGSTOP)
        assert (await ended(other, "now\n")).code == 1
        stopped.send_signal(signal.SIGCONT)
        end = await ended(stopped, "now\n")
    assert (end.code, end.out) == (0, "done\n")
    assert "stands still" not in end.err
    assert "the event loop didn't run for" in end.err


@pytest.mark.parametrize("text", ["", "x", "12 13", "-1"])
def test_a_spoilt_note_blames_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / BLAMED_FILE).write_text(text)
    assert take_blamed(tmp_path) is None
