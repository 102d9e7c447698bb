"""What is done when nobody has asked for long: once in each idle time, and nothing while somebody waits."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from bot.core.clock import SystemClock
from bot.core.tasks import end_tasks
from bot.idle.rest import LOOK_S, Rest, Resting, run_command
from tests.support.clock import FakeClock


async def test_each_is_done_once_in_each_idle_time_and_never_while_somebody_waits(
    clock: FakeClock,
) -> None:
    done: list[str] = []

    def rest(name: str, after_s: float) -> Rest:
        async def begin() -> None:
            done.append(name)

        return Rest(after_s, begin)

    resting = Resting(clock, [rest("unload", 600), rest("suspend", 1200)])
    working = asyncio.create_task(resting.run())
    await clock.advance(600 - LOOK_S)
    assert done == []
    resting.set_idle(False)
    await clock.advance(3600)
    assert done == []
    resting.set_idle(True)
    await clock.advance(600 + LOOK_S)
    assert done == ["unload"]
    await clock.advance(3600)
    assert done == ["unload", "suspend"]
    resting.set_idle(False)
    resting.set_idle(True)
    await clock.advance(1200 + 2 * LOOK_S)
    assert done == ["unload", "suspend"] * 2
    await end_tasks(working)


async def test_a_command_is_a_program_with_arguments_and_gets_none_of_our_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    seen = tmp_path / "seen"
    script = "import os, sys; open(sys.argv[1], 'w').write(repr((sys.argv[2:], 'DISCORD_TOKEN' in os.environ)))"
    await run_command([sys.executable, "-c", script, str(seen), "a b; $(c)"], SystemClock())
    assert seen.read_text() == repr((["a b; $(c)"], False))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere/at/all"], "can't be run"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "code 3"),
    ],
)
async def test_a_command_that_fails_is_logged(
    arguments: list[str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await run_command(arguments, SystemClock())
    assert words in caplog.text


async def test_a_command_that_never_ends_is_ended(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    running = asyncio.create_task(
        run_command([sys.executable, "-c", "import time; time.sleep(600)"], clock)
    )
    while clock.is_idle:  # noqa: ASYNC110 - the process is being started
        await asyncio.sleep(0)
    await clock.advance(61)
    await running
    assert "was ended" in caplog.text
