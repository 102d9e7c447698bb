"""Code blocks as Discord reads them: three or more backticks open one, and the next three close it.

So it is wherever they stand, in text that was laid out for Discord. What a model means in the text
that it writes, ``bot.output.context`` tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LEAST_TICKS: Final = 3
MOST_INFO_CHARS: Final = 20
"""A longer word behind the backticks isn't a language; its block is opened again without it."""

INLINE_CHARS: Final = 300
"""Longest inline code; the splitter keeps so much whole."""

TICKS: Final = re.compile("`{3,}")
"""What opens a block, and closes one."""

RUNS: Final = re.compile("`+")
_RUNS_OR_ESCAPE: Final = re.compile(r"\\[`\\]|`+")
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


def inline_end(text: str, start: int, count: int, most: int) -> re.Match[str] | None:
    """Return the run of backticks that ends inline code, if it has an end.

    Args:
        text: What holds the code.
        start: Where its content begins.
        count: How many backticks began it.
        most: How far in the text its end may stand.
    """
    return next((run for run in RUNS.finditer(text, start, most) if len(run[0]) == count), None)


def open_fence(text: str, before: Fence | None = None) -> Fence | None:
    """Return the block that is open at the end of a text.

    Args:
        text: What follows.
        before: The block that is open where the text begins.
    """
    fence, position = before, 0
    while run := (TICKS if fence else _RUNS_OR_ESCAPE).search(text, position):
        position = run.end()
        if fence is not None:
            fence = None
        elif run[0][0] == "`":
            fence, position = _opened(text, position, len(run[0]))
    return fence


def _opened(text: str, position: int, count: int) -> tuple[Fence | None, int]:
    """Return the block that a run of backticks opens, and where to read on."""
    if count < LEAST_TICKS:
        line = text.find("\n", position, position + INLINE_CHARS)
        most = line if line >= 0 else position + INLINE_CHARS
        end = inline_end(text, position, count, most)
        return None, end.end() if end else position
    info = text[position : position + MOST_INFO_CHARS + 1].partition("\n")[0]
    fits = len(info) <= MOST_INFO_CHARS and _INFO.match(info) is not None
    return Fence(info.strip() if fits else "", position), position


def fence_end(text: str) -> str:
    """Return what closes a block that is still open at the end of a text; else nothing."""
    fence = open_fence(text)
    if fence is None:
        return ""
    content = text[fence.start :].strip("\n")
    if not content:
        return " ```"
    return "\n ```" if _NAME.fullmatch(content) else "\n```"
