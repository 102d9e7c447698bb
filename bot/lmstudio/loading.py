"""Loading and unloading by LM Studio's native API; never a second copy of what is loaded.

``POST /api/v1/models/load`` isn't idempotent: for a loaded model it makes a second instance and
doubles the memory. So the list is read first, and one load of a model runs at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any, Final

from bot.core.clock import Clock, within
from bot.core.domain import ModelInfo
from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.nodes import Node

LOAD_LIMIT_S: Final = 600.0
"""Seconds; 70 GB from a slow disk."""

LOADING_LOOK_S: Final = 2.0
"""Seconds between looks at whether a model has been loaded."""

_UNLOAD_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to load a model; ``None`` leaves a choice to the server.

    Attributes:
        context_length: Tokens.
        eval_batch_size: Prompt tokens computed at once.
        flash_attention: Use it.
    """

    context_length: int | None = None
    eval_batch_size: int | None = None
    flash_attention: bool | None = None

    def fields(self) -> dict[str, Any]:
        """Return what the request should name."""
        named = {
            "context_length": self.context_length,
            "eval_batch_size": self.eval_batch_size,
            "flash_attention": self.flash_attention,
        }
        return {name: value for name, value in named.items() if value is not None}


async def load(node: Node, key: str, options: LoadOptions) -> ModelInfo:
    """Load a model unless it is loaded; with another context length, load it anew.

    Raises:
        BackendError: The server can't, doesn't know the model, or is too old for this.
    """
    await node.refresh()
    while (running := node.loading.get(key)) is not None:
        await running.wait()
        await node.refresh()
    info = node.model(key)
    if info is not None and info.is_loaded:
        wanted = options.context_length
        if wanted is None or wanted == info.context_tokens:
            return info
    end_loading = node.begin_loading(key)
    try:
        if info is not None and info.is_loaded:
            await _unload_instances(node, info)
        body = {"model": info.key if info is not None else key, **options.fields()}
        await _post(node, "/api/v1/models/load", body, LOAD_LIMIT_S)
        await node.refresh()
    finally:
        end_loading()
    node.learned(key).load.succeed()
    node.learned(key).context_tokens = None
    return node.model(key) or ModelInfo(key, is_loaded=True)


def look_while_asking(
    node: Node, model: str, clock: Clock, has_text: asyncio.Event
) -> asyncio.Task[None]:
    """Let one question load a model just by asking it; the others wait on ``node.loading``.

    Several cold requests at once would load several copies (lmstudio-bug-tracker #1751).

    Args:
        node: The server.
        model: Model key.
        clock: Time.
        has_text: Set once the model answers.

    Returns:
        A task that ends once the model is loaded. The others wait until then, or until it is
        cancelled, so its owner has to end it.
    """
    end_loading = node.begin_loading(model)
    looking = asyncio.create_task(_look_for_loaded(node, model, clock, has_text))
    looking.add_done_callback(lambda _: end_loading())
    return looking


async def _look_for_loaded(node: Node, model: str, clock: Clock, has_text: asyncio.Event) -> None:
    while not node.has_loaded(model) and not has_text.is_set():
        with contextlib.suppress(TimeoutError):
            await within(clock, wait_for(has_text), LOADING_LOOK_S)
        await node.refresh()


async def wait_for(event: asyncio.Event) -> None:
    """Wait until an event is set."""
    await event.wait()


async def unload(node: Node, key: str) -> None:
    """Unload every instance of a model.

    Raises:
        ModelNotFoundError: It isn't loaded there.
        BackendError: The server can't.
    """
    await node.refresh()
    info = node.model(key)
    if info is None or not info.is_loaded:
        raise errors.ModelNotFoundError
    await _unload_instances(node, info)
    await node.refresh()


async def _unload_instances(node: Node, info: ModelInfo) -> None:
    for instance in info.instance_ids:
        await _post(node, "/api/v1/models/unload", {"instance_id": instance}, _UNLOAD_LIMIT_S)


async def _post(node: Node, path: str, body: dict[str, Any], limit_s: float) -> None:
    data = json.dumps(body, allow_nan=False).encode("utf-8", "replace")
    try:
        await node.transport.fetch_json("POST", path, data, limit_s=limit_s)
    except errors.InvalidRequestError as exc:
        raise errors.LoadFailedError from exc
    except BackendError as exc:
        node.note_failure(exc)
        raise
