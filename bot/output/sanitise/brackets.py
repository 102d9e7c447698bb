"""Reads what begins with a bracket: masked links and images, references and their definitions.

Hand-written where a pattern would have to backtrack: nothing is looked at more often than a fixed
number of times, whatever stands in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bot.output.sanitise.links import URL_CHARS

BRACKET_CHARS: Final = URL_CHARS + 400
"""How much of a text is looked at from its bracket on, in characters."""

_LABEL: Final = re.compile(r"!?\[((?:[^\[\]\n\\]|\\.){0,300}+)")
_BLANKS: Final = re.compile(r"[ \t]*+")
_RUN: Final = re.compile(r"[^\s()<>]*+")
_IN_ANGLES: Final = re.compile(rf"<([^<>\n]{{0,{URL_CHARS}}}+)>")
_TITLE_AND_END: Final = re.compile(
    rf"(?:[ \t]{{1,80}}+[\"'(][^\"'()\n]{{0,{URL_CHARS}}}+[\"')])?+[ \t]{{0,80}}+\)"
)
_NAME: Final = re.compile(r"\[([^\[\]\n]{0,80}+)\]")
_NAME_PARTIAL: Final = re.compile(r"\[[^\[\]\n]{0,80}+\Z")
_DEFINED: Final = re.compile(r":[ \t]{0,80}+(?=<?(?:https?:|www\.|[/#]|\w{1,32}://))")
_DEFINED_PARTIAL: Final = re.compile(r":[ \t]{0,80}+<?+\w{0,12}+(?::/?+)?+\Z")
_ARGUMENT: Final = re.compile(r"\w{1,80}+")
"""No address: a call of what an index gives, ``handlers[name](value)``."""
_PARENTHESIS: Final = re.compile(r"[()]")
_DEFINED_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Bracket:
    """What a bracket turned out to begin.

    Attributes:
        end: Where it ends in the text that was read.
        label: What stands in the first brackets.
        address: Where a link or an image leads; ``None`` for the other two.
        name: What a reference names; ``None`` for the others.
    """

    end: int
    label: str
    address: str | None = None
    name: str | None = None


def may_begin_bracket(text: str, start: int) -> bool:
    """Return whether the brackets at a place close, as far as the text has come."""
    label = _LABEL.match(text, start)
    return label is not None and text[label.end() : label.end() + 1] in {"", "]", "\\"}


def read_bracket(text: str) -> Bracket | None:
    """Return what begins at the start of a text with ``[`` or ``![``; ``None`` when it is nothing."""
    label = _LABEL.match(text)
    if label is None or not text.startswith("]", label.end()):
        return None
    after = label.end() + 1
    if text.startswith("(", after):
        return _link(text, label[1], after + 1)
    if reference := _NAME.match(text, after):
        return Bracket(reference.end(), label[1], name=reference[1])
    is_name = text[0] == "[" and 0 < len(label[1]) <= _DEFINED_CHARS
    if is_name and (defined := _DEFINED.match(text, after)):
        return Bracket(defined.end(), label[1])
    return None


def _link(text: str, label: str, start: int) -> Bracket | None:
    """Read the address of a link from behind its parenthesis on, and an optional title."""
    start = _end(_BLANKS, text, start)
    if angles := _IN_ANGLES.match(text, start):
        address, after = angles[1], angles.end()
    else:
        after = _end(_RUN, text, start)
        while text.startswith("(", after):
            inner = _end(_RUN, text, after + 1)
            if not text.startswith(")", inner):
                break
            after = _end(_RUN, text, inner + 1)
        address = text[start:after]
    closing = _TITLE_AND_END.match(text, after)
    if closing is None or _ARGUMENT.fullmatch(address):
        return None
    return Bracket(closing.end(), label, address=address)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def may_become_bracket(text: str) -> bool:
    """Return whether more characters could turn this whole text into what ``read_bracket`` reads."""
    label = _LABEL.match(text)
    if label is None:
        return False
    rest = text[label.end() :]
    if rest in {"", "\\", "]"}:
        return True
    if rest[0] != "]":
        return False
    if rest[1] == "(":
        return "\n" not in rest and not _closes(rest[2:])
    return bool(_NAME_PARTIAL.match(rest, 1) or _DEFINED_PARTIAL.match(rest, 1))


def _closes(text: str) -> bool:
    """Return whether a parenthesis closes that wasn't opened right before."""
    is_open = False
    for found in _PARENTHESIS.finditer(text):
        if found[0] == ")" and not is_open:
            return True
        is_open = found[0] == "("
    return False
