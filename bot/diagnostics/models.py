"""What the client sees of the server's models, judged for a bot that wants to chat."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.domain import ModelInfo
from bot.core.errors import BackendError
from bot.core.tasks import within
from bot.diagnostics.link import Link, failed
from bot.diagnostics.values import Finding, Limits, Status, Step, one_line
from bot.lmstudio import errors
from bot.lmstudio.catalogue import NAMES_ONLY, Catalogue, fetch_catalogue

_SMALL_CONTEXT_TOKENS = 4096


async def probe_models(
    link: Link, configured: str | None, limits: Limits
) -> tuple[Finding, Catalogue | None]:
    """Read the models as questions do, and judge them."""
    try:
        catalogue, offered = await within(link.clock, _listings(link), limits.models_s)
    except TimeoutError:
        return failed(Step.MODELS, errors.SilentServerError()), None
    except BackendError as exc:
        return failed(Step.MODELS, exc), None
    return judge(catalogue, offered, configured), catalogue


async def _listings(link: Link) -> tuple[Catalogue, Catalogue]:
    """Return the models, and those that may be asked for: with just-in-time loading, all."""
    catalogue = await fetch_catalogue(link.own)
    if not catalogue.tells_loaded:
        return catalogue, catalogue
    return catalogue, await fetch_catalogue(link.own, NAMES_ONLY)


def judge(catalogue: Catalogue, offered: Catalogue, configured: str | None) -> Finding:
    """Say what the listings mean.

    Args:
        catalogue: The models.
        offered: Those that may be asked for, by the list that has only names.
        configured: ``LMSTUDIO_MODEL``, if set.
    """
    chat = catalogue.models
    if not chat:
        return _nothing(catalogue)
    chosen = catalogue.find(configured)
    if configured is not None and chosen is None:
        return failed(Step.MODELS, errors.ModelNotFoundError(), "The configured model isn't there.")
    loaded = [model for model in chat if model.is_loaded]
    if configured is None and catalogue.tells_loaded and len(loaded) > 1:
        return Finding(
            Step.MODELS,
            Status.WARNING,
            "Several models are loaded, and none is chosen.",
            "Set LMSTUDIO_MODEL, or choose one with /model use.",
            technical=_names(loaded),
        )
    if chosen is None or not chosen.is_loaded:
        return _cold(offered.models if chosen is None else offered.find(chosen.key))
    return _judge_loaded(chosen, catalogue)


def _judge_loaded(model: ModelInfo, catalogue: Catalogue) -> Finding:
    details = [one_line(model.key)]
    if model.context_tokens:
        details.append(f"context {model.context_tokens} tokens")
    if model.parallel:
        details.append(f"{model.parallel} in parallel")
    technical = ", ".join(details)
    if model.context_tokens and model.context_tokens < _SMALL_CONTEXT_TOKENS:
        return Finding(
            Step.MODELS,
            Status.WARNING,
            "The model is loaded with a very small context, so it forgets quickly.",
            "Load it with a longer context, 8192 tokens or more.",
            technical=technical,
        )
    cause = "A model is loaded." if catalogue.tells_loaded else "There is a model."
    return Finding(Step.MODELS, Status.OK, cause, technical=technical)


def _cold(can_be_asked_for: object) -> Finding:
    if can_be_asked_for:
        return Finding(
            Step.MODELS,
            Status.WARNING,
            "The model isn't loaded; the first question loads it, which takes a while.",
            "Load it in LM Studio or with /model load, so that nobody has to wait.",
        )
    return failed(
        Step.MODELS,
        errors.NoModelError(),
        "No model is loaded, and just-in-time loading is off.",
    )


def _nothing(catalogue: Catalogue) -> Finding:
    cause, advice = "LM Studio has no model to offer.", "Download a model in LM Studio and load it."
    if catalogue.has_others:
        cause = "Only embedding models are there, and those can't chat."
        advice = "Download a chat model in LM Studio."
    return Finding(Step.MODELS, Status.FAILED, cause, advice)


def _names(models: Sequence[ModelInfo]) -> str:
    shown = ", ".join(one_line(model.key, 60) for model in models[:6])
    return shown if len(models) <= 6 else f"{shown} and {len(models) - 6} more"
