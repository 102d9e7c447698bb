"""What fits into a machine's memory, and what is offered where something doesn't."""

from __future__ import annotations

import pytest

from bot.core.domain import ModelInfo
from bot.lmstudio.memory import Fit, fit, smaller

GIB = 2**30


def model(key: str, gib: float | None, *, copies: int = 0) -> ModelInfo:
    """Return a model whose file has this size."""
    return ModelInfo(
        key,
        is_loaded=bool(copies),
        size_bytes=None if gib is None else round(gib * GIB),
        instance_ids=tuple(f"{key}:{number}" for number in range(copies)),
    )


@pytest.mark.parametrize(
    ("size", "loaded", "copies", "memory", "expected"),
    [
        (10, 10, 0, 16, Fit.FITS),
        (10, 10, 1, 16, Fit.CROWDED),
        (10, 2, 3, 16, Fit.CROWDED),
        (10, 2, 1, 16, Fit.FITS),
        (15, 1, 0, 16, Fit.TOO_LARGE),
        (10, 1, 0, None, Fit.UNKNOWN),
        (None, 1, 0, 16, Fit.UNKNOWN),
    ],
)
def test_a_model_fits_beside_what_is_loaded_or_once_that_is_gone_or_never(
    size: float | None, loaded: float, copies: int, memory: int | None, expected: Fit
) -> None:
    wanted, other = model("wanted", size), model("other", loaded, copies=copies)
    assert fit(wanted, [wanted, other], memory and memory * GIB) is expected
    assert fit(model("in use", 99, copies=1), [], GIB) is Fit.FITS


def test_smaller_models_that_fit_are_offered_the_largest_first() -> None:
    sizes = {"big": 60, "nearly": 55, "half": 30, "small": 4, "unknown": None}
    models = [model(key, gib) for key, gib in sizes.items()]
    assert [each.key for each in smaller(models[0], models)] == ["half", "small"]
    assert [each.key for each in smaller(models[0], models, 16 * GIB)] == ["small"]
