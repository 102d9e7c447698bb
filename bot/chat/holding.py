"""Whether a question waits for the model's machine, which may come and go for ever."""

from __future__ import annotations

from typing import Final

from bot.core.clock import Clock
from bot.core.domain import Stage, StageKind

MOST_LOSSES: Final = 3
"""How often the machine may go away while it reads one question before that is asked no more."""


class Holding:
    """The patience of one question.

    Args:
        clock: Time.
        hold_s: How long to wait in all, in seconds.
    """

    def __init__(self, clock: Clock, hold_s: float) -> None:
        self._clock = clock
        self._hold_s = hold_s
        self._away_since_s: float | None = None
        self._is_reading = False
        self._losses = 0

    def note(self, stage: Stage) -> None:
        """Take note of how far the question got."""
        self._is_reading |= stage.kind is StageKind.READING

    def may_go_on(self) -> bool:
        """Return whether to wait on, once the machine has turned out to be away."""
        now_s = self._clock.monotonic()
        if self._away_since_s is None:
            self._away_since_s = now_s
        self._losses += self._is_reading
        self._is_reading = False
        return self._losses < MOST_LOSSES and now_s - self._away_since_s <= self._hold_s
