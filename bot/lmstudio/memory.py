"""Whether a model fits the memory that the operator stated for a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from bot.core.domain import ModelInfo
from bot.lmstudio import names

OVERHEAD: Final = 1.1
"""A model takes its file's size, and about a tenth for its context and buffers; a long context more."""

CLEARLY_LESS: Final = 0.8
"""A model of at most this part of another's size is offered in its place."""

_BITS: Final = re.compile(r"\d{1,2}")
"""Of a weight: the first number in ``q4_k_m``, ``iq3_xs``, ``8bit``, ``bf16``."""


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
    """Return what takes clearly less memory than a model and fits, the largest first.

    That is other models, and this one in fewer bits, as far as its machine has these.
    """
    most = (model.size_bytes or 0) * CLEARLY_LESS
    found = [
        each
        for each in (*models, *variants(model))
        if each.size_bytes
        and each.size_bytes <= most
        and fit(each, models, memory_bytes) is not Fit.TOO_LARGE
    ]
    return sorted(found, key=lambda each: -(each.size_bytes or 0))


def variants(model: ModelInfo) -> Iterator[ModelInfo]:
    """Yield a model's other quantisations, whose size, which no server says, goes by their bits."""
    bits = _bits(names.quantisation(model.selected_variant) or model.quantisation or "")
    for name in model.variants:
        kind = names.quantisation(name)
        if bits and name != model.selected_variant and (of_it := _bits(kind)):
            size = round((model.size_bytes or 0) * of_it / bits)
            yield ModelInfo(name, is_loaded=False, quantisation=kind.upper(), size_bytes=size)


def _bits(quantisation: str) -> int:
    found = _BITS.search(quantisation)
    return int(found[0]) if found is not None else 0
