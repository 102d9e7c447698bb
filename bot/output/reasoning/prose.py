"""Whether a tag stands in a sentence, judged by the few characters around it."""

from __future__ import annotations

import re
from typing import Final

from bot.output.markup import prefixes

SENTENCE_END: Final = ".!?。！？…*_"
PROSE_NEXT: Final = " \t,.;:)]\"'`/…，。；：）、،؛؟?!—–"
QUOTES: Final = {
    "`": "`",
    '"': '"',
    "'": "'",
    "“": "”",
    "‘": "’",
    "(": ")",
    "«": "»",
    "「": "」",
    "[": "]",
    "{": "}",
    "『": "』",
    "„": "“",
    "（": "）",
}
_TAG_NOUN: Final = re.compile(r" (?:tags?|tokens?|blocks?|elements?|markers?)\b")
_TAG_NOUN_STARTS: Final = prefixes(
    f" {noun}s " for noun in ("tag", "token", "block", "element", "marker")
)


def is_named(line: str, after: str) -> bool:
    """Return whether a tag stands in quotes, or is called a tag; arguments as for ``is_prose``."""
    is_quoted = line != "" and QUOTES.get(line[-1]) == after[:1]
    return is_quoted or _TAG_NOUN.match(after) is not None


def is_prose(line: str, after: str, *, ended: bool) -> bool | None:
    """Return whether a tag is spoken of rather than used; ``None`` until more text tells.

    Args:
        line: What stands before the tag on its line.
        after: What follows it, as far as it has come; ten characters are enough.
        ended: Nothing more will come.
    """
    if not after:
        return False if ended else None
    if after in _TAG_NOUN_STARTS and not ended:
        return None
    if is_named(line, after):
        return True
    words = line.rstrip(" \t")
    if not words or words == line or words[-1] in SENTENCE_END:
        return False
    return after[0] in PROSE_NEXT
