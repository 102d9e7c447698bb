"""Where a text may be cut: UTF-16 lengths, characters that belong together, words and sentences."""

from __future__ import annotations

import re
import unicodedata

_ZWJ = "\u200d"
_LOOK_BACK_CHARS = 64
"""Longest run of joined characters that is kept whole."""

_FLAGS_CHARS = 4096
"""Longest run of flags that is counted to find where each begins."""

_KEPT_WHOLE = re.compile(
    r"(?<!`)`[^`\n]{1,300}`(?!`)"
    r"|\[[^\[\]\n]{1,300}\]\([^()\s]{1,600}\)"
    r"|\*\*[^*\n]{1,200}\*\*"
    r"|<[^<>\s]{1,600}>"
)
"""Inline code, links, bold text and Discord's own ``<…>`` forms; bounded, so linear."""

_SENTENCE_END = re.compile(r"[.!?…]['\")\]»”’]*(?=\s)|[。！？]")
_SPACE = re.compile(r"\s+")


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
    """Return a cut at or before ``end`` that parts no characters shown as one.

    Runs longer than any real one are cut where they stand; the result is always past ``start``.
    """
    for cut in range(end, max(start, end - _LOOK_BACK_CHARS), -1):
        if not _are_joined(text, cut):
            return cut
    return max(end, start + 1)


def soft_cut(text: str, start: int, end: int, *, least: int) -> int | None:
    """Return the best cut in ``text[start:end]`` at a sentence's or a word's end.

    The space after a cut belongs to neither part. Cuts before ``least`` are too early to be worth it;
    ``None`` when there is no other.
    """
    whole = [match.span() for match in _KEPT_WHOLE.finditer(text, start, end)]
    opening = _unfinished(text, start, end, whole[-1][1] if whole else start)
    if opening is not None:
        whole.append((opening, end + 1))
    sentence = _last_free(
        _SENTENCE_END, text, (start + (end - start) // 2, end), whole, use_end=True
    )
    if sentence is not None and sentence >= least:
        return sentence
    word = _last_free(_SPACE, text, (start, end + 1), whole, use_end=False)
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
    """Return the last match that lies in nothing that is kept whole."""
    found: int | None = None
    spans = iter(whole)
    span = next(spans, None)
    for match in pattern.finditer(text, *window):
        cut = match.end() if use_end else match.start()
        while span is not None and span[1] <= cut:
            span = next(spans, None)
        if span is None or cut <= span[0]:
            found = cut
    return found


def _unfinished(text: str, start: int, end: int, since: int) -> int | None:
    """Return where a link or inline code begins that only ends after the window, if one does."""
    line = max(text.rfind("\n", start, end) + 1, since)
    opening = max(text.find("`", line, end), text.rfind("[", line, end))
    if opening <= start:
        return None
    match = _KEPT_WHOLE.match(text, opening, opening + 1000)
    return opening if match is not None and match.end() > end else None


def _are_joined(text: str, cut: int) -> bool:
    """Return whether the characters on both sides of a cut are shown as one."""
    if cut <= 0 or cut >= len(text):
        return False
    before, after = text[cut - 1], text[cut]
    if after.isascii() and before != _ZWJ:
        return before + after in {"\r\n", "``"}
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
