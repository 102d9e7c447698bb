"""Reads the visible part of model text, character class by character class.

The half of the reasoning filter that knows lines, code, names and byte-pair artefacts; what a
marker means is for ``reasoning`` to say.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from bot.core.frames import OPEN
from bot.output.echoes import FRAME_CHARS
from bot.output.markup import MARKER, may_become_marker, prefixes
from bot.output.participants import Labels
from bot.output.reasoning.block import Block
from bot.output.reasoning.code import CodeState
from bot.output.reasoning.spoken import Place
from bot.output.reasoning.start import read_beginning

SPACE: Final = re.compile(r"\s*")
MARKER_CHARS: Final = 220
"""No marker is longer; text that might still become one is held no longer."""

_SPECIAL: Final = re.compile(r"[<\[◁`\nĠĊ]|(?<=[.!?])a")
_IN_CODE: Final = re.compile(r"[`\n]")
_TICKS: Final = re.compile(r"`{1,64}+")
_TICKS_CHARS: Final = 64
_GLUED: Final = "assistant\n\n"
_GLUED_PREFIXES: Final = prefixes([_GLUED])
_TAIL_CHARS: Final = 80
_BEGINNING_CHARS: Final = 240
_BPE: Final = {"Ġ": " ", "Ċ": "\n"}
_GLUED_BEFORE: Final = re.compile(r"[^\W\dA-Z_]|[\d.,;:!?)\]ĠĊ\n]")


class VisibleReader(ABC):
    """Reads on from a position in a buffer; each step says whether it got anywhere.

    Args:
        labels: Names before a colon.
        expect_missing_opening: Hold all text until told otherwise.

    Attributes:
        lead: The blanks in front of the answer, which are left out.
    """

    def __init__(self, labels: Labels, *, expect_missing_opening: bool) -> None:
        self._labels = labels
        self._expecting = expect_missing_opening
        self._held: list[str] = []
        self._out: list[str] = []
        self._buf = ""
        self._pos = 0
        self._ended = False
        self._mode: Callable[[], bool] = self._visible
        self._tail = ""
        self._code = CodeState()
        self._started = False
        self._line_start = False
        self._is_after_spoken = False
        self.lead = ""

    @abstractmethod
    def _marker(self) -> bool:
        """Read what stands at the position as markup, or as the text it is."""

    @abstractmethod
    def _hide(self, block: Block, opening: str) -> bool:
        """Begin a hidden stretch at the position, behind what opened it."""

    @abstractmethod
    def _cut(self) -> bool:
        """Let nothing more through: another's turn begins here beyond doubt."""

    def _visible(self) -> bool:
        if self._line_start and self._started and not self._code.in_fence:
            is_read = self._frame()
            if is_read is not False:
                return bool(is_read)
        self._line_start = False
        if not self._started:
            return self._begin()
        pattern = _IN_CODE if self._code.is_code else _SPECIAL
        if self._tail[-1:] in ".!?" and self._buf[self._pos] == "a":
            return self._glued_role()
        found = pattern.search(self._buf, self._pos)
        end = found.start() if found else len(self._buf)
        if end > self._pos:
            return self._literal(end - self._pos)
        return self._special(self._buf[end])

    def _begin(self) -> bool:
        space = SPACE.match(self._buf, self._pos)
        if space and space.end() > self._pos:
            self._pos = space.end()
            self.lead += space[0]
            return True
        is_read = self._frame()
        if is_read is not False:
            return bool(is_read)
        rest = self._buf[self._pos : self._pos + _BEGINNING_CHARS]
        first = rest[0]
        beginning = read_beginning(rest, ended=self._ended)
        chars = self._labels.own_prefix(rest, ended=self._ended)
        is_marker = first in "<[◁" and MARKER.match(self._buf, self._pos)
        if is_marker or (first in "<[◁" and self._may_grow()):
            return self._marker()
        if beginning is None or chars is None:
            return False
        if beginning.block is not None:
            opening = rest[: beginning.chars]
            self._pos += beginning.chars
            return self._hide(beginning.block, opening)
        if beginning.chars or chars:
            self._pos += max(beginning.chars, chars)
            return True
        if first in _BPE and rest[1:2] and (rest[1].isupper() or rest[1] in _BPE):
            self._pos += 1
            return True
        self._started = True
        return True

    def _frame(self) -> bool | None:
        """Read one of our own frames at the start of a line; ``None`` until it is certain."""
        if self._buf[self._pos] not in {OPEN, "["}:
            return False
        rest = self._buf[self._pos : self._pos + FRAME_CHARS]
        frame = self._labels.frame(rest, ended=self._ended, is_first=not self._started)
        if frame is None:
            return None
        if frame.is_turn and self._started:
            return self._cut()
        self._pos += frame.chars
        return frame.chars > 0

    def _may_grow(self) -> bool:
        rest = self._buf[self._pos : self._pos + MARKER_CHARS]
        return not self._ended and len(rest) < MARKER_CHARS and may_become_marker(rest)

    def _glued_role(self) -> bool:
        rest = self._buf[self._pos : self._pos + len(_GLUED)]
        if rest == _GLUED:
            return self._cut()
        if rest in _GLUED_PREFIXES and not self._ended:
            return False
        return self._literal(1)

    def _special(self, char: str) -> bool:
        if char == "`":
            return self._ticks()
        if char == "\n":
            self._code.newline(self._line)
            self._line_start = True
            return self._literal(1)
        if char in _BPE:
            if _GLUED_BEFORE.match(self._tail[-1:]):
                self._pos += 1
                return self._emit(_BPE[char])
            return self._literal(1)
        if char == "a":
            return self._literal(1)
        return self._marker()

    def _ticks(self) -> bool:
        run = _TICKS.match(self._buf, self._pos)
        end = run.end() if run else self._pos + 1
        if end == len(self._buf) and end - self._pos < _TICKS_CHARS and not self._ended:
            return False
        self._code.ticks(end - self._pos, self._line, self._buf[end : end + 1])
        return self._literal(end - self._pos)

    @property
    def _line(self) -> str:
        return self._tail.rpartition("\n")[2]

    def _place(self, after: str) -> Place:
        line = self._line
        before = self._tail[: len(self._tail) - len(line)].rstrip(" \t\n*_")
        return Place(line, before[-1:], after, self._started, self._is_after_spoken, self._ended)

    def _remember(self, text: str) -> None:
        self._tail = (self._tail + text)[-_TAIL_CHARS:]
        self._is_after_spoken = self._is_after_spoken and text.isspace()

    def _restart(self) -> None:
        self._tail = ""
        self._code = CodeState()
        self._started = False
        self._line_start = False
        self._is_after_spoken = False
        self.lead = ""

    def _emit(self, text: str) -> bool:
        self._remember(text)
        (self._held if self._expecting else self._out).append(text)
        return True

    def _literal(self, chars: int) -> bool:
        end = self._pos + chars
        self._emit(self._buf[self._pos : end])
        self._pos = end
        return True

    def _text_after_all(self, chars: int) -> bool:
        self._started = True
        return self._literal(chars)
