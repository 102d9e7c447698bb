"""Settings that may change while the bot runs: the mark on their fields, and a view that follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

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


class SectionView:
    """A section whose fields are read from what holds at the moment they are looked at.

    Args:
        read: Returns the section in force.
    """

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], object]) -> None:
        self._read = read

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the field is
        """Return a field, or a property made of fields, as it is now."""
        return getattr(self._read(), name)
