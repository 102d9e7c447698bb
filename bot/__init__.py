"""The application: everything of Clawbot that is not the Discord surface."""

from typing import Final

__version__ = "0.1.0"

INTERRUPTED: Final = 130
"""Exit code of what Ctrl-C ended before its end, as shells count it."""
