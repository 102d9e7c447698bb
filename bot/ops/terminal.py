"""The process's standard output, which may be a pipe whose reader leaves."""

from __future__ import annotations

import os
import sys


def detach_output() -> None:
    """Send what is still written to standard output nowhere, after its reader has left.

    Python flushes once more at exit, and would print a traceback there.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
