"""The program ``clawbot``: brings the command line, which takes half a second, and lets Ctrl-C end it meanwhile."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from typing import Final

from bot import INTERRUPTED

PATIENCE_S: Final = 0.5
"""Seconds for a thread to end once nothing is left to do."""


def main() -> int:
    """Run the command line and return the process's exit code."""
    try:
        from bot.cli import main as run  # noqa: PLC0415 - its imports are what may be interrupted

        code = run()
    except KeyboardInterrupt:
        return INTERRUPTED
    _end_despite_threads(code)
    return code


def _end_despite_threads(code: int) -> None:
    """End the process here where a thread hangs, on a disk or a silent server: Python would wait for it."""
    for thread in threading.enumerate():
        if thread.daemon or thread is threading.main_thread():
            continue
        thread.join(PATIENCE_S)
        if thread.is_alive():
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
