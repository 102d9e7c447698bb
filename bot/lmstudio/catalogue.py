"""What a server says of its models: native list first, older ones where it doesn't know that.

``/api/v1/models`` (LM Studio 0.4) tells instances, context, parallel predictions, vision and
reasoning options; ``/api/v0/models`` (0.3.6) less; ``/v1/models`` only names, with the context at
llama.cpp's server and vLLM. A missing route is
answered with 200 and a text, or 404; a refused token is never a reason to try the next list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from bot.core.domain import LoadOptions, ModelInfo
from bot.core.errors import BackendError
from bot.lmstudio import errors, names
from bot.lmstudio.transport import Transport

_MAX_MODELS: Final = 500
_MAX_INSTANCES: Final = 16
_MAX_TEXTS: Final = 16
_MAX_KEY_CHARS: Final = 300
_MAX_WORD_CHARS: Final = 24
_WORD: Final = re.compile(r"\w[\w.+ -]*", re.ASCII)
_LIMIT_S: Final = 5.0
_SLOTS_LIMIT_S: Final = 2.0
_MAX_PARALLEL: Final = 1024

LLAMA_PARALLEL: Final = 4
"""Slots of llama.cpp's server where it tells nothing of them (its own default)."""

VLLM_PARALLEL: Final = 8
"""Predictions at once for vLLM, which batches as many as its memory holds and doesn't say."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A loaded copy of a model.

    Attributes:
        id: What a request names to reach exactly this copy.
        key: The model.
        context_tokens: Tokens that one prediction may have, where known.
        parallel: Concurrent predictions; 1 where not said.
        pool_tokens: Tokens that all its predictions share, where known.
    """

    id: str
    key: str
    context_tokens: int | None
    parallel: int
    pool_tokens: int | None


@dataclass(frozen=True)
class Catalogue:
    """The chat models of one server.

    Attributes:
        source: Index into the routes: which list the server knows.
        models: Chat models, loaded ones first.
        instances: Loaded copies.
        has_others: Models that can't chat are listed too.
        tells_work: The server says which of its slots are at work (llama.cpp).
        takes_any_name: It has one model, which answers whatever name a request has.
    """

    source: int
    models: tuple[ModelInfo, ...]
    instances: tuple[Instance, ...] = ()
    has_others: bool = False
    tells_work: bool = False
    takes_any_name: bool = False

    @property
    def tells_loaded(self) -> bool:
        """Whether the server says which models are loaded (``/v1/models`` doesn't)."""
        return self.source < NAMES_ONLY

    @property
    def is_native(self) -> bool:
        """Whether the server has the native API (LM Studio 0.4), which loads models."""
        return self.source == 0

    @cached_property
    def by_name(self) -> dict[str | None, ModelInfo]:
        """The models by key and instance id; by ``None`` the first loaded one, or the only one there is."""
        found: dict[str | None, ModelInfo] = {}
        for model in reversed(self.models):
            found.update(dict.fromkeys((model.key, *model.instance_ids), model))
        loaded = [model for model in self.models if model.is_loaded]
        if loaded or len(self.models) == 1:
            found[None] = (*loaded, *self.models)[0]
        return found

    def find(self, name: str | None) -> ModelInfo | None:
        """Return the one model that a name means; where it fits several, the only loaded one of these."""
        if name is None or name in self.by_name:
            return self.by_name.get(name)
        fitting = self.fitting(name)
        in_memory = [model for model in fitting if model.is_loaded]
        return next((few[0] for few in (fitting, in_memory) if len(few) == 1), None)

    def fitting(self, name: str) -> list[ModelInfo]:
        """Return the models that a key, an instance id or a name like these may mean."""
        if name in self.by_name:
            return [self.by_name[name]]
        keys = names.meant(name, [model.key for model in self.models])
        if not keys and self.takes_any_name:
            return list(self.models)
        return [model for model in self.models if model.key in keys]


def name_to_send(info: ModelInfo, asked: str | None, copy_id: str | None) -> str:
    """Return the name by which a request reaches a listed model.

    Where the server doesn't say which quantisations there are, the one asked for is named as it is.

    Args:
        info: The model.
        asked: The name that was chosen, which may mean one copy or quantisation.
        copy_id: The loaded copy to use otherwise.
    """
    if asked is not None and asked in info.instance_ids:
        return asked
    return (asked and _variant(info, asked)) or copy_id or info.key


def _variant(info: ModelInfo, asked: str) -> str:
    """Return the name of the quantisation that a name asks for; empty where there is none of it."""
    wanted = names.quantisation(asked)
    if not wanted or wanted == names.quantisation(info.key):
        return ""
    if not info.variants:
        return f"{info.key.partition('@')[0]}@{wanted}"
    return next((one for one in info.variants if names.quantisation(one) == wanted), "")


