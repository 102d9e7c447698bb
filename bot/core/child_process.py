"""What a child process of our own is given of this one's environment."""

from __future__ import annotations

import os
import sys
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
