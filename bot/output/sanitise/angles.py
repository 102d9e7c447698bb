"""Reads Discord's own ``<…>`` forms, and images written as HTML."""

from __future__ import annotations

import re
from typing import Final

from bot.output.markup import prefixes
from bot.output.sanitise.links import link_text

ANGLE_CHARS: Final = 700
"""How much of a text is looked at from its ``<`` on, in characters."""

ANGLE_STARTS: Final = frozenset(["", *"@#/:aAcCfFiImMsStT"])
"""What may follow the ``<`` of a form; nothing, while no more has come."""

ANGLE: Final = re.compile(
    r"<(?:(?P<sigil>@[!&]?|#)(?=\d)|/(?P<command>[\w\- ]{1,100}):\d{1,32}+>"
    r"|id:(?P<place>[\w\-]{1,100}+)>"
    r"|(?:tel|mailto|sms|callto|facetime):(?P<contact>[^<>\s]{0,400}+)>"
    r"|(?P<emoji>a?:\w{1,32}:\d{1,22}>)|img\b(?P<image>[^<>]{0,600})>)",
    re.IGNORECASE,
)
"""A form that is whole."""

_PARTIAL: Final = re.compile(
    r"<(?:@[!&]?|#|/[\w\- ]{0,100}(?::\d{0,32})?|id:[\w\-]{0,100}"
    r"|(?:tel|mailto|sms|callto|facetime):[^<>\s]{0,400}"
    r"|a?:\w{0,32}(?::\d{0,22})?|img\b[^<>]{0,600})?\Z",
    re.IGNORECASE,
)
_WORDS: Final = prefixes(
    f"<{word}:" for word in ("id", "tel", "mailto", "sms", "callto", "facetime", "a", "img")
)
_ATTRIBUTE: Final = re.compile(
    r"\b(src|alt)\s{0,80}+=\s{0,80}+(?:\"([^\"]{0,600}+)\"|'([^']{0,600}+)'|(\S{1,600}+))",
    re.IGNORECASE,
)


def may_become_angle(text: str) -> bool:
    """Return whether more characters could turn this whole text into one form."""
    return _PARTIAL.match(text) is not None or text.lower() in _WORDS


def angle_text(found: re.Match[str], *, allow_invites: bool) -> str:
    """Return a command, place, contact or image as plain text."""
    if found["image"] is not None:
        values = {
            m[1].lower(): m[2] or m[3] or m[4] or "" for m in _ATTRIBUTE.finditer(found["image"])
        }
        return link_text(values.get("alt", ""), values.get("src", ""), allow_invites=allow_invites)
    command, place, contact = found["command"], found["place"], found["contact"]
    return str(f"/{command}" if command else f"id:{place}" if place else contact)
