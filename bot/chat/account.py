"""One line of the log on each question: how it ended and where its time went, and nothing of its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.core.counted import counted
from bot.core.ports import Outcome

_ENDS: Final = {
    Outcome.DELIVERED: "answered in",
    Outcome.NOTIFIED: "ended with a notice after",
    Outcome.STOPPED: "stopped after",
    Outcome.MERGED: "joined with its author's later words after",
    Outcome.DROPPED: "dropped, because there is nobody to read it, after",
    None: "kept for the next start after",
}


@dataclass(slots=True)
class Account:
    """Where a question's time went; all moments in seconds of the monotonic clock.

    Attributes:
        began_s: When this process took it.
        granted_s: When the model was first asked.
        first_word_s: When there was the first word to see.
        tokens: How many the model wrote, where the server says so.
    """

    began_s: float
    granted_s: float | None = None
    first_word_s: float | None = None
    tokens: int | None = None

    def granted(self, at_s: float) -> None:
        """Note that the model is asked; the first time counts."""
        if self.granted_s is None:
            self.granted_s = at_s

    def word(self, at_s: float) -> None:
        """Note that there is text to see; the first time counts."""
        if self.first_word_s is None:
            self.first_word_s = at_s

    def line(self, outcome: Outcome | None, now_s: float) -> str:
        """Return the line.

        Args:
            outcome: How it ended; ``None`` where the next start goes on with it.
            now_s: The present moment.
        """
        facts = []
        if self.granted_s is not None:
            facts.append(f"line {self.granted_s - self.began_s:.1f} s")
        if self.first_word_s is not None:
            facts.append(f"first word after {self.first_word_s - self.began_s:.1f} s")
        if self.tokens is not None:
            facts.append(counted(self.tokens, "token"))
        end = f"{_ENDS[outcome]} {now_s - self.began_s:.1f} s"
        return f"{end} ({', '.join(facts)})" if facts else end
