"""Python processes of our own: given little of this one's environment, and ended for sure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Final

_KEPT: Final = frozenset(
    {"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME"}
)
"""What Python itself may need to start; nothing else is handed on."""


def environment() -> dict[str, str]:
    """Return the least that Python needs to find this program and its libraries."""
    root = Path(__file__).parents[2]
    places = dict.fromkeys(str(Path(place).absolute()) for place in [str(root), *sys.path])
    kept = {name: text for name, text in os.environ.items() if name.upper() in _KEPT}
    return kept | {"PYTHONPATH": os.pathsep.join(places)}


async def start(*arguments: str, **variables: str) -> Process:
    """Start Python with pipes to its input and its output.

    Args:
        arguments: Of its command line.
        variables: Of its environment, besides what it needs.

    Raises:
        OSError: The system has no process to give.
    """
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=Path(sys.executable).anchor,
        env=environment() | variables,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


async def end(process: Process) -> None:
    """Kill a process that hasn't ended by itself, and wait for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
