"""The bot as a process of its own, as somebody starts it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 100.0
"""Longest any of these processes may take, in seconds; they are ended after it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The last line on standard error."""
        return self.err.rstrip("\n").rpartition("\n")[2]


def whole_environment(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return a process's environment: this one's, with these settings and no others of the bot's."""
    inherited = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("CLAWBOT_", "DISCORD_", "LMSTUDIO_"))
    }
    return {**inherited, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **wanted}


@contextlib.asynccontextmanager
async def clawbot(
    *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Start ``python -m bot`` in a folder; whatever still runs at the end is killed.

    Args:
        arguments: Of the command line.
        folder: Where it starts; without a settings file unless the test wrote one.
        environment: Its settings; the machine's own are left out.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs behind it
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # or the process would ignore it, too
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *arguments,
        cwd=folder,
        env=whole_environment(environment or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ended(process: asyncio.subprocess.Process, typed: str | None = None) -> Ended:
    """Wait for the process to end, and return what it left.

    Args:
        process: Running.
        typed: What to write to its standard input, which is closed after it.
    """
    async with asyncio.timeout(START_S):
        data = None if typed is None else typed.encode()
        out, err = await process.communicate(data)
    code = process.returncode
    assert code is not None
    return Ended(code, out.decode(), err.decode())


async def logged(process: asyncio.subprocess.Process, words: bytes) -> str:
    """Wait until a line of the process's log holds these words, and return it.

    Raises:
        AssertionError: The log ended without them.
    """
    assert process.stderr is not None
    lines: list[str] = []
    async with asyncio.timeout(START_S):
        async for line in process.stderr:
            lines.append(line.decode().rstrip())
            if words in line:
                return lines[-1]
    raise AssertionError(f"never logged: {words!r}, but: {lines[-20:]}")


async def run_clawbot(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    typed: str | None = None,
) -> Ended:
    """Run ``python -m bot`` to its end; arguments as ``clawbot`` and ``ended``."""
    async with clawbot(*arguments, folder=folder, environment=environment) as process:
        return await ended(process, typed)
