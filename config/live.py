"""Settings that may change while the bot runs: the mark on their fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Reach = Literal["", "file", "global", "guild", "channel"]
"""The narrowest scope at which a value may be set, if there is one; the wider ones go with it. ``file``: only by
an edit of the operator's own."""

Stands = Literal["", "model", "guild", "channel", "role", "person"]


@dataclass(frozen=True, slots=True)
class Live:
    """Marks a field that may change while the bot runs, so that ``/config`` offers it.

    Attributes:
        reach: The narrowest scope at which it may be set.
        of: What its names or ids stand for at Discord or on the model's machine.
    """

    reach: Reach
    of: Stands = ""


NOT_LIVE: Final = Live("")
