"""A circuit breaker that tells one question's failure from the server's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.core.clock import Clock
from bot.core.domain import UserId

FAILURES_TO_OPEN: Final = 3
"""Failures in a row, of as many different questions in as many conversations, that open a circuit."""

PERSONS_TO_OPEN: Final = 2
"""Whose questions they are, at least: nobody can shut the model for all the others."""

TOGETHER_S: Final = 1.0
"""Failures within so many seconds are one: a model that crashes takes all its answers with it."""

FORGET_AFTER_S: Final = 120.0
"""Seconds after which a failure says nothing about the next one."""

FIRST_PAUSE_S: Final = 15.0
LONGEST_PAUSE_S: Final = 300.0
_MOST_CAUSES: Final = 16


@dataclass(frozen=True, slots=True)
class Cause:
    """Whose request failed, as far as a circuit must tell requests apart.

    Attributes:
        conversation: Key of the conversation.
        question: Stands for the words of its last turn.
        person_id: Whom it counts for.
    """

    conversation: str
    question: int
    person_id: UserId | None


class Circuit:
    """Stop asking what keeps failing; after a pause, let one trial through.

    What one question does to the server is its own matter, however often it is asked: only a
    failure that several different questions share opens the circuit.
    """

    def __init__(self, clock: Clock, first_pause_s: float = FIRST_PAUSE_S) -> None:
        """Start closed.

        Args:
            clock: Time.
            first_pause_s: Pause after the first opening, in seconds; each further one doubles it.
        """
        self.open_until_s: float | None = None
        """Monotonic time from which on a trial may go; ``None`` while closed."""
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._pause_s = first_pause_s
        self._trial = False
        self._causes: list[Cause] = []
        self._last_at_s = clock.monotonic()
        self._times = 0

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self.open_until_s is None:
            return "closed"
        return "open" if self._clock.monotonic() < self.open_until_s else "half-open"

    @property
    def allows(self) -> bool:
        """Whether a request may go: always when closed, one at a time when half-open."""
        return self.state == "closed" or (self.state == "half-open" and not self._trial)

    def begin(self) -> None:
        """Note that a request goes; when half-open, it is the trial."""
        self._trial = self.state == "half-open"

    def end(self) -> None:
        """Note that a request ended without a verdict, for example cancelled."""
        self._trial = False

    def succeed(self) -> None:
        """Close."""
        self._causes.clear()
        self._times = 0
        self._pause_s = self._first_pause_s
        self.open_until_s = None
        self._trial = False

    def fail(self, cause: Cause) -> None:
        """Count a failure; open when enough different questions share it, or on a failed trial.

        A trial of somebody who has failed before says nothing new: whoever opened the circuit can't
        keep it open for the others.
        """
        now_s = self._clock.monotonic()
        if now_s - self._last_at_s > FORGET_AFTER_S:
            self._causes.clear()
            self._times = 0
        if not self._times or now_s - self._last_at_s > TOGETHER_S:
            self._times += 1
            self._last_at_s = now_s
        is_known = cause.person_id in {each.person_id for each in self._causes}
        if cause not in self._causes:
            self._causes = [*self._causes[-_MOST_CAUSES:], cause]
        conversations = len({each.conversation for each in self._causes})
        questions = len({each.question for each in self._causes})
        persons = len({each.person_id for each in self._causes})
        is_shared = min(self._times, conversations, questions) >= FAILURES_TO_OPEN
        if self.open_until_s is None:
            is_proof = is_shared and persons >= PERSONS_TO_OPEN
        else:
            is_proof = self._trial and not is_known
        if is_proof:
            self.open()

    def open(self) -> None:
        """Open at once, for longer each time."""
        self._trial = False
        self.open_until_s = self._clock.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
