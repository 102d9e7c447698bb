"""Loading and unloading by LM Studio's native API; never a second copy of what is loaded.

``POST /api/v1/models/load`` isn't idempotent: for a loaded model it makes a second instance and
doubles the memory. So the list is read first, and one load of a model runs at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from bot.core.clock import Clock, within
from bot.core.domain import LoadOptions, ModelInfo
from bot.core.errors import BackendError
from bot.lmstudio import errors
from bot.lmstudio.nodes import Node

LOAD_LIMIT_S: Final = 600.0
"""Seconds; 70 GB from a slow disk."""

LOADING_LOOK_S: Final = 2.0
"""Seconds between looks at whether a model has been loaded."""

_UNLOAD_LIMIT_S: Final = 60.0

LOST_LOOK_S: Final = 120.0
"""Seconds that a model is looked for whose load's answer was lost, or twice as long as it took last."""

_LOST: Final = (errors.DisconnectedError, errors.TruncatedStreamError, errors.SilentServerError)
"""The server may have the request, and be loading."""


def is_as_wanted(info: ModelInfo, options: LoadOptions) -> bool:
    """Return whether a loaded model has every option that is named, as far as its server says."""
    loaded, learned = asdict(info.loaded_as), info.context_tokens
    if options.context_length is not None and loaded["context_length"] is None:
        loaded["context_length"] = learned
    return all(loaded[name] in {None, value} for name, value in _chosen(options).items())


def _chosen(options: LoadOptions) -> dict[str, object]:
    return {name: value for name, value in asdict(options).items() if value is not None}


async def load(node: Node, key: str, options: LoadOptions, clock: Clock) -> ModelInfo:
    """Load a model unless it is loaded; with other options than it has, load it anew.

    Where somebody else loaded a copy meanwhile that will do, ours is taken out again.

    Args:
        node: The server.
        key: Model key.
        options: How.
        clock: Time.

    Raises:
        OptionRefusedError: The server doesn't know one of the options.
        BackendError: The server can't, doesn't know the model, or is too old for this.
    """
    await _look(node)
    while (running := node.loading.get(key)) is not None:
        await running.wait()
        await _look(node)
    info = node.model(key)
    if info is not None and info.is_loaded and is_as_wanted(info, options):
        return info
    with node.while_loading(key):
        if info is not None and info.is_loaded:
            await _unload_instances(node, info.instance_ids)
        made = await _made(node, info.key if info is not None else key, options, clock)
        await _drop_second(node, key, made, options)
    node.learned(key).load.succeed()
    node.learned(key).context_tokens = None
    return node.model(key) or ModelInfo(key, is_loaded=True)


async def _look(node: Node) -> None:
    """Read the list of models again, which is old where the server doesn't answer.

    Raises:
        BackendUnavailableError: It doesn't.
    """
    if not await node.refresh():
        raise node.failure or errors.BackendUnavailableError


async def _made(node: Node, key: str, options: LoadOptions, clock: Clock) -> str:
    """Have one more copy of a model loaded; return its name, as far as the server says it.

    Loading goes on at a server whose connection broke, and a second request would make a second copy.
    So where the answer is lost, the copy is looked for in the list instead.
    """
    before = _instances(node, key)
    body = {"model": key, **_chosen(options)}
    try:
        made = await _post(node, "/api/v1/models/load", body, LOAD_LIMIT_S)
    except _LOST:
        until_s = clock.monotonic() + max(LOST_LOOK_S, 2 * (node.learned(key).load_s or 0.0))
        while not (new := [one for one in _instances(node, key) if one not in before]):
            if clock.monotonic() >= until_s:
                raise
            await clock.sleep(LOADING_LOOK_S)
            await node.refresh()
        return new[0]
    await node.refresh()
    name = made.get("instance_id") if isinstance(made, dict) else None
    return name if isinstance(name, str) else ""


def _instances(node: Node, key: str) -> tuple[str, ...]:
    info = node.model(key)
    return () if info is None else info.instance_ids


async def _drop_second(node: Node, key: str, name: str, options: LoadOptions) -> None:
    """Take out the copy that was just made, where another came into memory at the same time."""
    info = node.model(key)
    if info is None or len(info.instance_ids) < 2 or name not in info.instance_ids:
        return
    if name != info.instance_ids[0] and is_as_wanted(info, options):
        await unload_copy(node, name)


async def load_copy(node: Node, info: ModelInfo, clock: Clock) -> str:
    """Load one more copy of a loaded model, as it is loaded; return the copy's name.

    Raises:
        BackendError: The server can't.
    """
    return await _made(node, info.key, info.loaded_as, clock)


async def unload_copy(node: Node, name: str) -> None:
    """Unload one copy of a model.

    Raises:
        BackendError: The server can't.
    """
    await _unload_instances(node, (name,))


def look_while_asking(
    node: Node,
    model: str,
    clock: Clock,
    has_text: asyncio.Event,
    end_loading: Callable[[], None],
) -> asyncio.Task[None]:
    """Let one question load a model just by asking it; the others wait on ``node.loading``.

    Several cold requests at once would load several copies (lmstudio-bug-tracker #1751).

    Args:
        node: The server.
        model: Model key.
        clock: Time.
        has_text: Set once the model answers.
        end_loading: To be called then: it lets the others go on.

    Returns:
        A task that ends once the model is loaded; its owner has to end it.
    """

    async def look() -> None:
        while not node.has_loaded(model) and not has_text.is_set():
            with contextlib.suppress(TimeoutError):
                await within(clock, has_text.wait(), LOADING_LOOK_S)
            await node.refresh()
        end_loading()

    return asyncio.create_task(look())


async def unload(node: Node, key: str) -> None:
    """Unload every instance of a model.

    Raises:
        NothingToUnloadError: It isn't loaded there.
        BackendError: The server can't.
    """
    await node.refresh()
    info = node.model(key)
    if info is None or not info.is_loaded:
        raise errors.NothingToUnloadError
    await _unload_instances(node, info.instance_ids)


async def _unload_instances(node: Node, names: Sequence[str]) -> None:
    for name in names:
        await _post(node, "/api/v1/models/unload", {"instance_id": name}, _UNLOAD_LIMIT_S)
    await node.refresh()


async def _post(node: Node, path: str, body: dict[str, Any], limit_s: float) -> object:
    data = json.dumps(body, allow_nan=False).encode("utf-8", "replace")
    try:
        return await node.transport.fetch_json("POST", path, data, limit_s=limit_s)
    except errors.InvalidRequestError as exc:
        if named := tuple(name for name in exc.fields if name in body and name != "model"):
            raise errors.OptionRefusedError(named) from exc
        raise errors.LoadFailedError from exc
    except BackendError as exc:
        node.note_failure(exc)
        raise
