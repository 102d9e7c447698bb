"""Notices a model that says the same thing over and over."""

from __future__ import annotations

from typing import Final

LOOK_BACK_CHARS: Final = 2400
"""How much of the end is looked at, in characters."""

_PROBE_CHARS: Final = 24
_MIN_REPEATED_CHARS: Final = 900
_MIN_TIMES: Final = 6


def repeats_itself(text: str) -> bool:
    """Return whether a text ends in one passage repeated without end.

    That is: the last 900 characters or more consist of at least six copies of the same passage, of
    up to 400 characters. Rules, tables and refrains stay below that.

    Args:
        text: The end of a text, at most ``LOOK_BACK_CHARS`` characters of it.
    """
    probe = text[-_PROBE_CHARS:]
    if len(text) < _MIN_REPEATED_CHARS:
        return False
    earlier = text.rfind(probe, 0, len(text) - 1)
    if earlier < 0:
        return False
    period = len(text) - _PROBE_CHARS - earlier
    needed = max(_MIN_REPEATED_CHARS, _MIN_TIMES * period)
    if needed > len(text):
        return False
    tail = text[-needed:]
    return tail[period:] == tail[:-period]
