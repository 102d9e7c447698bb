"""The terminal in front of a person: how wide it is, how this program is called there, a reader that leaves."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Final

_LEAST_COLUMNS: Final = 20
"""Narrower terminals break the lines themselves."""


def detach_output() -> None:
    """Send what is still written to standard output nowhere, after its reader has left.

    Python flushes once more at exit, and would print a traceback there.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def fitted(text: str, indent: int) -> str:
    """Break lines between words where the output is a terminal; elsewhere they stay as they are.

    Args:
        text: One or more lines.
        indent: Blanks before what goes on from the line above.
    """
    columns = shutil.get_terminal_size().columns
    if not sys.stdout.isatty() or columns < _LEAST_COLUMNS:
        return text
    wrapper = textwrap.TextWrapper(
        width=columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(wrapper.fill(line) for line in text.splitlines())


def program() -> str:
    """Return what a person types here to call this program again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m bot"
    if shutil.which(called.name) == str(called):
        return called.name
    return shlex.quote(str(called))