async def fetch_catalogue(transport: Transport, first_source: int = 0) -> Catalogue:
    """Ask a server for its models.

    Args:
        transport: The server.
        first_source: The list that it knew the last time.

    Raises:
        BackendError: It can't be reached, refuses the token, or knows none of the lists.
    """
    for source in range(first_source, len(ROUTES)):
        try:
            body = await transport.fetch_json("GET", ROUTES[source][0], limit_s=_LIMIT_S)
            catalogue = read_catalogue(source, body)
            is_llama = source == NAMES_ONLY and _is_llama(body)
            return await _with_slots(transport, catalogue) if is_llama else catalogue
        except (errors.WrongEndpointError, errors.BadResponseError):
            if source == NAMES_ONLY:
                raise
    raise errors.WrongEndpointError


def _is_llama(body: object) -> bool:
    """Whether a list of models is one of llama.cpp's server."""
    entries = body.get("data") if isinstance(body, dict) else None
    return isinstance(entries, list) and any(
        isinstance(entry, dict) and (entry.get("owned_by") == "llamacpp" or "meta" in entry)
        for entry in entries
    )


async def _with_slots(transport: Transport, catalogue: Catalogue) -> Catalogue:
    """Add what llama.cpp's server tells of its slots: how many, and the context of each.

    With one model it answers whatever name a request has. ``/props`` has ``total_slots``; ``/slots``,
    which may be switched off, lists them. Either may be kept from us or be late, as the engine itself
    answers it: the models are known all the same.
    """
    props = _object(await _fetched(transport, "/props"))
    parallel = _tokens(props.get("total_slots"))
    context = _tokens(_object(props.get("default_generation_settings")).get("n_ctx"))
    if parallel is None or context is None:
        slots = await _fetched(transport, "/slots")
        listed = [_object(slot) for slot in slots] if isinstance(slots, list) else []
        parallel = parallel or len(listed) or LLAMA_PARALLEL
        context = context or (_tokens(listed[0].get("n_ctx")) if listed else None)
    sees = _object(props.get("modalities")).get("vision")
    parallel = min(parallel, _MAX_PARALLEL)
    return replace(
        catalogue,
        tells_work=True,
        takes_any_name=len(catalogue.models) == 1,
        models=tuple(
            replace(
                model,
                context_tokens=context or model.context_tokens,
                parallel=parallel,
                sees_images=_flag(sees),
            )
            for model in catalogue.models
        ),
        instances=tuple(
            replace(
                one,
                parallel=parallel,
                context_tokens=context or one.context_tokens,
                pool_tokens=context or one.pool_tokens,
            )
            for one in catalogue.instances
        ),
    )


async def works_now(transport: Transport) -> bool:
    """Return whether any slot of llama.cpp's server is at work; False where it doesn't say."""
    slots = await _fetched(transport, "/slots")
    listed = slots if isinstance(slots, list) else []
    return any(_object(slot).get("is_processing") is True for slot in listed)


async def _fetched(transport: Transport, path: str) -> object:
    try:
        return await transport.fetch_json("GET", path, limit_s=_SLOTS_LIMIT_S)
    except BackendError:
        return None


def read_catalogue(source: int, body: object) -> Catalogue:
    """Read one list of models.

    Args:
        source: Index into the routes: which list it is.
        body: Parsed JSON, of any form.

    Raises:
        BadResponseError: It isn't a list of models.
    """
    _, field, parse = ROUTES[source]
    listing = _object(body)
    entries = listing.get(field)
    if entries is None and listing.get("object") == "list":  # Ollama without a model
        entries = []
    if not isinstance(entries, list):
        raise errors.BadResponseError("not a list of models")
    found = [parse(entry) for entry in entries[:_MAX_MODELS] if isinstance(entry, dict)]
    known = [entry for entry in found if entry is not None]
    models = sorted((model for model, _ in known), key=lambda model: not model.is_loaded)
    instances = tuple(instance for _, copies in known for instance in copies)
    return Catalogue(source, tuple(models), instances, len(known) < len(found))


_Parsed = tuple[ModelInfo, tuple[Instance, ...]]


