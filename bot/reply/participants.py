"""Names before a colon: the model's own name as a prefix, and people it speaks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from bot.reply.markup import ROLE_LABELS, prefixes

SPEAKERS: Final = ("User", "Human")
"""What models call the person when they go on with the transcript."""

_ORDINARY: Final = frozenset(
    [
        "answer",
        "caution",
        "conclusion",
        "definition",
        "edit",
        "error",
        "example",
        "fix",
        "hint",
        "important",
        "info",
        "input",
        "note",
        "output",
        "problem",
        "question",
        "reason",
        "result",
        "solution",
        "step",
        "summary",
        "tip",
        "todo",
        "update",
        "warning",
    ]
)
"""Display names that are ordinary headings too; cutting at them would lose honest text."""

_TIME: Final = re.compile(r"[\[(]\d[\d\-/.: T]{2,24}(?:[AaPp][Mm])?[\])]\s*+")
_TIME_PARTIAL: Final = re.compile(r"[\[(](?:\d[\d\-/.: TAaPpMm]{0,26}+[\])]?+\s{0,80}+)?+\Z")
_AFTER: Final = re.compile(r"[ \t]*+\n*+[ \t]*+")
_MAX_NAMES: Final = 200


class Labels:
    """Recognises ``name:`` in the spellings that models use.

    Args:
        participants: Display names of the people in the conversation.
        bot_names: The bot's own names.
    """

    def __init__(self, participants: Collection[str], bot_names: Collection[str]) -> None:
        own = {name.strip().lower() for name in bot_names}
        people = [name for name in _usable(participants) if name.lower() not in own]
        self._own = _Spellings([*ROLE_LABELS, *_usable(bot_names)])
        self._people = _Spellings([*people, *SPEAKERS])

    def own_prefix(self, text: str, *, ended: bool) -> int | None:
        """Return how many characters of a label begin the answer; ``None`` until it is certain."""
        time = _TIME.match(text)
        start = time.end() if time else 0
        end = self._own.match(text, start)
        if end is not None:
            after = _AFTER.match(text, end)
            return after.end() if after else end
        if ended:
            return 0
        if start == len(text) or self._own.may_match(text[start:]) or _TIME_PARTIAL.match(text):
            return None
        return 0

    def speaks_for(self, text: str, *, ended: bool) -> bool | None:
        """Return whether a line begins with somebody's name; ``None`` until it is certain."""
        start = len(text) - len(text.lstrip(" \t"))
        if self._people.match(text, start) is not None:
            return True
        return None if not ended and self._people.may_match(text[start:]) else False


class _Spellings:
    """All spellings of some names before a colon."""

    def __init__(self, names: Iterable[str]) -> None:
        known = sorted(set(names), key=lambda name: (-len(name), name))
        forms = [form for name in known for form in _forms(name)]
        self._pattern = re.compile("|".join(re.escape(form) for form in forms), re.IGNORECASE)
        self._partials = prefixes(form.lower() for form in forms)

    def match(self, text: str, start: int) -> int | None:
        found = self._pattern.match(text, start)
        return found.end() if found else None

    def may_match(self, text: str) -> bool:
        return text == "" or text.lower() in self._partials


def _forms(name: str) -> tuple[str, ...]:
    forms = (f"{name}:", f"{name}：", f"{name} :", f"[{name}]:", f"[{name}] :", f"<{name}>:")
    return (*forms, f"**{name}:**", f"**{name}**:", f"### {name}:", f"@{name}:")


def _usable(names: Collection[str]) -> list[str]:
    stripped = [name.strip()[:40] for name in list(names)[:_MAX_NAMES]]
    return [
        name
        for name in stripped
        if any(char.isalpha() for char in name) and name.lower() not in _ORDINARY
    ]
