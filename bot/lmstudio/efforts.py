"""How much a model may think: from the setting to what this model's own options make of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from bot.core.domain import Reasoning

_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh")
_NONE: Final = "none"
_ON: Final = "medium"
"""What switches thinking on where a model only knows on and off (lmstudio-bug-tracker #2057)."""

_OFF_OPTIONS: Final = frozenset({"off", "none"})


def fitting(effort: str | None, options: Collection[str]) -> str | None:
    """Return the ``reasoning_effort`` to send to a model; ``None`` leaves it out.

    Args:
        effort: What was asked for, as on the wire.
        options: What the model's listing offers; empty when it doesn't say.
    """
    if effort is None or not options or effort in options:
        return effort
    if effort == _NONE:
        return _NONE if _OFF_OPTIONS & set(options) else None
    levels = [level for level in _LEVELS if level in options]
    if levels:
        wanted = _LEVELS.index(effort)
        return min(levels, key=lambda level: abs(_LEVELS.index(level) - wanted))
    return _ON if "on" in options else None


def offered(options: Collection[str]) -> list[str]:
    """Return the values of the setting that mean something to a model, ``auto`` first."""
    if not options:
        return [value.value for value in Reasoning]
    known = [Reasoning.AUTO.value]
    if _OFF_OPTIONS & set(options):
        known.append(Reasoning.OFF.value)
    named = (Reasoning.ON, Reasoning.LOW, Reasoning.MEDIUM, Reasoning.HIGH)
    return known + [value.value for value in named if value.value in options]
