"""Cut a long answer into messages: nothing lost, code fences closed and opened again.

Cuts are looked for at a paragraph, a line, a sentence, a word, and only then between characters.
Every piece is decided by the text up to a little after its own end, so that pieces already posted
stay as they are while an answer grows. One pass; linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from bot.core.fences import TICKS, Fence, open_fence

MESSAGE_UNITS: Final = 2000
"""Longest message content (Discord: message resource), counted in UTF-16 units to be safe."""

_MIN_LIMIT = 64
_CLOSE = "\n```"
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


_ZWJ = "\u200d"

_LOOK_BACK_CHARS = 64
"""Longest run of joined characters that is kept whole."""

_FLAGS_CHARS = 4096
"""Longest run of flags that is counted to find where each begins."""

_KEPT_WHOLE = re.compile(
    r"(?<!`)`(?!`)(?:[^`\n]|`{2,9}+){1,300}+`(?!`)"
    r"|(?<!`)``(?!`)(?:[^`\n]|`(?!`)|`{3,9}+){1,300}+``(?!`)"
    r"|\[[^\[\]\n]{1,300}\]\([^()\s]{1,600}\)"
    r"|\|\|(?:[^|\n]|\|(?!\|)){1,900}+\|\||~~(?:[^~\n]|~(?!~)){1,300}+~~"
    r"|\*\*(?:[^*\n]|\*(?!\*)){1,300}+\*\*|__(?:[^_\n]|_(?!_)){1,300}+__"
    r"|(?<![*\w])\*(?![\s*])[^*\n]{1,300}+\*|(?<![_\w])_(?![\s_])[^_\n]{1,300}+_(?!\w)"
    r"|<[^<>\s]{1,600}>"
)
"""Inline code, links, spoilers, emphasis and Discord's own ``<…>`` forms; bounded, so linear."""

_TITLE = re.compile(r"#{1,3} [^\n]{1,200}|\*\*[^*\n]{1,200}\*\*")
_LINE_SIGN = re.compile(r"[^\S\n]{0,9}+(?:>|(?:#{1,3}|-#|[-*+]|\d{1,9}[.)])\s)")
"""What would become a quote, a title, small print or a list at the beginning of a message."""

_KEPT_CHARS = 1000
"""How far the end of one is looked for behind a cut."""

_SENTENCE_END = re.compile(r"[.!?…]['\")\]»”’]*(?=\s)|[。！？]")

_SPACES = re.compile(r"\s+")


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
    fence: Fence | None = None
    carried: Fence | None = None


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
    fence = open_fence(shown)
    if len(shown) == len(text):
        line = shown.rfind("\n") + 1
        if fence is None:
            shown = _at_word(shown)
        elif TICKS.search(shown, line):
            shown, fence = shown[:line].rstrip(), open_fence(shown[:line])
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
    line = text.rfind("\n", 0, len(cut)) + 1
    for kept in _KEPT_WHOLE.finditer(text, line):
        if kept.start() < len(cut) < kept.end():
            cut = cut[: kept.start()].rstrip()
    return cut or text


def _closing(body: str) -> str:
    return "```" if body.endswith("\n") else _CLOSE


def _next_cut(text: str, start: int, fence: Fence | None, room: int) -> _Cut:
    """Decide one piece of at most ``room`` UTF-16 units, closing marker included."""
    high = fit(text, start, room)
    if high == len(text):
        at_end = open_fence(text[start:], fence)
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


def _line_cut(text: str, start: int, fence: Fence | None, highs: tuple[int, int]) -> _Cut | None:
    """Return the best cut at a line's end: the last paragraph in the second half, else a line.

    ``highs`` are the latest ends, with no block open there and with one.
    """
    high, high_open = highs
    half = start + (high - start) // 2
    paragraph: int | None = None
    line: int | None = None
    position, state, has_words = start, fence, False
    while (end := text.find("\n", position, high + 1)) >= 0:
        before, state = state, open_fence(text[position:end], state)
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
        return _before_titles(text, half, _at(text, paragraph, start, fence), (start, fence))
    if line is None:
        return None
    return _before_titles(text, half, _at(text, line, start, fence), (start, fence))


