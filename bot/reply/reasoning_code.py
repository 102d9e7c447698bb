"""Whether a place in a text is inside code, where tags are quoted rather than used."""

from __future__ import annotations


class CodeState:
    """Follows fences at line starts, and inline code up to the end of its line.

    Attributes:
        in_fence: Inside a fenced block.
    """

    def __init__(self) -> None:
        self.in_fence = False
        self._inline = 0

    @property
    def is_code(self) -> bool:
        """Whether the place is inside code of either kind."""
        return self.in_fence or self._inline > 0

    def ticks(self, count: int, line: str) -> None:
        """Take a run of backticks.

        Args:
            count: How many.
            line: What stands before them on their line.
        """
        if count >= 3 and not line.strip(" \t>"):
            self.in_fence = not self.in_fence
        elif not self.in_fence:
            if self._inline == 0:
                self._inline = count
            elif self._inline == count:
                self._inline = 0

    def newline(self) -> None:
        """End a line, and any inline code with it."""
        self._inline = 0
