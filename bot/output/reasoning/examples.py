"""Markers that were text, and what belongs to them."""

from __future__ import annotations

from typing import Final

from bot.output.markup import Kind, Marker
from bot.output.reasoning.place import (
    BULLET,
    ELLIPSIS,
    EXPECTING,
    GLUES,
    NICKNAMES,
    PROSE_NEXT,
    SENTENCE_END,
    TOKENS,
    TURNS,
    UNSPACED,
    Surroundings,
)

_MOST_CLOSERS: Final = 8


class Examples:
    """Markers that were text, and the other halves of theirs that are still to come."""

    def __init__(self) -> None:
        self._closers: list[tuple[str, str]] = []
        self._mentioned: set[str] = set()
        self._shown: set[str] = set()
        self._in_turn = False
        self._on_line = ""

    def holds(self, text: str, kind: Kind, line: str) -> bool:
        """Return whether a marker belongs to an example that has begun.

        Args:
            text: The marker's canonical text.
            kind: What it would mean.
            line: What stands before it on its line.
        """
        if any(
            text == closer and opener.lower() in line.lower() for closer, opener in self._closers
        ):
            return True
        is_near = self._in_turn or (self._on_line != "" and self._on_line.lower() in line.lower())
        return is_near and kind in TOKENS

    def ends_answer(self, text: str, place: Surroundings) -> bool:
        """Return whether a token ends the whole answer, whatever example stands before it.

        It is the last thing there is, and stands right behind a word; where one like it was text
        before, behind a word that no name of a thing can follow without a blank.
        """
        last = place.line[-1:]
        if place.after.strip() or last.isspace() or last in EXPECTING:
            return False
        if text not in self._shown:
            return True
        is_apart = last in SENTENCE_END or UNSPACED.match(last) is None
        return last != "" and is_apart and not (self._in_turn or self._awaits(text))

    def _awaits(self, text: str) -> bool:
        return any(closer == text for closer, _ in self._closers)

    def has_opened(self, text: str) -> bool:
        """Return whether the other half of a closing marker was text, on whatever line."""
        return text in self._mentioned

    def note(self, text: str, marker: Marker, place: Surroundings, *, same_line: bool) -> None:
        """Take note of a marker that is text.

        Args:
            text: Its canonical text.
            marker: What it would mean.
            place: Where it stands.
            same_line: What belongs to it counts on its own line only.
        """
        is_item = BULLET.fullmatch(place.line) is not None and place.after.startswith("\n")
        is_in_line = place.line.strip(" \t>") != "" and not (place.follows_spoken or is_item)
        is_in_line = is_in_line and not (marker.kind in TOKENS and place.is_announced)
        is_in_line = is_in_line and not place.line.endswith(('"""', "'''"))
        is_mentioned = is_in_line and place.after[:1] in set(PROSE_NEXT)
        is_mentioned = is_mentioned and place.line[-1] not in GLUES
        is_mentioned = is_mentioned and ELLIPSIS.match(place.after) is None
        self._mentioned.update(marker.closers)
        self._shown.add(text)
        open_since = [i for i, (closer, _) in enumerate(self._closers) if closer == text]
        if open_since:
            del self._closers[open_since[-1]]
        elif text == "<s>" or (marker.closers and not is_mentioned):
            closer = "</s>" if text == "<s>" else marker.closers[0]
            opener = text.rstrip(">") if is_in_line or same_line else ""
            self._closers = [*self._closers[-_MOST_CLOSERS:], (closer, opener)]
        is_glued = marker.kind is Kind.DROP and place.after[:1].isalnum()
        if is_glued or (marker.kind in TURNS and text not in NICKNAMES):
            self._in_turn = not same_line and (self._in_turn or not is_in_line)
            self._on_line = text
        elif marker.kind is Kind.END:
            self._in_turn = False