def _before_titles(text: str, half: int, cut: _Cut, begin: tuple[int, Fence | None]) -> _Cut:
    """Move a cut before the titles that stand last, so that they come with what they are of."""
    start, fence = begin
    end = cut.end
    while cut.fence is None:
        body = text[start:end].rstrip()
        line = body.rfind("\n") + 1
        if _TITLE.fullmatch(body, line) is None:
            break
        end = start + line - 1
        if end < half:
            return cut
    return cut if end == cut.end else _at(text, end, start, fence)


def _inside_line(text: str, start: int, fence: Fence | None, highs: tuple[int, int]) -> _Cut | None:
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


def _at(text: str, end: int, start: int, fence: Fence | None) -> _Cut:
    """Return the cut at ``end``, with the whitespace around it left out."""
    state = open_fence(text[start:end], fence)
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


def units(text: str) -> int:
    """Return the length in UTF-16 code units, the stricter reading of Discord's "characters"."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, start: int, room: int) -> int:
    """Return the largest end such that ``text[start:end]`` has at most ``room`` UTF-16 units."""
    window = text[start : start + max(0, room)]
    if units(window) <= room:
        return start + len(window)
    used = 0
    for index, char in enumerate(window):
        used += 2 if char > "\uffff" else 1
        if used > room:
            return start + index
    return start + len(window)


def hard_cut(text: str, start: int, end: int) -> int:
    """Return a cut at or before ``end`` that parts no characters shown as one, nor begins a line anew.

    Runs longer than any real one are cut where they stand; the result is always past ``start``.
    """
    for cut in range(end, max(start, end - _LOOK_BACK_CHARS), -1):
        if not _are_joined(text, cut) and _LINE_SIGN.match(text, cut) is None:
            return cut
    return max(end, start + 1)


def soft_cut(text: str, start: int, end: int, *, least: int) -> int | None:
    """Return the best cut in ``text[start:end]`` at a sentence's or a word's end.

    The space after a cut belongs to neither part. Cuts before ``least`` are too early to be worth it;
    ``None`` when there is no other.
    """
    found = _KEPT_WHOLE.finditer(text, start, end + _KEPT_CHARS)
    whole = [match.span() for match in found if match.start() < end]
    sentence = _last_free(
        _SENTENCE_END, text, (start + (end - start) // 2, end), whole, use_end=True
    )
    if sentence is not None and sentence >= least:
        return sentence
    word = _last_free(_SPACES, text, (start, end + 1), whole, use_end=False)
    if word is not None and word >= least:
        return word
    if whole and whole[-1][0] >= least and whole[-1][1] > end:
        return whole[-1][0]
    return None


def _last_free(
    pattern: re.Pattern[str],
    text: str,
    window: tuple[int, int],
    whole: list[tuple[int, int]],
    *,
    use_end: bool,
) -> int | None:
    """Return the last match that lies in nothing kept whole, with nothing behind it that begins a line."""
    found: int | None = None
    spans = iter(whole)
    span = next(spans, None)
    for match in pattern.finditer(text, *window):
        cut = match.end() if use_end else match.start()
        while span is not None and span[1] <= cut:
            span = next(spans, None)
        if (span is None or cut <= span[0]) and _LINE_SIGN.match(text, cut) is None:
            found = cut
    return found


def _are_joined(text: str, cut: int) -> bool:
    """Return whether the characters on both sides of a cut are shown as one."""
    if cut <= 0 or cut >= len(text):
        return False
    before, after = text[cut - 1], text[cut]
    if after.isascii() and before != _ZWJ:
        return before == "\\" or before + after in {"\r\n", "``"}
    return (
        _ZWJ in {before, after}
        or "\ufe00" <= after <= "\ufe0f"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
        or unicodedata.category(after) in {"Mn", "Mc", "Me"}
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
        or _parts_flag(text, cut)
    )


def _parts_flag(text: str, cut: int) -> bool:
    """Return whether a cut parts two regional indicators that make one flag."""
    if not _is_regional(text[cut]):
        return False
    count = 0
    while count < _FLAGS_CHARS and cut > count and _is_regional(text[cut - 1 - count]):
        count += 1
    return count % 2 == 1


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
