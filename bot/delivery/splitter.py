"""Cut a long answer into messages: nothing lost, code fences closed and opened again.

Cuts are looked for at a paragraph, a line, a sentence, a word, and only then between characters.
Every piece is decided by the text up to a little after its own end, so that pieces already posted
stay as they are while an answer grows. One pass; linear in the text.

Fences follow Discord's rendering rather than CommonMark's: three or more backticks open a block and
the next three close it, wherever they stand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.delivery.splitter_text import fit, hard_cut, soft_cut, units

MESSAGE_UNITS: Final = 2000
"""Longest message content (Discord: message resource), counted in UTF-16 units to be safe."""

_MIN_LIMIT = 64
_MAX_INFO_CHARS = 20
"""A longer info string isn't a language; its block is opened again without it."""

_CLOSE = "\n```"
_TICKS = re.compile(r"`{3,}")
_INFO = re.compile(r"[\w+\-.#]{0,21}+[ \t]{0,21}+$")
_CLOSING_LINE = re.compile(r"[ \t]{0,99}+`{3,99}+[ \t]{0,99}+(?:\n|$)")
_SPACE = re.compile(r"\s*")

_GOOD_SHARE = 0.5
"""A cut at a line's end is taken when it fills at least this much of a message."""

_LEAST_SHARE = 0.1
"""A row or line that can't be cut well begins a new message when this much is filled."""

_NEAR_CHARS = 40
_SENTENCE = re.compile(r"[.!?…]['\")\]»”’]*(?=\s)")
_FINISHED = (".", "!", "?", "…", ":", ";", ",", ")", "。", "！", "？", "、")
_DANGLING = re.compile(r"[ \t\n][`*_~|\[(]{1,3}$")


@dataclass(frozen=True, slots=True)
class _Fence:
    """An open code block and the language it was opened with."""

    info: str

    @property
    def opening(self) -> str:
        return f"```{self.info}\n"


@dataclass(frozen=True, slots=True)
class _Cut:
    """The end of a piece.

    Attributes:
        end: Where its text ends.
        resume: Where the next piece's text begins.
        fence: The block that is open at the end and must be closed there.
        carried: The block that the next piece opens again.
    """

    end: int
    resume: int
    fence: _Fence | None = None
    carried: _Fence | None = None


def split(text: str, limit: int = MESSAGE_UNITS) -> list[str]:
    """Cut text into messages.

    Args:
        text: The whole text; a code block left open is closed at the end.
        limit: Most UTF-16 units per piece, added markers included; at least 64.

    Returns:
        Pieces with something visible in each; empty for blank text.

    Raises:
        ValueError: The limit is too small to hold fences and text.
    """
    if limit < _MIN_LIMIT:
        msg = f"limit must be at least {_MIN_LIMIT}"
        raise ValueError(msg)
    pieces: list[str] = []
    start, fence = 0, None
    while start < len(text):
        opening = fence.opening if fence else ""
        cut = _next_cut(text, start, fence, limit - len(opening))
        body = text[start : cut.end]
        if body.strip():
            ending = _closing(body) if cut.fence else ""
            pieces.append(opening + (body if cut.fence else body.rstrip()) + ending)
        start, fence = cut.resume, cut.carried
    return pieces


def streaming_cut(text: str) -> str:
    """Return the part of a growing text that is fit to be shown now.

    An unfinished word, marker or fence line at the end waits for the next edit, and an open code
    block is closed. Empty while there is nothing to show.
    """
    shown = text.rstrip()
    fence = _fence_after(shown, None)
    if len(shown) == len(text):
        line = shown.rfind("\n") + 1
        if fence is None:
            shown = _at_word(shown)
        elif _TICKS.search(shown, line):
            shown, fence = shown[:line].rstrip(), _fence_after(shown[:line], None)
        else:
            shown = shown.rstrip("`")
    return shown + (_closing(shown) if fence else "")


