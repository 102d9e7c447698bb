"""What the client sees of the server's models, judged for a bot that wants to chat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

from bot.core.domain import ModelInfo
from bot.core.errors import BackendError
from bot.diagnostics.link import Way, failed
from bot.diagnostics.values import Fact, Finding, Status, Step, one_line
from bot.lmstudio import errors
from bot.lmstudio.catalogue import NAMES_ONLY, Catalogue, fetch_catalogue
from bot.lmstudio.memory import smaller
from bot.lmstudio.names import shown

_SMALL_CONTEXT_TOKENS = 4096


async def probe_models(way: Way) -> Finding:
    """Read the models as questions do, and judge them."""
    try:
        catalogue = offered = await fetch_catalogue(way.own)
        if catalogue.tells_loaded:
            offered = await fetch_catalogue(way.own, NAMES_ONLY)
    except BackendError as exc:
        return failed(Step.MODELS, exc)
    way.catalogue, way.info = catalogue, catalogue.find(way.target.model)
    return judge(catalogue, offered, way.target.model)


def judge(catalogue: Catalogue, offered: Catalogue, configured: str | None) -> Finding:
    """Say what the listings mean.

    Args:
        catalogue: The models.
        offered: Those that may be asked for, by the list that has only names: with just-in-time
            loading all, else the loaded ones.
        configured: ``LMSTUDIO_MODEL``, if set.
    """
    chat = catalogue.models
    if not chat:
        return _nothing(catalogue)
    chosen = catalogue.find(configured)
    if configured is not None and chosen is None:
        return _absent(configured, chat, catalogue.fitting(configured))
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


def _absent(configured: str, models: Sequence[ModelInfo], fitting: Sequence[ModelInfo]) -> Finding:
    """Say that a model isn't there, or several are that it may mean, and which one may be meant."""
    failure = errors.ModelNotFoundError()
    if fitting:
        cause = "Several models have nearly the name of the configured one."
        advice = "Set LMSTUDIO_MODEL to the whole name of one, or choose it with /model use."
        return replace(failed(Step.MODELS, failure, cause, advice), technical=_names(fitting))
    by_name = {model.key.lower().rpartition("/")[2]: model.key for model in models}
    wanted = configured.lower().rpartition("/")[2].partition("@")[0]
    holding = [name for name in by_name if wanted in name]
    near = get_close_matches(wanted, by_name, n=1, cutoff=0.7) or (
        holding if len(holding) == 1 else []
    )
    cause, advice = "The configured model isn't there.", ""
    if near:
        cause = "The configured model isn't there, but one of nearly that name is."
        advice = (
            f"Set LMSTUDIO_MODEL to `{one_line(by_name[near[0]])}`, or choose it with /model use."
        )
    there = f"{shown(configured)} is configured; there is {_names(models)}"
    return replace(failed(Step.MODELS, failure, cause, advice), technical=there)


def model_facts(model: ModelInfo) -> dict[str, Fact]:
    """Return what is known of a model, as far as the server says it."""
    known: dict[str, Fact | None] = {
        "context_tokens": model.context_tokens,
        "parallel": model.parallel,
        "vision": model.sees_images,
        "thinking": ", ".join(one_line(one, 12) for one in model.reasoning_options or ()) or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _judge_loaded(model: ModelInfo, catalogue: Catalogue) -> Finding:
    technical, facts = shown(model.key), model_facts(model)
    if model.context_tokens and model.context_tokens < _SMALL_CONTEXT_TOKENS:
        return Finding(
            Step.MODELS,
            Status.WARNING,
            "The model is loaded with a very small context, so it forgets quickly.",
            "Load it with a longer context, 8192 tokens or more.",
            technical=technical,
            facts=facts,
        )
    cause = "A model is loaded." if catalogue.tells_loaded else "There is a model."
    return Finding(Step.MODELS, Status.OK, cause, technical=technical, facts=facts)


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


def smaller_model(catalogue: Catalogue | None, model: ModelInfo | None) -> str:
    """Return the largest chat model that takes clearly less memory than another, if one is there."""
    if catalogue is None or model is None or not model.size_bytes:
        return ""
    best = next(iter(smaller(model, catalogue.models)), None)
    if best is None:
        return ""
    return f"`{one_line(best.key)}` ({(best.size_bytes or 0) / 1e9:.0f} GB)"


def with_smaller(finding: Finding, catalogue: Catalogue | None, model: ModelInfo | None) -> Finding:
    """Add to a finding about memory which model would take less of it."""
    name = smaller_model(catalogue, model)
    if not name:
        return finding
    return replace(finding, advice=f"Choose a smaller model with /model use, such as {name}.")


def _names(models: Sequence[ModelInfo]) -> str:
    listed = ", ".join(shown(model.key) for model in models[:6])
    return listed if len(models) <= 6 else f"{listed} and {len(models) - 6} more"
