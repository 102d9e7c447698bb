"""Whether a place in a text is inside code, where tags are quoted rather than used."""

from __future__ import annotations

import re
from typing import Final

_FENCE_LEAD: Final = re.compile(r"[ \t>]{0,80}+(?:(?:[-*+]|\d{1,3}[.)])[ \t]{1,8}+)?+")
_INFO: Final = re.compile(r"[\w+\-.#]{0,24}+[ \t]{0,8}+")


class CodeState:
    """Follows fences at line starts, and inline code up to the end of its line.

    Attributes:
        in_fence: Inside a fenced block.
    """

    def __init__(self) -> None:
        self.in_fence = False
        self._fence = 0
        self._is_first_line = False
        self._inline = 0

    @property
    def is_code(self) -> bool:
        """Whether the place is inside code of either kind."""
        return self.in_fence or self._inline > 0

    def ticks(self, count: int, line: str, after: str) -> None:
        """Take a run of backticks.

        Args:
            count: How many.
            line: What stands before them on their line.
            after: The character after them; empty at the end.
        """
        if self.in_fence:
            closes = self._is_first_line or not line.strip(" \t>") or after in {"", "\n"}
            if count >= self._fence and closes:
                self.in_fence = False
        elif count >= 3 and _FENCE_LEAD.fullmatch(line):
            self._open(count)
            self._is_first_line = True
        elif self._inline == 0:
            self._inline = count
        elif self._inline == count:
            self._inline = 0

    def newline(self, line: str) -> None:
        """End a line, and any inline code with it.

        Args:
            line: The line that ends, or as much of its end as is known.
        """
        self._is_first_line = False
        if self._inline >= 3 and _INFO.fullmatch(line.rpartition("`")[2]):
            self._open(self._inline)
        self._inline = 0

    def _open(self, count: int) -> None:
        self.in_fence = True
        self._fence = count
