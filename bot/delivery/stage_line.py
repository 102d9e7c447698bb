"""The line that says what a question waits for, until the first word of its answer."""

from __future__ import annotations

from typing import assert_never

from bot.core.counted import counted
from bot.core.domain import Stage, StageKind
from bot.core.notices import STAGE_PREFIX

_FIRST_UPDATE_S = 5.0
_LATER_UPDATE_S = 10.0
_LONG_WAIT_S = 40.0


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
        case StageKind.CONNECTING:
            return "Reaching the model's machine…"
        case StageKind.LOADING:
            return f"Loading the model…{_since(elapsed_s)}"
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
    if stage.tokens is None:
        return f"Reading…{_since(elapsed_s)}"
    return f"Reading {counted(stage.tokens, 'token')}…{_since(elapsed_s)}"


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)}"


def _since(elapsed_s: float) -> str:
    return "" if elapsed_s < 2 else f" {int(elapsed_s)} s"
