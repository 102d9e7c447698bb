"""What a model writes on after the end of its answer: a late answer, or somebody else's turn."""

from __future__ import annotations

import re
from typing import Final

from bot.output.markup import MARKER, TURN_ROLES

_LATE_FINAL: Final = re.compile(r"<\|channel\|>\s{0,9}+final\b[^<]{0,40}<\|message\|>")
_WATCHED_CHARS: Final = 400
_ROLE_NAME: Final = re.compile(rf"\b(?:{'|'.join(TURN_ROLES)})\b")
_WORD: Final = re.compile(r"\w")


class Aftermath:
    """Looks at what a model writes on after the end of its answer.

    Attributes:
        was_cut: Words came: the model goes on with somebody else's turn.
        is_over: Enough was seen: nothing that follows can matter.
    """

    def __init__(self) -> None:
        self._text = ""
        self.was_cut = False
        self.is_over = False

    def cut(self) -> None:
        """Take note that another's turn has begun beyond doubt."""
        self.was_cut = self.is_over = True

    def take(self, text: str, *, may_answer: bool, ended: bool) -> int | None:
        """Take what came, and return where in it a late answer begins, if it does.

        Args:
            text: The next piece.
            may_answer: A harmony header may still say that the answer comes only now.
            ended: Nothing more will come.
        """
        if self.is_over:
            return None
        before = len(self._text)
        self._text += text[: _WATCHED_CHARS - before]
        found = _LATE_FINAL.search(self._text) if may_answer else None
        if found is not None and found.end() > before:
            return found.end() - before
        if ended or len(self._text) >= _WATCHED_CHARS:
            self.is_over = len(self._text) >= _WATCHED_CHARS
            bare = _ROLE_NAME.sub("", MARKER.sub("", self._text))
            self.was_cut = _WORD.search(bare) is not None
        return None
