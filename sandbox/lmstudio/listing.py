"""The listings: ``/v1/models``, ``/api/v0/models``, ``/api/v1/models``."""

from __future__ import annotations

from typing import Any

from sandbox.lmstudio.engine import Engine, Instance
from sandbox.lmstudio.values import Model


def openai_models(engine: Engine) -> dict[str, Any]:
    """Return ``/v1/models``: all downloaded with just-in-time loading, else the loaded ones."""
    names = list(engine.instances)
    if engine.options.jit:
        names = [*engine.models, *(name for name in names if name not in engine.models)]
    data = [{"id": name, "object": "model", "owned_by": "organization_owner"} for name in names]
    return {"data": data, "object": "list"}


def v0_model(engine: Engine, model: Model) -> dict[str, Any]:
    """Return one model as ``/api/v0`` describes it."""
    instance = first_instance(engine, model.key)
    kind = "embeddings" if model.kind == "embedding" else "vlm" if model.vision else "llm"
    state = "loaded" if instance else "loading" if model.key in engine.loading else "not-loaded"
    found: dict[str, Any] = {
        "id": model.key,
        "object": "model",
        "type": kind,
        "publisher": model.publisher,
        "arch": model.architecture,
        "compatibility_type": "gguf",
        "quantization": model.quantization,
        "state": state,
        "max_context_length": model.max_context_tokens,
    }
    if instance:
        found["loaded_context_length"] = instance.context_tokens
    if model.tool_use:
        found["capabilities"] = ["tool_use"]
    return found


def v0_models(engine: Engine) -> dict[str, Any]:
    """Return ``/api/v0/models``."""
    return {"object": "list", "data": [v0_model(engine, one) for one in engine.models.values()]}


def v1_models(engine: Engine) -> dict[str, Any]:
    """Return ``/api/v1/models``."""
    return {"models": [_v1_model(engine, model) for model in engine.models.values()]}


def _v1_model(engine: Engine, model: Model) -> dict[str, Any]:
    loaded = [one for one in engine.instances.values() if one.model.key == model.key]
    found: dict[str, Any] = {
        "type": model.kind,
        "publisher": model.publisher,
        "key": model.key,
        "display_name": model.key.rpartition("/")[2],
        "architecture": model.architecture,
        "quantization": {"name": model.quantization, "bits_per_weight": 4},
        "size_bytes": model.size_bytes,
        "params_string": "80B",
        "loaded_instances": [{"id": one.id, "config": instance_config(one)} for one in loaded],
        "max_context_length": model.max_context_tokens,
        "format": "gguf",
        "description": None,
    }
    if model.variants:
        found["variants"] = list(model.variants)
        found["selected_variant"] = model.variants[0]
    if model.kind == "embedding":
        del found["architecture"], found["description"]
        return found
    capabilities: dict[str, Any] = {
        "vision": model.vision,
        "trained_for_tool_use": model.tool_use,
    }
    if model.reasoning_options is not None:
        default = model.reasoning_default or next(reversed(model.reasoning_options), "")
        capabilities["reasoning"] = {
            "allowed_options": list(model.reasoning_options),
            "default": default,
        }
    return {**found, "capabilities": capabilities}


def instance_config(instance: Instance) -> dict[str, Any]:
    """Return how an instance was loaded."""
    if instance.model.kind == "embedding":
        return {"context_length": instance.context_tokens}
    return {
        "context_length": instance.context_tokens,
        "eval_batch_size": instance.eval_batch_size,
        "parallel": instance.parallel,
        "flash_attention": instance.flash_attention,
        "offload_kv_cache_to_gpu": True,
    }


def first_instance(engine: Engine, key: str) -> Instance | None:
    """Return the instance a plain model key means: always the first."""
    exact = engine.instances.get(key)
    if exact:
        return exact
    return next((one for one in engine.instances.values() if one.model.key == key), None)
