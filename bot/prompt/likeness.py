"""Whether a text that a model wrote can be a summary of a conversation: not what it says, but what it is like.

Small models repeat themselves, refuse, write about something else or in another script. Such a text would
stand in for what was said, so it is better left out.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter
from typing import Final

_MOST_REPEATED: Final = 3.0
"""How much smaller ``zlib`` may make it: prose becomes half as large, a loop less than a fifth."""

_SHARED: Final = 0.2
"""The part of a summary's longer words that must have been said; of retold prose it is most."""

_FAMILIAR: Final = 0.1
"""The part of what was said that must be in the script of the summary."""

_LONG: Final = 5
_MOST_CHARS: Final = 200_000
_WORD: Final = re.compile(r"[^\W\d_]++|\d++")
_UNSPACED: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"})


def is_like(text: str, said: str) -> bool:
    """Return whether a text can be a summary of what was said.

    Args:
        text: What a model wrote, without thinking.
        said: The conversation's words; of very long ones, the last count.
    """
    said = said[-_MOST_CHARS:]
    raw = text.encode("utf-8", "replace")
    if len(raw) > _MOST_REPEATED * len(zlib.compress(raw)):
        return False
    scripts, known = _scripts(text), _scripts(said)
    if not scripts or known[scripts.most_common(1)[0][0]] < _FAMILIAR * known.total():
        return False
    words = _words(text)
    return not words or len(words & _words(said)) >= _SHARED * len(words)


def _scripts(text: str) -> Counter[str]:
    """Return how many letters are of each script, by the first word of their names."""
    letters = Counter(each for each in text if each.isalpha())
    found: Counter[str] = Counter()
    for letter, count in letters.items():
        found[unicodedata.name(letter, "").partition(" ")[0]] += count
    return found


def _words(text: str) -> set[str]:
    """Return the longer words as they begin, since many languages change their ends; of others, pairs."""
    found: set[str] = set()
    for match in _WORD.finditer(text.casefold()):
        word = match[0]
        if unicodedata.name(word[0], "").partition(" ")[0] in _UNSPACED:
            found.update(word[at : at + 2] for at in range(len(word) - 1))
        elif len(word) >= _LONG or word.isdigit():
            found.add(word[:_LONG])
    return found
