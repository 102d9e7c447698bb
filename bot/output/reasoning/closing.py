"""Whether a closing tag of thinking ends it, or is only spoken of.

Thinking ends where a sentence does, on a line of its own, right behind a word, or in front of a new
sentence. Everything that was shown before such an end vanishes, so what can be read as text is text;
but while an end is expected, it is one wherever a sentence doesn't plainly go on over it.
"""

from __future__ import annotations

import re
from typing import Final

from bot.output.markup import (
    MARKER,
    Kind,
    canonical,
    marker_of,
    may_become_marker,
)
from bot.output.reasoning.place import (
    BULLET,
    CELL_END,
    COMES_AFTER,
    ELLIPSIS,
    EXPECTING,
    IN_ELEMENT,
    JOINS,
    LISTED,
    PROSE_NEXT,
    SAYS,
    SIGN,
    UNSPACED,
    WANTING,
    Surroundings,
)

_TELLING_CHARS: Final = 4
_QUANTIFIED: Final = re.compile(r"(?:(?<![\w.!?])\.|\\[sSdDwW]\]?)[*+]\??\Z")
_ESCAPE_NEXT: Final = re.compile(r"\\[sSdDwWnrt](?![A-Za-z])")
"""Parts of a regular expression."""

_LITERAL: Final = re.compile(r"""(?<!\w)(["'])[^"'\s<][^"'\n<]{0,60}\Z""")
_LITERAL_END: Final = re.compile(r"""[^"'\n]{0,40}[^"'\s](["'])(?!\w)""")
_LITERAL_END_PARTIAL: Final = re.compile(r"""[^"'\n]*+["']?""")
"""What stands before and behind a tag inside a quoted text."""

_PREFIXED: Final = re.compile(r"(?<!\w)[وبلكف]ـ?\Z")
"""What Arabic writes right before a noun."""

SUFFIX: Final = re.compile(r"-\w|(?:['’]?s|['’](?:[dt][ae]n?|n?[ıiuü]n?|y?[ıiuüae]|y?l[ae]))(?!\w)")
_PARTICLE: Final = re.compile(
    r" ?(?:を|から|まで|で(?![はもすき])|の(?:後|前|間|あと|まえ)|后|之后|以后|之前|时|就(?:表示|会|是|说明|代表)|来(?:结束|表示|标记)"
    r"|が(?=[見出入残])|[를을와과]|[로은는이가] |으로|부터|까지|후)"
)
"""What follows a name in scripts without blanks, and begins no sentence."""

_HANGS_ON: Final = re.compile(r"(?:[는를을가] |[와과] ?[<`]|으로|부터|까지)")
"""What hangs on a noun even where a blank stands before that."""

_ENDS_WORD: Final = frozenset(",;:.!?)，。；：！？、")
_ASKS: Final = frozenset("?？，、；،؛؟")
"""Signs that no answer begins with."""

_GOES_ON_SMALL: Final = re.compile(r" [a-zà-ÿα-ωа-яё]")
_SURELY_SAYS: Final = re.compile(r"[ \t]|.{0,9}(?:标签|标记|令牌|符号|标志)")
_NUMBER: Final = re.compile(r"[ \t>]{0,8}+(\d{1,3})[.)][ \t]")
_NEXT_NUMBER: Final = re.compile(r"\n[ \t>]{0,8}+(\d{1,3})[.)]")
_DASH: Final = re.compile(r"[ \t>]{0,8}+[-*+•][ \t]")
_NEXT_DASH: Final = re.compile(r"\n[ \t>]{0,8}+[-*+•][ \t]")
_ITEM_PARTIAL: Final = re.compile(r"\n[ \t>]{0,8}+(?:\d{0,3}|[-*+•])")


def ends_thinking(text: str, place: Surroundings) -> bool:
    """Return whether a closing tag is meant where it stands.

    Args:
        text: Its canonical text.
        place: What surrounds it.
    """
    line, after = place.line, place.after
    is_told = place.is_announced or (not place.words and place.before in set(":："))
    if is_told and place.has_ended and not (after.strip() or place.is_end_expected):
        return False
    if not place.words:
        return not _is_shown_alone(place)
    if BULLET.fullmatch(line) or SIGN.fullmatch(line) or is_in_pattern(line, after):
        return False
    name, lowered = text.lower(), line.lower()
    is_shown = name in lowered or name.replace("/", "", 1) in lowered
    is_shown = is_shown and not place.is_end_expected
    if is_shown and _PARTICLE.match(after):
        return False
    if place.is_behind_sentence:
        is_apart = place.words != line
        goes_on = after[:1] in _ENDS_WORD or SAYS.match(after) or ELLIPSIS.match(after)
        return not (is_apart and goes_on)
    if place.words == line:
        return not _is_glued(place, is_shown=is_shown)
    if after[:1] in set(PROSE_NEXT) - {" ", "\t"} or SAYS.match(after) or SUFFIX.match(after):
        return False
    return _begins_answer(place, is_shown=is_shown)


