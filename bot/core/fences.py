"""Code blocks as Discord reads them: three or more backticks open one, and the next three close it.

So it is wherever they stand, in text that was laid out for Discord. What a model means in the text
that it writes, the reading of its thinking tells (``bot.output.reasoning.scanner``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MOST_INFO_CHARS: Final = 20
"""A longer word behind the backticks isn't a language; its block is opened again without it."""

_LEAST_TILDES: Final = 3
_TICKS: Final = re.compile("`{3,}")
_TICKS_OR_ESCAPE: Final = re.compile(r"\\[`\\]|`{3,}")
_INFO: Final = re.compile(r"[\w+\-.#]{0,21}+[ \t]{0,21}+$")
_NAME: Final = re.compile(r"[\w+\-.#]{1,80}+")


@dataclass(frozen=True, slots=True)
class Fence:
    """A code block that is open.

    Attributes:
        info: The language it was opened with; empty without one.
        start: Where its content begins in the text that was read last.
    """

    info: str
    start: int = 0

    @property
    def opening(self) -> str:
        """The line that opens it."""
        return f"```{self.info}\n"


def underlines(count: int, chars_above: int) -> bool:
    """Return whether a line of so many tildes is a title's underline, and opens no code block.

    Args:
        count: How many tildes.
        chars_above: Length of the line above.
    """
    return count > _LEAST_TILDES and abs(count - chars_above) <= 1


def open_fence(text: str, before: Fence | None = None) -> Fence | None:
    """Return the block that is open at the end of a text.

    Args:
        text: What follows.
        before: The block that is open where the text begins.
    """
    fence, position = before, 0
    while ticks := (_TICKS if fence else _TICKS_OR_ESCAPE).search(text, position):
        position = ticks.end()
        if fence is not None:
            fence = None
        elif ticks[0][0] == "`":
            info = text[position : position + MOST_INFO_CHARS + 1].partition("\n")[0]
            fits = len(info) <= MOST_INFO_CHARS and _INFO.match(info) is not None
            fence = Fence(info.strip() if fits else "", position)
    return fence


def fence_end(text: str) -> str:
    """Return what closes a block that is still open at the end of a text; else nothing."""
    fence = open_fence(text)
    if fence is None:
        return ""
    content = text[fence.start :].strip("\n")
    if not content:
        return " ```"
    return "\n ```" if _NAME.fullmatch(content) else "\n```"
