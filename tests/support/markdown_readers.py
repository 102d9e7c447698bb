"""Readers of Discord's Markdown that share nothing with the sanitiser, one for each plausible reading.

The rules are those of simple-markdown, which Discord's clients are built on: containers are matched
from their first sign to the nearest closing one, whatever is inside, and read again from the inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\[^0-9A-Za-z\s]")
_BLOCK = re.compile(r"```(?:[a-z0-9_+\-.#]+?\n)?\n*[^\n][\s\S]*?\n*```", re.IGNORECASE)
_INLINE = re.compile(r"(`+)([\s\S]*?[^`])\1(?!`)")
_INLINE_IN_LINE = re.compile(r"(`+)([^\n]*?[^`\n])\1(?!`)")
_AUTOLINK = re.compile(r"<[^: >]+:/[^ >]+>")
_ADDRESS = re.compile(r"https?://[^\s<]+[^<.,:;\"'\]\s]")
_MASKED = re.compile(
    r"\[(?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*\]\(\s*<?(?:https?|discord)://[^)\s]+"
)
_MENTION = re.compile(r"@(?:everyone|here)|<@[!&]?\d+>|<#\d+>|</[\w\- ]+:\d+>|<id:\w+>")
_INVITE = re.compile(r"discord\.gg/\w")
_QUOTE = re.compile(r" *>>> ([\s\S]*)|(?: *> [^\n]*(?:\n|\Z))+")
_ITEM = re.compile(r" *(?:[*-]|\d+\.) ([^\n]*(?:\n(?= )[^\n]*)*)(?:\n|\Z)")
_HEADING = re.compile(r" *(?:#{1,3}|-#)\s+([^\n]+)(?:\n|\Z)")
_PAIRS = (
    re.compile(r"\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)"),
    re.compile(r"__((?:\\[\s\S]|[^\\])+?)__(?!_)"),
    re.compile(r"\|\|([\s\S]+?)\|\|"),
    re.compile(r"~~([\s\S]+?)~~"),
    re.compile(r"\*(?=\S)((?:\*\*|\s+(?:[^*\s]|\*\*)|[^\s*])+?)\*(?!\*)"),
    re.compile(r"_((?:__|\\[\s\S]|[^\\_])+?)_\b"),
)


@dataclass(frozen=True, slots=True)
class Reader:
    """One way to read.

    Attributes:
        has_containers: Quotes, lists, headings and emphasis come before the code in them.
        inline_over_lines: Inline code may run over several lines.
    """

    has_containers: bool
    inline_over_lines: bool

    def live(self, text: str) -> list[str]:
        """Return everything in a text that would be live."""
        return list(self._read(text, is_block=True))

    def _read(self, text: str, *, is_block: bool) -> Iterator[str]:
        position, is_line_start = 0, is_block
        while position < len(text):
            if is_line_start and self.has_containers and (found := self._block(text, position)):
                yield from self._read(found[1], is_block=found[2])
                position = found[0]
                continue
            is_line_start = is_block and text[position] == "\n"
            live, end = self._piece(text, position)
            yield from live
            position = end

    def _block(self, text: str, position: int) -> tuple[int, str, bool] | None:
        if quote := _QUOTE.match(text, position):
            inner = quote[1] or re.sub(r"^ *> ", "", quote[0], flags=re.MULTILINE)
            return quote.end(), inner, True
        for pattern in (_ITEM, _HEADING):
            if found := pattern.match(text, position):
                return found.end(), found[1], False
        return None

    def _piece(self, text: str, position: int) -> tuple[list[str], int]:
        inline = _INLINE if self.inline_over_lines else _INLINE_IN_LINE
        for pattern in (_AUTOLINK, _ESCAPE, _BLOCK, inline):
            if found := pattern.match(text, position):
                return [], found.end()
        for pattern in (_MASKED, _MENTION, _INVITE):
            if found := pattern.match(text, position):
                return [found[0]], found.end()
        if found := _ADDRESS.match(text, position):
            return [], found.end()
        if self.has_containers:
            for pattern in _PAIRS:
                if found := pattern.match(text, position):
                    return list(self._read(found[1], is_block=False)), found.end()
        return [], position + 1


READERS = tuple(
    Reader(has_containers=containers, inline_over_lines=lines)
    for containers in (True, False)
    for lines in (True, False)
)