def may_tell_end(after: str, place: Surroundings) -> bool:
    """Return whether more of what follows a closing tag could tell whether it is meant."""
    if after[0] == "<":
        return may_become_marker(after) and MARKER.match(after) is None
    if after[0] == "\n":
        if not place.words:
            return place.before in set(":：") and not after.strip()
        is_item = _NUMBER.match(place.line) is not None or _DASH.match(place.line) is not None
        return is_item and _ITEM_PARTIAL.fullmatch(after) is not None
    is_short = len(after) < _TELLING_CHARS and "\n" not in after
    return is_short and (after[0] in "s-'’\\" or UNSPACED.match(after) is not None)


def _is_shown_alone(place: Surroundings) -> bool:
    """Return whether a line that begins with a closing tag tells something about it."""
    after = place.after
    says = SAYS.match(after)
    if SUFFIX.match(after) or (says and (place.has_example or _SURELY_SAYS.match(says[0]))):
        return True
    if place.has_example and LISTED.match(after):
        return True
    if place.is_end_expected:
        return False
    if COMES_AFTER.match(after) or (place.has_example and _GOES_ON_SMALL.match(after)):
        return True
    if not place.is_started:
        return False
    if place.is_in_session or place.is_in_column or CELL_END.match(after):
        return True
    if place.before not in set(":："):
        return False
    return place.has_thought or after.lstrip()[:1].islower()


def is_in_pattern(line: str, after: str) -> bool:
    """Return whether a tag is a part of a regular expression or of a quoted text, or the value of a setting."""
    is_part = _QUANTIFIED.search(line) or _ESCAPE_NEXT.match(after) or IN_ELEMENT.search(line)
    if line[-1:] == after[:1] and after[:1] in set("%#~/|@"):
        return True
    return bool(is_part) or line[-1:] in EXPECTING or _is_in_literal(line, after)


def may_be_in_literal(line: str, after: str) -> bool:
    """Return whether more of what follows could tell that a tag is inside a quoted text."""
    may_grow = _LITERAL_END_PARTIAL.fullmatch(after) is not None
    return may_grow and _LITERAL.search(line) is not None


def _is_in_literal(line: str, after: str) -> bool:
    begin, end = _LITERAL.search(line), _LITERAL_END.match(after)
    return begin is not None and end is not None and begin[1] == end[1]


def _is_glued(place: Surroundings, *, is_shown: bool) -> bool:
    """Return whether a tag right behind an unfinished sentence is a part of it."""
    line, after = place.line, place.after
    if SUFFIX.match(after):
        return True
    is_unspaced = UNSPACED.match(line[-1]) is not None
    is_told = after[:1] in _ASKS or COMES_AFTER.match(after) is not None
    is_told |= is_unspaced and _PARTICLE.match(after) is not None
    if is_told and not place.is_end_expected:
        return True
    is_said = SAYS.match(after) is not None
    is_joined = line[-1] in JOINS or _PREFIXED.search(line) is not None
    is_said |= is_joined and after[:1] in set(PROSE_NEXT)
    is_said |= is_unspaced and UNSPACED.match(after) is not None
    return is_said and (place.has_example or is_shown)


def _begins_answer(place: Surroundings, *, is_shown: bool) -> bool:
    """Return whether an answer begins behind a tag that a blank separates from an unfinished sentence."""
    words, after = place.words, place.after
    following = after.lstrip(" \t")[:1]
    marker = MARKER.match(after.lstrip(" \t"))
    if marker is not None and not place.has_example:
        is_wrap = marker_of(canonical(marker)).kind is Kind.WRAP
        return is_wrap or place.is_end_expected
    goes_on = following.isalpha() and not following.isupper()
    if after[:1] in {" ", "\t"}:
        if place.has_example:
            return False
        if place.is_end_expected:
            return not (goes_on and WANTING.search(words))
        begins = following.isupper() or (following != "" and following in "*#\n")
        is_doubted = is_shown or place.has_thought or place.is_unfinished
        return begins and not (is_doubted or words[-1] in JOINS)
    if place.is_end_expected:
        return True
    is_listed = place.is_announced or place.is_assigned or _next_item_follows(place)
    is_listed |= place.has_example or _HANGS_ON.match(after) is not None
    return after != "" and not (is_listed or place.is_unfinished)


def _next_item_follows(place: Surroundings) -> bool:
    """Return whether the tag ends one item of a list, and the next line is another."""
    number, following = _NUMBER.match(place.line), _NEXT_NUMBER.match(place.after)
    if number and following:
        return int(following[1]) == int(number[1]) + 1
    return bool(_DASH.match(place.line) and _NEXT_DASH.match(place.after))
