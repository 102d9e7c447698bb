"""Where a place in a text is: on its line, and inside code, where tags are quoted rather than used."""

from __future__ import annotations

import re
from typing import Final

TAIL_CHARS: Final = 80
"""How much of what stands before a place is looked at."""

_FENCE_LEAD: Final = re.compile(r"[ \t>]{0,80}+(?:(?:[-*+]|\d{1,3}[.)])[ \t]{1,8}+)?+")
_INFO: Final = re.compile(r"[\w+\-.#]{0,24}+[ \t]{0,8}+")


class Context:
    """Follows text as it passes: its end, fences at line starts, inline code up to a line's end.

    Attributes:
        tail: The last characters.
        in_fence: Inside a fenced block.
        in_inline: Inside inline code.
    """

    def __init__(self) -> None:
        self.tail = ""
        self.in_fence = False
        self.in_inline = False
        self._ticks = 0
        self._is_first_line = False

    @property
    def is_code(self) -> bool:
        """Whether the place is inside code of either kind."""
        return self.in_fence or self.in_inline

    @property
    def line(self) -> str:
        """What stands before the place on its line."""
        return self.tail.rpartition("\n")[2]

    @property
    def before(self) -> str:
        """The last character on the lines before, blanks and emphasis aside."""
        return self.tail.rpartition("\n")[0].rstrip(" \t\n*_")[-1:]

    def read(self, text: str) -> None:
        """Take text without a line break or backtick that counts."""
        self.tail = (self.tail + text)[-TAIL_CHARS:]

    def read_ticks(self, count: int, after: str) -> None:
        """Take a run of backticks.

        Args:
            count: How many.
            after: The character after them; empty at the end.
        """
        line = self.line
        if self.in_fence:
            closes = self._is_first_line or not line.strip(" \t>") or after in {"", "\n"}
            self.in_fence = count < self._ticks or not closes
        elif count >= 3 and _FENCE_LEAD.fullmatch(line):
            self.in_fence = self._is_first_line = True
            self._ticks = count
        elif not self.in_inline:
            self.in_inline = True
            self._ticks = count
        elif self._ticks == count:
            self.in_inline = False
        self.read("`" * count)

    def read_newline(self) -> None:
        """End a line, and any inline code with it."""
        self._is_first_line = False
        if self.in_inline and self._ticks >= 3 and _INFO.fullmatch(self.line.rpartition("`")[2]):
            self.in_fence = True
        self.in_inline = False
        self.read("\n")
