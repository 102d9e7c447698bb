"""Whether a model fits the memory that the operator stated for a machine."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from bot.core.domain import ModelInfo

OVERHEAD: Final = 1.1
"""A model takes its file's size, and about a tenth for its context and buffers; a long context more."""

CLEARLY_LESS: Final = 0.8
"""A model of at most this part of another's size is offered in its place."""


class Fit(StrEnum):
    """How a model stands to a machine's memory."""

    UNKNOWN = "unknown"
    FITS = "fits"
    CROWDED = "crowded"
    """Only once others are unloaded."""
    TOO_LARGE = "too large"


def needed_bytes(model: ModelInfo) -> int | None:
    """Return about how much memory one copy takes; ``None`` where its size isn't known."""
    return None if not model.size_bytes else round(model.size_bytes * OVERHEAD)


def fit(model: ModelInfo, models: Sequence[ModelInfo], memory_bytes: int | None) -> Fit:
    """Judge one model.

    Args:
        model: Loaded or not.
        models: All models of its machine.
        memory_bytes: What the machine has for models; ``None`` where nobody said.
    """
    needed = needed_bytes(model)
    if model.is_loaded:
        return Fit.FITS
    if needed is None or memory_bytes is None:
        return Fit.UNKNOWN
    if needed > memory_bytes:
        return Fit.TOO_LARGE
    taken = sum((needed_bytes(each) or 0) * len(each.instance_ids) for each in models)
    return Fit.FITS if needed <= memory_bytes - taken else Fit.CROWDED


def smaller(
    model: ModelInfo, models: Sequence[ModelInfo], memory_bytes: int | None = None
) -> list[ModelInfo]:
    """Return the models that take clearly less memory than another and fit, the largest first."""
    most = (model.size_bytes or 0) * CLEARLY_LESS
    found = [
        each
        for each in models
        if each.size_bytes
        and each.size_bytes <= most
        and fit(each, models, memory_bytes) is not Fit.TOO_LARGE
    ]
    return sorted(found, key=lambda each: -(each.size_bytes or 0))