def _at_word(text: str) -> str:
    """Leave out an unfinished word, or an unfinished sentence that has only just begun."""
    near = max(0, len(text) - _NEAR_CHARS, text.rfind("```") + 3)
    space = max(text.rfind(" ", near), text.rfind("\n", near))
    if space <= 0 or text.endswith(_FINISHED):
        return text
    cut = text[:space].rstrip()
    if not cut.endswith("```"):
        cut = _DANGLING.sub("", cut)
    for match in _SENTENCE.finditer(cut, max(near, len(cut) - _NEAR_CHARS // 4)):
        cut = cut[: match.end()]
        break
    return cut or text


def _closing(body: str) -> str:
    return "```" if body.endswith("\n") else _CLOSE


def _fence_after(text: str, fence: _Fence | None) -> _Fence | None:
    """Return the block that is open after a text, given the one open before it."""
    for ticks in _TICKS.finditer(text):
        if fence is not None:
            fence = None
            continue
        info = text[ticks.end() : ticks.end() + _MAX_INFO_CHARS + 1].partition("\n")[0]
        fits = len(info) <= _MAX_INFO_CHARS and _INFO.match(info) is not None
        fence = _Fence(info.strip() if fits else "")
    return fence


def _next_cut(text: str, start: int, fence: _Fence | None, room: int) -> _Cut:
    """Decide one piece of at most ``room`` UTF-16 units, closing marker included."""
    high = fit(text, start, room)
    if high == len(text):
        at_end = _fence_after(text[start:], fence)
        ending = _closing(text[start:]) if at_end else ""
        if units(text[start:]) + len(ending) <= room:
            return _Cut(len(text), len(text), at_end)
    high_open = fit(text, start, room - len(_CLOSE))
    highs = (high, high_open)
    cut = _line_cut(text, start, fence, highs)
    share = (cut.end - start) / (high - start) if cut is not None else 0.0
    if cut is not None and share >= _GOOD_SHARE:
        return cut
    keeps_row = cut is not None and (cut.fence is not None or text.startswith("|", cut.resume))
    if cut is not None and keeps_row and share >= _LEAST_SHARE:
        return cut
    inside = _inside_line(text, start, fence, highs)
    if inside is not None:
        return inside
    if cut is not None and share >= _LEAST_SHARE:
        return cut
    hard = _at(text, hard_cut(text, start, high), start, fence)
    if hard.fence is not None and hard.end > high_open:
        hard = _at(text, hard_cut(text, start, high_open), start, fence)
    return hard


def _line_cut(text: str, start: int, fence: _Fence | None, highs: tuple[int, int]) -> _Cut | None:
    """Return the best cut at a line's end: the last paragraph in the second half, else a line.

    ``highs`` are the latest ends, with no block open there and with one.
    """
    high, high_open = highs
    half = start + (high - start) // 2
    paragraph: int | None = None
    line: int | None = None
    position, state, has_words = start, fence, False
    while (end := text.find("\n", position, high + 1)) >= 0:
        before, state = state, _fence_after(text[position:end], state)
        opens = before is None and state is not None
        if opens and position > start:
            paragraph = position - 1
        is_blank = not text[position:end].strip()
        has_words = has_words or not is_blank
        if end <= (high_open if state else high) and not opens and has_words:
            line = end
            closes = before is not None and state is None
            if (is_blank and state is None) or closes:
                paragraph = end
        position = end + 1
    if position > start and state is None and text.startswith("```", position):
        paragraph = position - 1
    if paragraph is not None and paragraph >= half and text[start:paragraph].strip():
        return _at(text, paragraph, start, fence)
    return None if line is None else _at(text, line, start, fence)


def _inside_line(
    text: str, start: int, fence: _Fence | None, highs: tuple[int, int]
) -> _Cut | None:
    """Return a cut at a sentence's or word's end in the last line that has room."""
    for high in highs:
        line = text.rfind("\n", start, high) + 1 or start
        least = start + max(1, (high - start) // 4)
        end = soft_cut(text, max(start, line), high, least=least)
        if end is None:
            continue
        cut = _at(text, end, start, fence)
        if cut.fence is None or end <= highs[1]:
            return cut
    return None


def _at(text: str, end: int, start: int, fence: _Fence | None) -> _Cut:
    """Return the cut at ``end``, with the whitespace around it left out."""
    state = _fence_after(text[start:end], fence)
    if state is None:
        space = _SPACE.match(text, end)
        after = space.end() if space else end
        newline = text.rfind("\n", end, after)
        return _Cut(end, newline + 1 if newline >= 0 else after)
    resume = end + 1 if text.startswith("\n", end) else end
    closing = _CLOSING_LINE.match(text, resume) if resume > end else None
    if closing is not None:
        return _Cut(end, closing.end(), state)
    return _Cut(end, resume, state, state)