def _native(entry: dict[str, Any]) -> _Parsed | None:
    key = _name(entry.get("key"))
    if key is None or entry.get("type") == "embedding":
        return None
    listed = entry.get("loaded_instances")
    copies = list(map(_object, listed))[:_MAX_INSTANCES] if isinstance(listed, list) else []
    instances = tuple(one for copy in copies if (one := _instance(key, copy)) is not None)
    capabilities = _object(entry.get("capabilities"))
    options = _object(capabilities.get("reasoning")).get("allowed_options")
    first = next((copy for copy in copies if copy.get("id")), {})
    model = ModelInfo(
        key=key,
        is_loaded=bool(instances),
        context_tokens=instances[0].context_tokens if instances else None,
        max_context_tokens=_tokens(entry.get("max_context_length")),
        parallel=instances[0].parallel if instances else None,
        sees_images=_flag(capabilities.get("vision")),
        reasoning_options=_words(options) if isinstance(options, list) else None,
        instance_ids=tuple(instance.id for instance in instances),
        size_bytes=natural(entry.get("size_bytes")),
        variants=_texts(entry.get("variants")),
        selected_variant=_name(entry.get("selected_variant")) or "",
        uses_tools=_flag(capabilities.get("trained_for_tool_use")),
        quantisation=_word(_object(entry.get("quantization")).get("name")),
        parameters=_word(entry.get("params_string")),
        loaded_as=_load_options(_object(first.get("config"))),
    )
    return model, instances


def _load_options(config: dict[str, Any]) -> LoadOptions:
    return LoadOptions(
        context_length=_tokens(config.get("context_length")),
        eval_batch_size=_tokens(config.get("eval_batch_size")),
        flash_attention=_flag(config.get("flash_attention")),
        parallel=_tokens(config.get("parallel")),
        offload_kv_cache_to_gpu=_flag(config.get("offload_kv_cache_to_gpu")),
    )


def _instance(key: str, copy: dict[str, Any]) -> Instance | None:
    name = _name(copy.get("id"))
    if name is None:
        return None
    config = _object(copy.get("config"))
    parallel = _tokens(config.get("parallel"))
    context = _tokens(config.get("context_length"))
    return Instance(name, key, context, min(parallel or 1, _MAX_PARALLEL), context)


def _older(entry: dict[str, Any]) -> _Parsed | None:
    key = _name(entry.get("id"))
    if key is None or entry.get("type") == "embeddings":
        return None
    is_loaded = entry.get("state") == "loaded"
    context = _tokens(entry.get("loaded_context_length")) if is_loaded else None
    model = ModelInfo(
        key=key,
        is_loaded=is_loaded,
        context_tokens=context,
        max_context_tokens=_tokens(entry.get("max_context_length")),
        sees_images={"vlm": True, "llm": False}.get(str(entry.get("type"))),
        instance_ids=(key,) if is_loaded else (),
        uses_tools="tool_use" in _texts(entry.get("capabilities")) or None,
        quantisation=_word(entry.get("quantization")),
    )
    return model, (Instance(key, key, context, 1, context),) if is_loaded else ()


def _openai(entry: dict[str, Any]) -> _Parsed | None:
    key = _name(entry.get("id"))
    if key is None or "embed" in key.lower():
        return None
    meta = _object(entry.get("meta"))
    longest = _tokens(entry.get("max_model_len"))
    context = _tokens(meta.get("n_ctx")) or longest
    model = ModelInfo(
        key=key,
        is_loaded=True,
        context_tokens=context,
        max_context_tokens=_tokens(meta.get("n_ctx_train")) or longest,
        instance_ids=(key,),
    )
    parallel = VLLM_PARALLEL if "max_model_len" in entry else 1
    pool = None if longest is not None else context
    return model, (Instance(key, key, context, parallel, pool),)


ROUTES: Final[tuple[tuple[str, str, Callable[[dict[str, Any]], _Parsed | None]], ...]] = (
    ("/api/v1/models", "models", _native),
    ("/api/v0/models", "data", _older),
    ("/v1/models", "data", _openai),
)


NAMES_ONLY: Final = len(ROUTES) - 1
"""The source ``/v1/models``: LM Studio lists there what may be asked for, also by loading it."""


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_KEY_CHARS else None


def _tokens(value: object) -> int | None:
    return value if type(value) is int and 0 < value < 2**31 else None


def _texts(value: object) -> tuple[str, ...]:
    texts = value[:_MAX_TEXTS] if isinstance(value, list) else []
    return tuple(text for text in texts if isinstance(text, str) and len(text) <= _MAX_KEY_CHARS)


def _word(value: object) -> str:
    """Return a short word of a server, such as ``Q4_K_M``; empty for anything else."""
    is_short = isinstance(value, str) and len(value) <= _MAX_WORD_CHARS
    return str(value) if is_short and _WORD.fullmatch(str(value)) else ""


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in _texts(value) if word.isascii() and word.isalpha())


def natural(value: object) -> int | None:
    """Return a count that a server sent; ``None`` where it is anything else."""
    return value if type(value) is int and 0 <= value < 2**63 else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
