"""Cuts arriving text into events: plain text, line breaks, backticks, markers.

The scanner knows how things are written, not what they mean. What may still become a longer event
waits in its buffer, bounded by the longest marker. Whoever reads looks at the next event and at what
follows it, and takes it, or leaves it there until more text has come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from bot.output.markup import MARKER, canonical, may_become_marker, prefixes
from bot.output.reasoning.block import Block

MARKER_CHARS: Final = 220
"""No marker is longer; text that might still become one is held no longer."""

MARKS: Final = "<[◁"
"""What every marker begins with."""

_LEAST_PARTIAL_CHARS: Final = 3
"""A single ``<``, and one with a letter, may well be the text's."""

_ANSWER: Final = re.compile(r"[<\[◁`\nĠĊ]|(?<=[.!?])a")
_CODE: Final = re.compile(r"[`\n]")
_TICKS: Final = re.compile(r"`{1,64}+")
_TICKS_CHARS: Final = 64
_GLUED: Final = "assistant\n\n"
_GLUED_PREFIXES: Final = prefixes([_GLUED])
_EMPHASIS: Final = re.compile(rf"(\*{{1,3}}+|_{{1,3}}+)(?=[{re.escape(MARKS)}]|\Z)")


class Sign(Enum):
    """What an event is."""

    TEXT = "text"
    NEWLINE = "newline"
    TICKS = "ticks"
    GLYPH = "glyph"
    """A blank or line break as a tokenizer writes it inside its vocabulary."""
    ROLE = "role"
    """The name of the model's role and a blank line, right behind a sentence."""
    MARKER = "marker"


@dataclass(frozen=True, slots=True)
class Event:
    """What stands at the scanner's position.

    Attributes:
        text: As it is written.
        name: A marker's canonical text.
        lead: Emphasis around a marker that begins its line; part of ``text`` on both sides.
    """

    sign: Sign
    text: str
    name: str = ""
    lead: str = ""


class Scanner:
    """Holds text from the position on.

    Attributes:
        ended: Nothing more will come.
    """

    def __init__(self) -> None:
        self._buf = ""
        self._pos = 0
        self.ended = False

    @property
    def is_empty(self) -> bool:
        """Whether all that came was taken."""
        return self._pos >= len(self._buf)

    def add(self, text: str) -> None:
        """Take the next piece; one character before the position stays for looking back."""
        start = max(0, self._pos - 1)
        self._buf = self._buf[start:] + text
        self._pos -= start

    def take_plain(self, text: str) -> bool:
        """Take a next piece that is one event of plain text, where nothing waits; else take nothing."""
        if self._pos < len(self._buf) or text[:1] == "a" or _ANSWER.search(text) is not None:
            return False
        self._buf, self._pos = text, len(text)
        return text != ""

    def ahead(self, chars: int, start: int = 0) -> str:
        """Return text from the position on, ``start`` characters left out."""
        start += self._pos
        return self._buf[start : start + chars]

    def skip(self, chars: int) -> str:
        """Take so many characters."""
        start = self._pos
        self._pos = min(len(self._buf), start + chars)
        return self._buf[start : self._pos]

    def rest(self) -> str:
        """Take everything."""
        return self.skip(len(self._buf))

    def drop_partial(self) -> None:
        """Drop a marker that an answer was cut in, as far as it has come."""
        begin = max(self._buf.rfind(mark, self._pos) for mark in MARKS)
        rest = self._buf[max(begin, 0) :]
        if begin >= 0 and len(rest) >= _LEAST_PARTIAL_CHARS and may_become_marker(rest):
            self._buf = self._buf[:begin]

    def next_in_answer(self, *, is_code: bool) -> Event | None:
        """Return the next event of visible text; ``None`` until it is complete."""
        buf, pos = self._buf, self._pos
        found = (_CODE if is_code else _ANSWER).search(buf, pos)
        end = found.start() if found else len(buf)
        if end > pos or found is None:
            return Event(Sign.TEXT, buf[pos:end])
        char = found[0]
        if char == "\n":
            return Event(Sign.NEWLINE, char)
        if char == "`":
            return self._run()
        if char == "a":
            return self._glued_role()
        return Event(Sign.GLYPH, char) if char in "ĠĊ" else self.marker()

    def next_in_block(self, block: Block) -> Event | None:
        """Return the next event of hidden text; ``None`` until it is complete."""
        buf, pos = self._buf, self._pos
        found = block.find(buf, pos)
        end = found.start() if found else len(buf)
        if found is None and not self.ended:
            end = block.held_from(buf, pos)
        if end > pos:
            return Event(Sign.TEXT, buf[pos:end])
        if found is None:
            return None
        if found[0] == "\n":
            return Event(Sign.NEWLINE, "\n")
        return self._run() if found[0] == "`" else Event(Sign.MARKER, found[0])

    def marker(self) -> Event | None:
        """Return the marker at the position, or its first character as text."""
        found = MARKER.match(self._buf, self._pos)
        if found is not None:
            return Event(Sign.MARKER, found[0], canonical(found))
        return None if self._may_grow(self._pos) else Event(Sign.TEXT, self._buf[self._pos])

    def emphasised_marker(self) -> Event | None:
        """Return a marker in emphasis at the position, or its first character as text."""
        buf, pos = self._buf, self._pos
        lead = _EMPHASIS.match(buf, pos)
        if lead is None:
            return Event(Sign.TEXT, buf[pos])
        found = MARKER.match(buf, lead.end())
        end = found.end() if found else lead.end()
        if found is not None and buf.startswith(lead[1], end):
            return Event(Sign.MARKER, f"{lead[1]}{found[0]}{lead[1]}", canonical(found), lead[1])
        missing = lead[1][: len(buf) - end] == buf[end:] if found else self._may_grow(end)
        return None if missing and not self.ended else Event(Sign.TEXT, lead[1])

    def _may_grow(self, start: int) -> bool:
        rest = self._buf[start : start + MARKER_CHARS]
        is_partial = not rest or may_become_marker(rest)
        return not self.ended and len(rest) < MARKER_CHARS and is_partial

    def _run(self) -> Event | None:
        run = _TICKS.match(self._buf, self._pos)
        ticks = run[0] if run else "`"
        is_last = self._pos + len(ticks) == len(self._buf)
        if is_last and len(ticks) < _TICKS_CHARS and not self.ended:
            return None
        return Event(Sign.TICKS, ticks)

    def _glued_role(self) -> Event | None:
        rest = self.ahead(len(_GLUED))
        if rest == _GLUED:
            return Event(Sign.ROLE, rest)
        return None if rest in _GLUED_PREFIXES and not self.ended else Event(Sign.TEXT, "a")
