"""Reads a hidden stretch of model text, thinking or a tool call, up to its end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from bot.core.fences import Context
from bot.output.markup import Kind, marker_of
from bot.output.reasoning.block import Block
from bot.output.reasoning.place import BULLET, SAYS, SENTENCE_END
from bot.output.reasoning.scanner import MARKS, Event, Scanner, Sign
from bot.output.reasoning.spoken import is_named, is_prose


@dataclass(slots=True)
class KeptThinking:
    """Collects hidden text.

    Attributes:
        limit_chars: How much is kept; the rest is counted and forgotten.
        total_chars: How much has come, kept or not.
    """

    limit_chars: int
    total_chars: int = 0
    _chars: int = 0
    _parts: list[str] = field(default_factory=list)
    _after: list[str] | None = None
    _before_block: tuple[int, int] = (0, 0)

    def add(self, text: str) -> None:
        """Append text as it comes."""
        self.total_chars += len(text)
        room = self.limit_chars - self._chars
        if room > 0:
            self._parts.append(text[:room])
            self._chars += min(room, len(text))
        if self._after is not None:
            self._after.append(text)

    def begin_block(self) -> None:
        """Start another stretch, on a line of its own."""
        self._after = None
        self._before_block = (self._chars, self.total_chars)
        if self._parts:
            self._parts.append("\n")
            self._chars += 1

    def forget_block(self) -> None:
        """Forget the current stretch: it was no thinking."""
        chars, self.total_chars = self._before_block
        kept = self.text[:chars]
        self._parts = [kept] if kept else []
        self._chars = chars
        self._after = None

    def mark(self) -> None:
        """Note that the block may have ended here: what follows could be the answer."""
        self._after = []

    @property
    def is_marked(self) -> bool:
        """Whether the block may have ended already."""
        return self._after is not None

    def since_mark(self) -> str:
        """Return what followed the last mark of this block; empty without one."""
        return "".join(self._after or ())

    @property
    def text(self) -> str:
        """All that is kept."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def tail(self, chars: int) -> str:
        """Return the last characters that are kept."""
        found: list[str] = []
        size = 0
        for part in reversed(self._parts):
            found.append(part)
            size += len(part)
            if size >= chars:
                break
        return "".join(reversed(found))[-chars:]


_MARKS: Final = f"{MARKS}&\\"
"""What a tag begins with, also one that was escaped."""

_SENTENCE_SIGNS: Final = frozenset(".,;:)。，；：）、")
_AFTER_CHARS: Final = 12
_BEGINS: Final = re.compile(r"\w|[ \t]{0,8}+\n")
"""What may be an answer, right behind the closing tag of another kind."""

_BREAK_CHARS: Final = 64
"""How much of what follows a line of labelled thoughts is read to know whether they go on."""

_SAME_LINE_CHARS: Final = 64
"""How far the other end of inline code is looked for behind a closing tag."""


class Progress(Enum):
    """How far one step of reading came."""

    WAITING = "waiting"
    """More text must come first."""
    GOING_ON = "going on"
    ENDED = "ended"


