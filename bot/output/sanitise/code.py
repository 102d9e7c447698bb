"""Where code may end sooner than it seems: then it must be harmless as text, too.

Discord reads quotes, lists, headings, bold, spoilers and the like before the code inside them, so a
fence or backtick that opens in one of them ends with it at the latest, and what follows is live. Some
clients let inline code run over lines and some don't. ``CodeDoubt`` follows what is open and says
whether a stretch of code is code in every reading; ``LiveBreaker`` takes the life out of one that
isn't and leaves everything else in it as it stands.
Sources: Discord "Markdown text 101"; the rules of simple-markdown, which its clients are built on.
"""

from __future__ import annotations

import re
from typing import Final

from bot.output.sanitise.links import INVITE_REMOVED, has_invite

BREAK: Final = "\u200b"
"""The zero-width space behind the sign of a mention that must not be one."""

_RUNS: Final = r"\\[^0-9A-Za-z\s]|\*{1,64}+|_{1,64}+|\|{2,64}+|~{2,64}+|[\[\]\n]"
_MARKS: Final = re.compile(_RUNS)
_MARKS_AND_ADDRESSES: Final = re.compile(rf"(?i:https?|steam)://[^\s<]++|{_RUNS}")
_STARS: Final = re.compile(r"(?<!\s)\*|\*\*")
_LINES: Final = re.compile(r"_(?!\w)|__")
_CLOSERS: Final = {
    "*": _STARS,
    "_": _LINES,
    "**": _STARS,
    "__": _LINES,
    "||": re.compile(r"\|\|"),
    "~~": re.compile("~~"),
    "[": re.compile(r"\]\("),
    "]": re.compile(r"\A[^\[\]]*+(?:\](?!\()[^\[\]]*+)*+\]\("),
}
"""What ends each; a pair may also be read as two single ones, and the label of a link goes on after
its ``]`` up to the next ``[``."""

_ADDRESS_END: Final = re.compile(">")
"""What ends an address in angle brackets."""

_NO_ADDRESS: Final = re.compile("[ >]")
"""What no address in angle brackets contains; a line break is allowed."""

_LONG_RUN_CHARS: Final = 4
"""From here on a run of one sign is an empty pair to some, and an opening with more signs to others."""

_SHARED_CHARS: Final = 3
"""Such a run may close one mark and open the other, or stand in what is still open."""

_WHOLE_CHARS: Final = 300
"""Longest emphasis that is never cut between two messages."""

_HEAD_CHARS: Final = 40
_QUOTE: Final = re.compile(r"[ \t]{0,40}+>")
_QUOTE_SIGNS: Final = re.compile(r"\A(?:[ \t]{0,40}+>{1,3})++[ \t]?")
"""What a heading or a list stands behind that is in a quote; one of ``>>>`` has it on its first line only."""

_HEADING: Final = re.compile(r"[ \t]{0,40}+(?:#{1,3}|-#)[ \t]")
_EMPTY_HEADING: Final = re.compile(r"[ \t]{0,40}+(?:#{1,3}|-#)[ \t]*+\Z")
"""Some take the next line that isn't blank for its title."""

_BULLET: Final = re.compile(r"[ \t]{0,40}+(?:[*+-]|\d{1,9}[.)])(?:[ \t]|\Z)")
_INDENTED: Final = re.compile(r"[ \t]")


