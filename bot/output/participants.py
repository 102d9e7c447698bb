"""The model's own name in front of its answer.

A later line that begins with a name and a colon says nothing: lists, dialogues and settings look
like that. Only the header that our prompt puts before a message begins a turn (``echoes``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from bot.output.echoes import Echoes, Frame
from bot.output.markup import ROLE_LABELS, prefixes

_MAX_NAMES: Final = 200
_LABELLED_CHARS: Final = 200
_AFTER: Final = re.compile(r"[ \t]{0,40}+\n{0,9}+[ \t]{0,40}+")
_TIME: Final = re.compile(
    r"[\[(](?:[A-Z][a-z]{5,8} )?+\d[\d\-/.: T]{2,24}(?:[AaPp][Mm])?[\])]\s{0,9}+"
)
_TIME_PARTIAL: Final = re.compile(
    r"[\[(](?:[A-Z][a-z]{0,8} ?+)?+(?:\d[\d\-/.: TAaPpMm]{0,26}+[\])]?+\s{0,9}+)?+\Z"
)
_DEFINED: Final = re.compile(r"[a-zà-ÿа-яё]|(?i:artificial\b)")
_KEYED: Final = re.compile(
    r"\n\s{0,9}+(?:(?:[-*+•]|\d{1,3}[.)])[ \t]{1,4}+)?[*_`]{0,3}[^\W\d_][^\n:：=]{0,32}[:：=]"
)
_MAYBE_KEYED: Final = re.compile(r"\n[^\n:：=]{0,48}\Z")


class Labels:
    """Recognises names in front of a text in the spellings that models use.

    Args:
        participants: Display names of the people in the conversation.
        bot_names: The bot's own names.
    """

    def __init__(self, participants: Collection[str], bot_names: Collection[str]) -> None:
        own = _usable(bot_names)
        self._own = _Spellings(name for name in own if name.lower() not in ROLE_LABELS)
        self._roles = _Spellings(ROLE_LABELS)
        self._echoes = Echoes(_usable(participants), own)

    def frame(self, text: str, *, ended: bool, is_first: bool) -> Frame | None:
        """Read one of our own frames at the beginning of a line; ``None`` until it is certain.

        Args:
            text: What the line begins with, at most ``FRAME_CHARS`` characters.
            ended: Nothing more will come.
            is_first: Nothing of the answer stands before it.
        """
        return self._echoes.read(text, ended=ended, is_first=is_first)

    def own_prefix(self, text: str, *, ended: bool) -> int | None:
        """Return how many characters of a label begin the answer; ``None`` until it is certain."""
        time = _TIME.match(text)
        start = time.end() if time else 0
        end = self._own.match(text, start)
        if end is not None:
            after = _AFTER.match(text, end)
            return after.end() if after else end
        end = self._roles.match(text, start)
        if end is not None:
            return _label_chars(text, end, ended=ended)
        if ended:
            return 0
        rest = text[start:]
        if rest == "" or self._own.may_match(rest) or self._roles.may_match(rest):
            return None
        return None if _TIME_PARTIAL.match(text) else 0


def _label_chars(text: str, end: int, *, ended: bool) -> int | None:
    """Return how much of a text is a role's label; none of it where it is the first of several."""
    is_open = not ended and len(text) < _LABELLED_CHARS
    after = _AFTER.match(text, end)
    start = after.end() if after else end
    if start == len(text):
        return None if is_open else start
    if _DEFINED.match(text[start : start + 12]):
        return 0
    line_end = text.find("\n", start)
    if line_end < 0:
        return None if is_open else start
    if _KEYED.match(text, line_end):
        return 0
    return None if is_open and _MAYBE_KEYED.match(text, line_end) else start


class _Spellings:
    """All spellings of some names before a colon."""

    def __init__(self, names: Iterable[str]) -> None:
        known = sorted(set(names), key=lambda name: (-len(name), name))
        forms = [form for name in known for form in _forms(name)]
        self._pattern = re.compile("|".join(re.escape(form) for form in forms), re.IGNORECASE)
        self._partials = prefixes([form.lower() for form in forms])
        self._is_empty = not forms

    def match(self, text: str, start: int) -> int | None:
        found = None if self._is_empty else self._pattern.match(text, start)
        return found.end() if found else None

    def may_match(self, text: str) -> bool:
        return text.lower() in self._partials


def _forms(name: str) -> tuple[str, ...]:
    forms = (f"{name}:", f"{name}：", f"{name} :", f"[{name}]:", f"[{name}] :", f"<{name}>:")
    return (*forms, f"**{name}:**", f"**{name}**:", f"### {name}:", f"@{name}:")


def _usable(names: Collection[str]) -> list[str]:
    stripped = [name.strip()[:48] for name in list(names)[:_MAX_NAMES]]
    return [name for name in stripped if any(char.isalpha() for char in name)]
