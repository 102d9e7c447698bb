"""Reads the visible part of model text, character class by character class.

The half of the reasoning filter that knows lines, code, names and byte-pair artefacts; what a
marker means is for ``reasoning`` to say.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from bot.reply.markup import MARKER, may_become_marker, prefixes
from bot.reply.participants import Labels
from bot.reply.reasoning_block import Block
from bot.reply.reasoning_code import CodeState
from bot.reply.reasoning_start import read_beginning

SPACE: Final = re.compile(r"\s*")
MARKER_CHARS: Final = 220
"""No marker is longer; text that might still become one is held no longer."""

_SPECIAL: Final = re.compile(r"[<\[◁`\nĠĊ]|(?<=[.!?])a")
_IN_CODE: Final = re.compile(r"[`\n]")
_TICKS: Final = re.compile(r"`+")
_GLUED: Final = "assistant\n"
_GLUED_PREFIXES: Final = prefixes([_GLUED])
_TAIL_CHARS: Final = 80
_LABEL_CHARS: Final = 80
_BPE: Final = {"Ġ": " ", "Ċ": "\n"}
_GLUED_BEFORE: Final = re.compile(r"[^\W\dA-Z_]|[\d.,;:!?)\]ĠĊ\n]")


class VisibleReader(ABC):
    """Reads on from a position in a buffer; each step says whether it got anywhere.

    Args:
        labels: Names before a colon.
        expect_missing_opening: Hold all text until told otherwise.
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
        self._is_transcript = False

    @abstractmethod
    def _marker(self) -> bool:
        """Read what stands at the position as markup, or as the text it is."""

    @abstractmethod
    def _hide(self, block: Block) -> bool:
        """Begin a hidden stretch at the position."""

    @abstractmethod
    def _finish(self) -> bool:
        """Let nothing more through: what follows is made up."""

    def _visible(self) -> bool:
        if self._line_start and not self._code.in_fence:
            speaks = self._speaks_for_somebody()
            if speaks is not False:
                return bool(speaks)
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
            return True
        rest = self._buf[self._pos : self._pos + _LABEL_CHARS]
        first = rest[0]
        beginning = read_beginning(rest, ended=self._ended)
        chars = self._labels.own_prefix(rest, ended=self._ended)
        is_marker = first in "<[◁" and MARKER.match(self._buf, self._pos)
        if is_marker or (first in "<[◁" and self._may_grow()):
            return self._marker()
        if beginning is None or chars is None:
            return False
        if beginning.block is not None:
            self._pos += beginning.chars
            return self._hide(beginning.block)
        if beginning.chars or chars:
            self._pos += max(beginning.chars, chars)
            return True
        if first in _BPE and rest[1:2] and (rest[1].isupper() or rest[1] in _BPE):
            self._pos += 1
            return True
        self._is_transcript |= self._labels.speaks_for(rest, ended=True) is True
        self._started = True
        return True

    def _may_grow(self) -> bool:
        rest = self._buf[self._pos : self._pos + MARKER_CHARS]
        return not self._ended and len(rest) < MARKER_CHARS and may_become_marker(rest)

    def _speaks_for_somebody(self) -> bool | None:
        rest = self._buf[self._pos : self._pos + _LABEL_CHARS]
        speaks = self._labels.speaks_for(rest, ended=self._ended or len(rest) == _LABEL_CHARS)
        if speaks is None:
            return None
        self._line_start = False
        if not speaks or not self._started or self._is_transcript:
            return False
        before = self._tail.rstrip()
        if before[-1:] in ":：":
            self._is_transcript = True
            return False
        return self._finish()

    def _glued_role(self) -> bool:
        rest = self._buf[self._pos : self._pos + len(_GLUED)]
        if rest == _GLUED:
            return self._finish()
        if rest in _GLUED_PREFIXES and not self._ended:
            return False
        return self._literal(1)

    def _special(self, char: str) -> bool:
        if char == "`":
            return self._ticks()
        if char == "\n":
            self._code.newline()
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
        if end == len(self._buf) and not self._ended:
            return False
        self._code.ticks(end - self._pos, self._line)
        return self._literal(end - self._pos)

    @property
    def _line(self) -> str:
        return self._tail.rpartition("\n")[2]

    def _remember(self, text: str) -> None:
        self._tail = (self._tail + text)[-_TAIL_CHARS:]

    def _restart(self) -> None:
        self._tail = ""
        self._code = CodeState()
        self._started = False
        self._line_start = False

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