class CodeDoubt:
    """Follows what is open around code.

    Attributes:
        is_unsettled: Readings differ in what is code from here on.
    """

    def __init__(self) -> None:
        self.is_unsettled = False
        self._open: list[str] = []
        self._maybe_open: set[str] = set()
        self._opened_at: dict[str, int] = {}
        self._in_angle = False
        self._chars = 0
        self._at = 0
        self._line_at = 0
        self._before = "\n"
        self._head = ""
        self._in_list = False
        self._is_line_unsettled = False
        self._is_untitled = False

    def read(self, text: str) -> None:
        """Take text outside of code, up to where code begins or to its end."""
        start = 0
        for found in _MARKS_AND_ADDRESSES.finditer(text):
            before = text[found.start() - 1] if found.start() else self._before
            self._at = self._chars + found.start()
            if found[0] == "\n":
                head = text[start : min(found.start(), start + _HEAD_CHARS)]
                self._end_line((self._head + head)[:_HEAD_CHARS])
                start = found.end()
                self._head = ""
                self._line_at = self._at
            elif ":" in found[0]:
                self._read_doubtful(found[0])
            elif not self.is_unsettled:
                self._mark(found[0], before, text[found.end() : found.end() + 1])
        self._head = (self._head + text[start : start + _HEAD_CHARS])[:_HEAD_CHARS]
        self._before = text[-1:] or self._before
        self._chars += len(text)
        self._read_angle(text)

    def _read_code(self, content: str) -> None:
        """Take what stands in code."""
        self._chars += len(content)
        self._line_at = self._chars if "\n" in content else self._line_at
        self._before = "`"
        self._read_angle(content)

    def _read_doubtful(self, text: str) -> None:
        """Take what is code or an address to some: others read the marks in it as marks."""
        marks = _MARKS.findall(text)
        if any(mark[0] in "[]" for mark in marks):
            self.is_unsettled = True
        for mark in marks:
            if mark[0] in "*_|~":
                self._maybe_open |= {mark[:1], mark[:1] * 2} & _CLOSERS.keys()

    def doubts_inline(self, content: str) -> bool:
        """Take inline code, and return whether it may be text to somebody."""
        has_lines = "\n" in content
        differs = self._is_closed_in(content) or "```" in content
        doubts = has_lines or differs or self.is_unsettled or self._is_line_unsettled
        if differs or (has_lines and self._line_pattern() is not None):
            self.is_unsettled = True
        if has_lines:
            self._read_doubtful(content)
            self._is_line_unsettled = True
            self._head = "`"
        self._read_code(content)
        return doubts

    def doubts_fence(self) -> bool:
        """Return whether a fence that opens here may be text to somebody, whatever is in it."""
        is_inside = self._line_pattern() is not None
        self.is_unsettled |= self._is_untitled
        return self.is_unsettled or self._is_line_unsettled or is_inside

    def closers(self) -> tuple[re.Pattern[str], ...]:
        """Return what would end something open around a fence that opens here, if it were in it."""
        markers = dict.fromkeys((*self._open, *sorted(self._maybe_open)))
        found = tuple(_CLOSERS[marker] for marker in markers)
        return (*found, _ADDRESS_END) if self._in_angle else found

    def end_fence(self, content: str) -> None:
        """Take the content of a fence that has ended."""
        pattern = self._line_pattern()
        lines = content.split("\n")
        leaves = pattern is not None and not all(map(pattern.match, lines[1:]))
        if leaves or self._is_closed_in(content):
            self.is_unsettled = True
        self._head = (lines[-1] if len(lines) > 1 else self._head)[:_HEAD_CHARS] or "`"
        self._read_code(content)

    def _read_angle(self, text: str) -> None:
        """Follow an angle bracket that may begin an address, whatever stands in it."""
        angle = text.rfind("<")
        if angle >= 0 or self._in_angle:
            self._in_angle = _NO_ADDRESS.search(text, angle + 1) is None

    def _line_pattern(self, head: str = "") -> re.Pattern[str] | None:
        """Return how further lines must begin to stay in what a line belongs to, if in anything.

        Args:
            head: The line's beginning; empty for the line that is being read.
        """
        head = head or self._head
        if _QUOTE.match(head):
            return _QUOTE
        if _HEADING.match(head):
            return _HEADING
        is_item = _BULLET.match(head) or (self._in_list and _INDENTED.match(head))
        return _INDENTED if is_item else None

    def _is_closed_in(self, content: str) -> bool:
        return any(closer.search(content) for closer in self.closers())

    def _end_line(self, head: str) -> None:
        if self._open and self._line_pattern(head) is not None:
            # What is open in a quote, heading or item may end with it, or go on behind it.
            self._maybe_open.update(self._open)
        head = _QUOTE_SIGNS.sub("", head)
        is_untitled = self._is_untitled and not head.strip()
        self._is_untitled = is_untitled or _EMPTY_HEADING.match(head) is not None
        self._is_line_unsettled = False
        if _BULLET.match(head):
            self._in_list = True
        elif head.strip() and not _INDENTED.match(head):
            self._in_list = False

    def _mark(self, marks: str, before: str, after: str) -> None:
        kind = marks[0]
        is_shared = len(marks) == _SHARED_CHARS and (kind in self._open or kind * 2 in self._open)
        if kind in "*_|~" and (len(marks) >= _LONG_RUN_CHARS or is_shared):
            self._maybe_open.add(kind * 2)
        if kind == "[":
            self._open = [marker for marker in self._open if marker != "]"]
            self._open.append("[")
        elif kind == "]" and "[" in self._open:
            self._open.pop(len(self._open) - 1 - self._open[::-1].index("["))
            self._open.append("]")
        elif kind in "|~":
            for _ in range(len(marks) // 2):
                self._toggle(kind * 2)
        elif kind in "*_":
            self._emphasis(kind, len(marks), before, after)
        if len(self._open) > 64:
            self.is_unsettled = True

    def _emphasis(self, kind: str, count: int, before: str, after: str) -> None:
        while count:
            is_single = count == 1 or (count > 2 and self._open[-1:] == [kind])
            count -= 1 if is_single else 2
            if is_single:
                self._single(kind, before, after)
            else:
                self._toggle(kind * 2)

    def _single(self, kind: str, before: str, after: str) -> None:
        may_open = not after.isspace() if kind == "*" else True
        is_word = after.isalnum() or after == "_"
        may_close = not is_word if kind == "_" else not before.isspace()
        if kind in self._open:
            if may_close:
                self._close(kind)
        elif may_open:
            self._begin(kind)

    def _toggle(self, marker: str) -> None:
        if marker in self._open:
            self._close(marker)
        else:
            self._begin(marker)

    def _begin(self, marker: str) -> None:
        self._open.append(marker)
        self._opened_at[marker] = self._at

    def _close(self, marker: str) -> None:
        """Close what was opened last; crossed pairs are read in more than one way.

        A pair that is long, or over lines, may stand in two messages: in the second this sign opens.
        """
        opened = self._opened_at[marker]
        if self._line_at > opened or self._at - opened > _WHOLE_CHARS:
            self._maybe_open.add(marker)
        if [one for one in self._open if one not in "[]"][-1] != marker:
            self.is_unsettled = True
        else:
            self._open.remove(marker)


_LIVE: Final = re.compile(
    r"\](?=\([\s>]{0,80}+(?:<?+\s{0,80}+[a-z][a-z0-9+.\-]{0,16}:|\Z))"
    r"|@(?=everyone|here)|<(?:@[!&]?+|\#)(?=\d)|<(?=/[\w\- ]{1,100}+:\d|id:|(?:tel|mailto|sms):)"
    r"|(?<![a-z])(?:steam|discord|javascript|vbscript|data|file):(?=//)",
    re.IGNORECASE,
)
_SMALL_PRINT: Final = re.compile(r"[ \t>]{0,80}+-(?=\#[ \t])")
_WORD: Final = re.compile(r"\S+")
_LINE_CHARS: Final = 400
_PIECE_CHARS: Final = 300
_HELD_CHARS: Final = 1500


class LiveBreaker:
    """Breaks what would be live if it were text, in code that arrives in pieces.

    Whatever it changes, it changes by one blank or one zero-width space; only invites are taken out.

    Args:
        allow_invites: Whether invites may stay.
        closers: It is code after all unless one of these is in it; whatever is live waits for that
            to be known. With none of them it isn't code to everybody.
    """

    def __init__(self, *, allow_invites: bool, closers: tuple[re.Pattern[str], ...] = ()) -> None:
        self._allows_invites = allow_invites
        self._closers = closers
        self._seen: list[str] = []
        self._raw: list[str] = []
        self._broken: list[str] = []
        self._buf = ""
        self._is_line_start = False

    def feed(self, text: str, *, ended: bool = False) -> str:
        """Return what can be given out now: whole lines, or pieces of very long ones."""
        if self._closers:
            self._seen.append(text)
        return "".join((*self._pieces(text, ended=ended), self._settled() if ended else ""))

    def _settled(self) -> str:
        """Return what waited, as what it is."""
        seen = "".join(self._seen)
        if any(closer.search(seen) for closer in self._closers):
            self._closers = ()
        held = self._raw if self._closers else self._broken
        text = "".join(held)
        self._raw, self._broken = [], []
        return text

    def _shown(self, raw: str, broken: str) -> str:
        """Return a piece to be given out now, or keep it."""
        if not self._closers or (raw == broken and not self._raw):
            return broken
        self._raw.append(raw)
        self._broken.append(broken)
        if sum(map(len, self._raw)) < _HELD_CHARS:
            return ""
        self._closers = ()
        return self._settled()

    def _pieces(self, text: str, *, ended: bool) -> list[str]:
        self._buf += text
        out: list[str] = []
        position = 0
        while position < len(self._buf):
            end = self._end(position, ended=ended)
            if end is None:
                break
            out.append(self._shown(self._buf[position:end], self._break(position, end)))
            position = end
        self._buf = self._buf[position:]
        return out

    def _end(self, start: int, *, ended: bool) -> int | None:
        newline = self._buf.find("\n", start, start + _LINE_CHARS)
        if newline >= 0:
            return newline + 1
        if len(self._buf) - start < _LINE_CHARS:
            return len(self._buf) if ended else None
        space = self._buf.rfind(" ", start + _PIECE_CHARS // 2, start + _PIECE_CHARS)
        return space if space > start else start + _PIECE_CHARS

    def _break(self, start: int, end: int) -> str:
        view = self._buf[start : max(end, start + _LINE_CHARS)] if end < len(self._buf) else ""
        view = view or self._buf[start:end]
        size = end - start
        out: list[str] = []
        position = 0
        if self._is_line_start and (small := _SMALL_PRINT.match(view)):
            out.append(f"{small[0]} ")
            position = small.end()
        for found in _LIVE.finditer(view, position):
            if found.start() >= size:
                break
            out += (view[position : found.end()], BREAK if found[0][-1] in "@!&#" else " ")
            position = found.end()
        out.append(view[position:size])
        self._is_line_start = view[size - 1] == "\n"
        return self._without_invites("".join(out))

    def _without_invites(self, text: str) -> str:
        if self._allows_invites or not has_invite(text):
            return text
        shown = _WORD.sub(_without_invite, text)
        return f"{INVITE_REMOVED}\n" if has_invite(shown) else shown


def _without_invite(word: re.Match[str]) -> str:
    return INVITE_REMOVED if has_invite(word[0]) else word[0]
