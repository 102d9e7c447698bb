"""What LM Studio has: downloaded, loaded, with which context and how many slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.diagnostics.link import Fetched, Link, LinkError
from bot.diagnostics.server import broken
from bot.diagnostics.values import Finding, Limits, Status, Step, one_line

_SMALL_CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Seen:
    """One model as a listing shows it.

    Attributes:
        loaded: In memory; ``None`` where the listing doesn't say.
        context_tokens: Loaded context length, if known.
        parallel: Slots, if known.
        instances: Names under which it is loaded.
    """

    key: str
    is_chat: bool
    loaded: bool | None
    context_tokens: int | None = None
    parallel: int | None = None
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything known about the server's models.

    Attributes:
        offered: Names at ``/v1/models``: all with just-in-time loading, else the loaded ones.
        technical: Size and time of the largest listing.
    """

    models: tuple[Seen, ...]
    offered: tuple[str, ...] | None
    technical: str = ""

    def usable(self, configured: str | None) -> str | None:
        """Return the model that a completion may be tried on without loading one."""
        for model in self.models:
            names = (model.key, *model.instances)
            wanted = configured is None or configured in names
            if model.is_chat and wanted and model.loaded is not False:
                return configured or (model.instances[0] if model.instances else model.key)
        return None


async def probe_models(
    link: Link, configured: str | None, limits: Limits
) -> tuple[Finding, Inventory | None]:
    """Read the listings, the newest kind that the server has, and judge them."""
    share_s = limits.models_s / 3
    try:
        native = await link.get("/api/v1/models", limit_s=share_s, authorised=True)
        models = read_native(native)
        if models is None:
            older = await link.get("/api/v0/models", limit_s=share_s, authorised=True)
            models = read_v0(older)
        plain = await link.get("/v1/models", limit_s=share_s, authorised=True)
    except LinkError as exc:
        return broken(Step.MODELS, exc), None
    offered = read_names(plain)
    if models is None:
        if offered is None:
            cause = "The server's list of models can't be understood."
            advice = "Update LM Studio, and check that the address is really its own."
            return Finding(Step.MODELS, Status.FAILED, cause, advice), None
        models = tuple(Seen(name, "embed" not in name.lower(), loaded=None) for name in offered)
    largest = max((native, plain), key=lambda one: len(one.body))
    size = f"list of {len(largest.body)} bytes in {largest.duration_s * 1000:.0f} ms"
    inventory = Inventory(models, offered, size)
    return judge(inventory, configured), inventory


def _rows(fetched: Fetched, name: str) -> list[dict[str, Any]] | None:
    body = fetched.json
    rows = body.get(name) if isinstance(body, dict) and fetched.status == 200 else None
    if not isinstance(rows, list):
        return None
    return [row for row in rows[:1000] if isinstance(row, dict)]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def read_native(fetched: Fetched) -> tuple[Seen, ...] | None:
    """Read ``/api/v1/models`` (LM Studio 0.4); ``None`` if that isn't what it is."""
    rows = _rows(fetched, "models")
    return None if rows is None else tuple(_native(row) for row in rows)


def _native(row: dict[str, Any]) -> Seen:
    found = row.get("loaded_instances")
    instances = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    config = instances[0].get("config") if instances else None
    config = config if isinstance(config, dict) else {}
    return Seen(
        str(row.get("key", "")),
        row.get("type") == "llm",
        bool(instances),
        _count(config.get("context_length")),
        _count(config.get("parallel")),
        tuple(str(one.get("id", "")) for one in instances),
    )


def read_v0(fetched: Fetched) -> tuple[Seen, ...] | None:
    """Read ``/api/v0/models`` (LM Studio 0.3.6); ``None`` if that isn't what it is."""
    rows = _rows(fetched, "data")
    if rows is None or any("state" not in row for row in rows):
        return None
    return tuple(
        Seen(
            str(row.get("id", "")),
            row.get("type") in {"llm", "vlm"},
            row.get("state") == "loaded",
            _count(row.get("loaded_context_length")),
        )
        for row in rows
    )


def read_names(fetched: Fetched) -> tuple[str, ...] | None:
    """Read ``/v1/models``; ``None`` if that isn't what it is."""
    rows = _rows(fetched, "data")
    return None if rows is None else tuple(str(row.get("id", "")) for row in rows)


def judge(inventory: Inventory, configured: str | None) -> Finding:
    """Say what the listings mean for a bot that wants to chat.

    Args:
        inventory: What was read.
        configured: ``LMSTUDIO_MODEL``, if set.
    """
    chat = [model for model in inventory.models if model.is_chat]
    if not inventory.models:
        return _nothing(inventory)
    if not chat:
        return _failed(
            "Only embedding models are there, and those can't chat.",
            "Download a chat model in LM Studio.",
            inventory,
        )
    if configured is not None:
        chosen = [one for one in chat if configured in (one.key, *one.instances)]
        if not chosen:
            return _missing(inventory, configured)
        return _judge_chosen(chosen[0], inventory)
    loaded = [model for model in chat if model.loaded is not False]
    if not loaded:
        return _cold(inventory)
    if len(loaded) > 1 and all(model.loaded for model in loaded):
        return Finding(
            Step.MODELS,
            Status.WARNING,
            "Several models are loaded, and none is chosen.",
            "Set LMSTUDIO_MODEL, or choose one with /model use.",
            technical=_names(loaded),
        )
    return _judge_chosen(loaded[0], inventory)


def _judge_chosen(model: Seen, inventory: Inventory) -> Finding:
    if model.loaded is False:
        return _cold(inventory)
    details = [one_line(model.key)]
    if model.context_tokens:
        details.append(f"context {model.context_tokens} tokens")
    if model.parallel:
        details.append(f"{model.parallel} in parallel")
    technical = ", ".join([*details, inventory.technical])
    if model.context_tokens and model.context_tokens < _SMALL_CONTEXT_TOKENS:
        return Finding(
            Step.MODELS,
            Status.WARNING,
            "The model is loaded with a very small context, so it forgets quickly.",
            "Load it with a longer context, 8192 tokens or more.",
            technical=technical,
        )
    cause = "A model is loaded." if model.loaded else "There is a model."
    return Finding(Step.MODELS, Status.OK, cause, technical=technical)


def _cold(inventory: Inventory) -> Finding:
    technical = inventory.technical
    if inventory.offered:
        return Finding(
            Step.MODELS,
            Status.WARNING,
            "The model isn't loaded; the first question loads it, which takes a while.",
            "Load it in LM Studio or with /model load, so that nobody has to wait.",
            technical=technical,
        )
    return _failed(
        "No model is loaded, and just-in-time loading is off.",
        "Load a model in LM Studio or with /model load, or switch on “Just in Time Model Loading”.",
        inventory,
    )


def _nothing(inventory: Inventory) -> Finding:
    return _failed(
        "LM Studio has no model to offer.",
        "Download a model in LM Studio and load it.",
        inventory,
    )


def _missing(inventory: Inventory, configured: str) -> Finding:
    return Finding(
        Step.MODELS,
        Status.FAILED,
        "The configured model isn't there.",
        "See /model list and set LMSTUDIO_MODEL to one of those, or download it.",
        technical=f"{one_line(configured)} not among: {_names(inventory.models)}",
    )


def _failed(cause: str, advice: str, inventory: Inventory) -> Finding:
    return Finding(Step.MODELS, Status.FAILED, cause, advice, technical=inventory.technical)


def _names(models: Sequence[Seen]) -> str:
    shown = ", ".join(one_line(model.key, 60) for model in models[:6])
    return shown if len(models) <= 6 else f"{shown} and {len(models) - 6} more"