class HiddenStretch:
    """One stretch, from behind its opening to its end.

    Args:
        block: How it ends.
        opening: What opened it.
        kept: Where thinking goes.

    Attributes:
        is_quoted: It was a call that a sentence speaks of: the sentence goes on right behind it.
    """

    def __init__(self, block: Block, opening: str, kept: KeptThinking) -> None:
        self.block = block
        self._kept = kept
        self._context = Context()
        self._inner: list[bool] = []
        self._is_quoting = False
        self.is_quoted = False
        self._raw = [opening] if block.is_restorable else []
        if block.is_thinking:
            kept.begin_block()

    def read(self, scanner: Scanner) -> Progress:
        """Take the next event; the marker that ends the stretch is taken too, unless it is kept."""
        event = scanner.next_in_block(self.block)
        if event is None:
            return Progress.WAITING
        if event.text in self.block.breaks:
            return self._read_break(event, scanner)
        if event.sign is Sign.MARKER:
            return self._read_marker(event, scanner)
        if event.sign is Sign.NEWLINE:
            self._context.read_newline()
        elif event.sign is Sign.TICKS:
            self._context.read_ticks(len(event.text), scanner.ahead(1, len(event.text)))
        else:
            self._context.read(event.text)
        return self._keep(event, scanner)

    def give_back(self) -> tuple[str, str] | None:
        """Return the opening and the rest of a stretch without an end, where it is the answer.

        ``None`` where it was hidden rightly.
        """
        has_end = self.block.is_thinking and self._kept.is_marked
        if self.block.is_restorable and not has_end:
            self._kept.forget_block()
            return self._raw[0], "".join(self._raw[1:])
        return ("", self._kept.since_mark()) if self.block.is_thinking else None

    @property
    def whole(self) -> str:
        """All of a restorable stretch that has ended, with its markup."""
        raw = self._raw[:-1] if self.block.keeps_closer else self._raw
        return "".join(raw).strip()

    def _read_marker(self, event: Event, scanner: Scanner) -> Progress:
        text, line = event.text, self._context.line
        if self.block.keeps_closer or text[0] not in _MARKS:
            return self._nest(event, scanner)
        after = scanner.ahead(_AFTER_CHARS, len(text))
        is_quoted = self._is_in_code(scanner.ahead(_SAME_LINE_CHARS, len(text)), scanner.ended)
        is_item = BULLET.fullmatch(line) is not None and after[:1].isalnum()
        is_inner = is_item and self.block.is_opener(text)
        is_mentioned = False if is_inner else is_prose(line, after, ended=scanner.ended)
        if is_quoted is None or is_mentioned is None:
            return Progress.WAITING
        emphasis = line[len(line.rstrip("*_")) :]
        if not scanner.ended and after != emphasis and emphasis.startswith(after):
            return Progress.WAITING
        is_mentioned |= self.block.is_opener(text) and emphasis != "" and after.startswith(emphasis)
        is_loose = self.block.is_loose(text)
        if not (is_quoted or is_mentioned or is_loose):
            return self._nest(event, scanner)
        words = line.strip()
        goes_on = words != "" and words[-1] not in SENTENCE_END and not _BEGINS.match(after)
        is_certain = is_named(line, after) or (is_loose and (goes_on or self._was_opened(text)))
        self._context.read(text)
        self._keep(event, scanner)
        is_of_turns = marker_of(text).kind in {Kind.END, Kind.DROP}
        is_later = self._kept.is_marked and is_of_turns
        if not (is_certain or is_later or self.block.is_opener(text)):
            self._skip_emphasis(line, scanner)
            self._kept.mark()
        return Progress.GOING_ON

    def _read_break(self, event: Event, scanner: Scanner) -> Progress:
        """Take the end of a line, or of what is emphasised: the stretch may go on behind it."""
        after = scanner.ahead(_BREAK_CHARS, len(event.text)).lower()
        goes_on = self.block.goes_on is not None and self.block.goes_on.match(after) is not None
        is_known = len(after) == _BREAK_CHARS or (goes_on and not self.block.may_end(after))
        if not (is_known or scanner.ended):
            return Progress.WAITING
        if not (goes_on or self.block.is_open):
            return self._end(event, scanner)
        self._context.read_newline()
        self._keep(event, scanner)
        if not (goes_on or self._kept.is_marked):
            self._kept.mark()
        return Progress.GOING_ON

    def _was_opened(self, closer: str) -> bool:
        return f"<{closer[2:]}" in self._kept.text

    def _is_in_code(self, after: str, ended: bool) -> bool | None:
        """Return whether a marker stands in code; ``None`` until its line has told."""
        if self._context.in_fence or self._context.is_indented_code:
            return True
        if not self._context.in_inline:
            return False
        line, newline, _ = after.partition("\n")
        if "`" in line:
            return True
        return False if newline or ended or len(after) >= _SAME_LINE_CHARS else None

    def _nest(self, event: Event, scanner: Scanner) -> Progress:
        """Take an opening inside the stretch, or an end of it or of such an inner one.

        What was opened inside a line isn't ended by a line of its own.
        """
        is_in_line = self._context.line.strip() != ""
        if self.block.is_opener(event.text):
            goes_on = scanner.ahead(1, len(event.text)) != "\n"
            self._inner.append(is_in_line and goes_on)
            self._is_quoting = not is_in_line and self._context.before in set(":：")
        else:
            while self._inner and self._inner[-1] and not is_in_line:
                self._inner.pop()
            if not self._inner:
                return self._end(event, scanner)
            self._inner.pop()
            if not self._is_quoting:
                self._kept.mark()
        self._take(event, scanner)
        return Progress.GOING_ON

    def _take(self, event: Event, scanner: Scanner) -> None:
        if self._raw:
            self._raw.append(event.text)
        self._context.read(event.text)
        scanner.skip(len(event.text))

    def _end(self, event: Event, scanner: Scanner) -> Progress:
        if self.block.keeps_closer and event.text in {"<|start|>", "<|channel|>"}:
            self._raw += [event.text] * bool(self._raw)
            return Progress.ENDED
        if not self.block.is_thinking:
            after = scanner.ahead(_AFTER_CHARS, len(event.text))
            if after[:1] in {"", " "} and len(after) < _AFTER_CHARS and not scanner.ended:
                return Progress.WAITING
            self.is_quoted = after[:1] in _SENTENCE_SIGNS or SAYS.match(after) is not None
        line = self._context.line
        self._take(event, scanner)
        self._skip_emphasis(line, scanner)
        return Progress.ENDED

    def _skip_emphasis(self, line: str, scanner: Scanner) -> None:
        """Leave out the end of the emphasis that stands around a marker."""
        bare = line.rstrip("*_")
        emphasis = line[len(bare) :]
        if not emphasis:
            return
        is_open = bare[-1:].strip() == "" or bare.count(emphasis) % 2 == 0  # not "**Done.**"
        if is_open and scanner.ahead(len(emphasis)) == emphasis:
            scanner.skip(len(emphasis))

    def _keep(self, event: Event, scanner: Scanner) -> Progress:
        if self._raw:
            self._raw.append(event.text)
        if self.block.is_thinking:
            self._kept.add(event.text)
        scanner.skip(len(event.text))
        return Progress.GOING_ON
