"""The program ``clawbot``: brings the command line, which takes half a second, and lets Ctrl-C end it meanwhile."""

from __future__ import annotations

import sys

from bot import INTERRUPTED


def main() -> int:
    """Run the command line and return the process's exit code."""
    try:
        from bot.cli import main as run  # noqa: PLC0415 - its imports are what may be interrupted

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
