"""Which code block is open: as Discord reads a text, and as a model means what it writes.

To Discord, three or more backticks open one wherever they stand, and the next three close it; so it is
in text that was laid out for it (``open_fence``). ``Context`` follows a model's text before that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

FENCE_SIGNS: Final = 3
"""Fewest backticks, or tildes, of a fence."""

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
    if count < FENCE_SIGNS:
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


TAIL_CHARS: Final = 80
"""How much of what stands before a place is looked at."""

_LEAD: Final = r"[ \t>]{0,80}+(?:(?:[-*+]|\d{1,3}[.)])[ \t]{1,8}+)?+"
_FENCE_LEAD: Final = re.compile(_LEAD)
_MEANT_INFO: Final = re.compile(r"[\w+\-.#]{0,24}+[ \t]{0,8}+")
_INDENT_CHARS: Final = 4
_TILDES: Final = re.compile(rf"(?P<lead>{_LEAD})(?P<tildes>~{{3,64}}+)(?P<info>[^~\n]*)")
_TILDES_PARTIAL: Final = re.compile(
    r"[ \t>]{0,80}+(?:(?:[-*+]|\d{1,3}+[.)]?+)[ \t]{0,8}+)?+(?:~{3,64}+[^~\n]*|~{0,2}+)\Z"
)
_MARKDOWN: Final = frozenset(["md", "markdown", "mdx"])
_ENDS_CODE: Final = frozenset(")]}>;")
_GOES_ON: Final = frozenset(" .,;:!?")


class Context:
    """What is known at a place in a model's text: its last characters, and the code that is meant.

    A fence of backticks or tildes opens at a line's start, also in a quote or a list, and ends at a run
    that is at least as long, on a line of its own or at a line's end. What stands inside a line of code
    is a part of it: a program may well hold backticks. Inline code ends with its line.
    Source: CommonMark 0.31, "Fenced code blocks", but for what models write inside a line.

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
        self._last_ticks = 0
        self._tildes = 0
        self._is_first_line = False
        self._inner: int | None = None
        self._line_chars = 0
        self._chars_above = 0

    @property
    def is_code(self) -> bool:
        """Whether the place is inside code of either kind."""
        return self.in_fence or self.in_inline

    @property
    def inline_ticks(self) -> int:
        """How many backticks began the inline code that is open; 0 outside of any."""
        return self._ticks if self.in_inline else 0

    @property
    def is_indented_code(self) -> bool:
        """Whether only blanks stand before the place on its line, as many as code is indented by."""
        line = self.line
        return line.isspace() and len(line.expandtabs(_INDENT_CHARS)) >= _INDENT_CHARS

    @property
    def line(self) -> str:
        """What stands before the place on its line."""
        return self.tail.rpartition("\n")[2]

    @property
    def before(self) -> str:
        """The last character on the lines before, blanks and emphasis aside."""
        return self.above[-1:]

    @property
    def above(self) -> str:
        """The end of the lines before, blanks and emphasis aside."""
        return self.tail.rpartition("\n")[0].rstrip(" \t\n*_")

    @property
    def previous(self) -> str:
        """The line before the one at the place; empty where not all of it is remembered."""
        lines, _, line = self.tail.rpartition("\n")[0].rpartition("\n")
        return line if lines or len(self.tail) < TAIL_CHARS else ""

    def read(self, text: str) -> None:
        """Take text without a line break or backtick that counts."""
        self.tail = (self.tail + text)[-TAIL_CHARS:]
        self._line_chars += len(text)

    def read_ticks(self, count: int, after: str) -> None:
        """Take a run of backticks.

        Args:
            count: How many.
            after: The character after them; empty at the end.
        """
        self._last_ticks = count
        if self.in_fence:
            is_end = not self._tildes and count >= self._ticks and self._may_end(after)
            self.in_fence = not is_end or self._is_of_inner(after)
        elif count >= FENCE_SIGNS and _FENCE_LEAD.fullmatch(self.line):
            self.in_fence = self._is_first_line = True
            self._ticks = count
        elif not self.in_inline:
            self.in_inline = True
            self._ticks = count
        elif self._ticks == count:
            self.in_inline = False
        self.read("`" * count)

    def _is_of_inner(self, after: str) -> bool:
        """Return whether the end of a block of Markdown is one of a block inside it.

        No end of a block has a language, and models write blocks in one of the same length.
        """
        if self._is_first_line or self._inner is None:
            return False
        opens = after.isalnum() and not self.line.strip(" \t>")
        is_inner = opens or self._inner > 0
        self._inner += 1 if opens else -1
        return is_inner

    def _may_end(self, after: str) -> bool:
        """Return whether a run of backticks where it stands in a block is its end."""
        line = self.line
        if self._is_first_line or after in {"", "\n"} or not line.strip(" \t>"):
            return True
        is_behind_code = line[-1].isalnum() or line[-1] in _ENDS_CODE
        return is_behind_code and after in _GOES_ON

    def read_newline(self) -> None:
        """End a line, and any inline code with it."""
        if self._is_first_line:
            is_markdown = self.line.rpartition("`")[2].strip().lower() in _MARKDOWN
            self._inner = 0 if is_markdown else None
        self._is_first_line = False
        if "~~~" in self.tail:
            self._read_tildes()
        if self.in_inline and self._last_ticks >= FENCE_SIGNS:
            rest = self.line.rpartition("`")[2]
            is_first = self._last_ticks == self._ticks
            self.in_fence = _MEANT_INFO.fullmatch(rest) is not None and (
                is_first or rest.strip() != ""
            )
            self._ticks = self._last_ticks
        self.in_inline = False
        self.read("\n")
        self._chars_above, self._line_chars = self._line_chars - 1, 0

    def _read_tildes(self) -> None:
        tildes = self.fence_of_tildes(self.line)
        if tildes is not None:
            self.in_fence = not self._tildes
            self._tildes = 0 if self._tildes else len(tildes["tildes"])

    def may_be_tildes(self, line: str) -> bool:
        """Return whether the beginning of a line may become a fence of tildes."""
        is_possible = self._tildes > 0 or not self.in_fence
        return is_possible and _TILDES_PARTIAL.match(line) is not None

    def fence_of_tildes(self, line: str) -> re.Match[str] | None:
        """Return the parts of a whole line that opens or ends a block by tildes: lead, tildes, info.

        A line of tildes as long as the one above it is a title's underline.
        """
        found = _TILDES.fullmatch(line)
        if found is None or self.in_inline or (self.in_fence and not self._tildes):
            return None
        count, is_bare = len(found["tildes"]), not found["info"].strip()
        if self._tildes:
            return found if is_bare and count >= self._tildes else None
        is_title = count > FENCE_SIGNS and abs(count - self._chars_above) <= 1
        return None if is_bare and is_title else found
