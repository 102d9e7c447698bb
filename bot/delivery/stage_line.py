"""What is shown while there is no text yet: the stage line and its timing."""

from __future__ import annotations

from typing import assert_never

from bot.core.domain import Stage, StageKind
from bot.core.notices import STAGE_PREFIX
from bot.core.wording import counted

_FIRST_UPDATE_S = 5.0
_LATER_UPDATE_S = 10.0
_LONG_WAIT_S = 40.0
_LEAST_EXPECTED_S = 2.0
"""What takes less is over before it is read."""

_RECHECK_S = 1.0
"""How often a line that is due but unchanged is looked at again."""

_QUIET_STAGES = frozenset({StageKind.QUEUED, StageKind.HELD, StageKind.WAKING})
"""Nothing is being worked on: the stage line says so, the typing indicator would lie."""


def stage_line(stage: Stage, elapsed_s: float) -> str:
    """Return the stage in words, as one line of small text.

    Args:
        stage: What the question waits for.
        elapsed_s: Seconds since this stage began.
    """
    return STAGE_PREFIX + _words(stage, max(0.0, elapsed_s))


def update_interval_s(elapsed_s: float) -> float:
    """Return the least time between two updates of a line that has been shown for a while.

    Args:
        elapsed_s: Seconds since the question was accepted.
    """
    return _FIRST_UPDATE_S if elapsed_s < _LONG_WAIT_S else _LATER_UPDATE_S


def ordinal(number: int) -> str:
    """Return an English ordinal: 1st, 2nd, 3rd, 4th, 11th, 22nd."""
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8 s``, ``20 s``, ``3 min``; long ones rounded."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    return f"{round(seconds / 60)} min"


def _words(stage: Stage, elapsed_s: float) -> str:
    match stage.kind:
        case StageKind.QUEUED:
            return _queued(stage)
        case StageKind.HELD:
            limit = ""
            if stage.expected_wait_s:
                limit = f" (for up to {duration(stage.expected_wait_s)})"
            return (
                "The model's machine doesn't answer. "
                f"I keep the question and answer when it's back{limit}."
            )
        case StageKind.WAKING:
            return "Waking the model's machine" + _of_all(elapsed_s, stage.expected_wait_s)
        case StageKind.CONNECTING:
            return "Reaching the model's machine…"
        case StageKind.LOADING:
            return "Loading the model" + _of_all(elapsed_s, stage.expected_wait_s)
        case StageKind.READING:
            return _reading(stage, elapsed_s)
        case StageKind.THINKING:
            return f"Thinking…{_since(elapsed_s)}"
        case StageKind.RETRYING:
            return "Asking the model again…"
        case _:
            assert_never(stage.kind)


def _queued(stage: Stage) -> str:
    if stage.position is None:
        place = "In line"
    elif stage.position <= 1:
        place = "Next in line"
    else:
        place = f"In line ({ordinal(stage.position)})"
    return place + _about(stage.expected_wait_s)


def _reading(stage: Stage, elapsed_s: float) -> str:
    what = "Reading" if stage.tokens is None else f"Reading {counted(stage.tokens, 'token')}"
    return what + _of_all(elapsed_s, stage.expected_wait_s)


def _of_all(elapsed_s: float, expected_s: float | None) -> str:
    """Return how far something is that should take so long, where that is known."""
    if expected_s is None or expected_s < _LEAST_EXPECTED_S:
        return f"…{_since(elapsed_s)}"
    if elapsed_s > expected_s:
        return f"… {int(elapsed_s)} s, longer than the {duration(expected_s)} I expected"
    return f", about {duration(expected_s)}…{_since(elapsed_s)}"


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)}"


def _since(elapsed_s: float) -> str:
    return "" if elapsed_s < 2 else f" {int(elapsed_s)} s"


class StageClock:
    """The current stage, and when its line may be written next.

    Args:
        began_s: When the waiting began, in seconds of the monotonic clock.
        after_s: How long the first word may take before there is a line, in seconds.
    """

    def __init__(self, began_s: float, after_s: float) -> None:
        self._began_s = began_s
        self.stage: Stage | None = None
        """What the question waits for; ``None`` before it is known."""
        self._since_s = began_s
        self._due_s = began_s + after_s

    @property
    def is_working(self) -> bool:
        """Whether something is being done, rather than waited for in line."""
        return self.stage is None or self.stage.kind not in _QUIET_STAGES

    def note(self, stage: Stage, now_s: float) -> None:
        """Take in a stage; the same kind again goes on counting its seconds."""
        if self.stage is None or self.stage.kind is not stage.kind:
            self._since_s = now_s
        self.stage = stage

    def line(self, now_s: float) -> str | None:
        """Return the line if one is due."""
        if self.stage is None or now_s < self._due_s:
            return None
        return stage_line(self.stage, now_s - self._since_s)

    def written(self, now_s: float) -> None:
        """Note that the line was written, or tried."""
        self._due_s = now_s + update_interval_s(now_s - self._began_s)

    def due_in(self, now_s: float) -> float:
        """Return the seconds until looking again makes sense; always more than 0."""
        delay_s = self._due_s - now_s
        return delay_s if delay_s > 0 else _RECHECK_S
