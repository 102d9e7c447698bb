"""What llama.cpp's server and vLLM answer where they differ from LM Studio."""

from __future__ import annotations

import time
from typing import Any

from sandbox.lmstudio.engine import Engine, Instance
from sandbox.lmstudio.values import ErrorReply

LLAMA_CPP, VLLM = "llama.cpp", "vllm"
SERVER_HEADERS = {LLAMA_CPP: "llama.cpp", VLLM: "uvicorn"}


def slot_context(engine: Engine, instance: Instance) -> int:
    """Return the context of one slot, in tokens: all of it, or its share where slots divide it."""
    options = engine.options
    if options.flavour == LLAMA_CPP and not options.unified:
        return instance.context_tokens // instance.parallel
    return instance.context_tokens


def find(engine: Engine, method: str, path: str) -> dict[str, Any] | list[Any] | ErrorReply:
    """Return the reply of a flavour to anything that is no completion."""
    vllm = engine.options.flavour == VLLM
    if engine.options.flavour == LLAMA_CPP and not engine.instances:
        return loading()
    if method not in {"GET", "HEAD"}:
        return _unknown(vllm=vllm)
    if vllm:
        found = {"/v1/models": _vllm_models, "/version": _version}.get(path)
        return found(engine) if found else _unknown(vllm=True)
    listed = {"/v1/models": _llama_models, "/models": _llama_models, "/props": _props}
    if path in {"/health", "/v1/health"}:
        return {"status": "ok"}
    if path == "/slots":
        return _slots(engine)
    make = listed.get(path)
    return make(engine) if make else _unknown(vllm=False)


def model_missing(name: str) -> ErrorReply:
    """Return vLLM's error for a model that it doesn't serve; llama.cpp never looks at the name."""
    message = f"The model `{name}` does not exist."
    error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
    return ErrorReply(404, {"error": error}, message)


def overflow_llama(prompt_tokens: int, context_tokens: int) -> ErrorReply:
    """Return llama.cpp's overflow error, with its exact counts in tokens."""
    message = (
        f"request ({prompt_tokens} tokens) exceeds the available context size "
        f"({context_tokens} tokens), try increasing it"
    )
    error = {
        "code": 400,
        "message": message,
        "type": "exceed_context_size_error",
        "n_prompt_tokens": prompt_tokens,
        "n_ctx": context_tokens,
    }
    return ErrorReply(400, {"error": error}, message)


def overflow_vllm(prompt_tokens: int, context_tokens: int) -> ErrorReply:
    """Return vLLM's overflow error."""
    message = (
        f"This model's maximum context length is {context_tokens} tokens. However, your request "
        f"has {prompt_tokens} input tokens. Please reduce the length of the input messages."
    )
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    return ErrorReply(400, {"error": error}, message)


def _unknown(*, vllm: bool) -> ErrorReply:
    if vllm:
        return ErrorReply(404, {"detail": "Not Found"}, "Not Found")
    error = {"code": 404, "message": "File Not Found", "type": "not_found_error"}
    return ErrorReply(404, {"error": error}, "File Not Found")


def _llama_models(engine: Engine) -> dict[str, Any]:
    data = [
        {
            "id": one.id,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "llamacpp",
            "meta": {
                "vocab_type": 2,
                "n_vocab": 151_936,
                "n_ctx": slot_context(engine, one),
                "n_ctx_train": one.model.max_context_tokens,
                "n_embd": 2048,
                "n_params": 80_000_000_000,
                "size": one.model.size_bytes,
            },
        }
        for one in engine.instances.values()
    ]
    return {"object": "list", "data": data}


def _props(engine: Engine) -> dict[str, Any]:
    instance = next(iter(engine.instances.values()))
    settings = {"id": 0, "n_ctx": slot_context(engine, instance), "speculative": False}
    return {
        "default_generation_settings": {**settings, "is_processing": False},
        "total_slots": instance.parallel,
        "model_alias": instance.id,
        "model_path": f"models/{instance.id}.gguf",
        "modalities": {"vision": instance.model.vision, "audio": False},
        "chat_template": "",
        "bos_token": "",
        "eos_token": "<|im_end|>",
        "build_info": "b8681",
    }


def _slots(engine: Engine) -> list[Any] | ErrorReply:
    instance = next(iter(engine.instances.values()))
    if not engine.options.slots_endpoint:
        message = "This server does not support slots endpoint. Start it with `--slots`"
        error = {"code": 501, "message": message, "type": "not_supported_error"}
        return ErrorReply(501, {"error": error}, message)
    return [
        {
            "id": slot.number,
            "n_ctx": slot_context(engine, instance),
            "speculative": False,
            "is_processing": slot.job is not None,
        }
        for slot in instance.slots
    ]


def loading() -> ErrorReply:
    """Return what llama.cpp's server says to everything until its model is loaded."""
    error = {"code": 503, "message": "Loading model", "type": "unavailable_error"}
    return ErrorReply(503, {"error": error}, "Loading model")


def _vllm_models(engine: Engine) -> dict[str, Any]:
    created = int(time.time())
    data = [
        {
            "id": one.id,
            "object": "model",
            "created": created,
            "owned_by": "vllm",
            "root": one.id,
            "parent": None,
            "max_model_len": one.context_tokens,
            "permission": [_permission(one.id, created)],
        }
        for one in engine.instances.values()
    ]
    return {"object": "list", "data": data}


def _permission(name: str, created: int) -> dict[str, Any]:
    return {
        "id": f"modelperm-{name}",
        "object": "model_permission",
        "created": created,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }


def _version(_engine: Engine) -> dict[str, Any]:
    return {"version": "0.11.0"}
