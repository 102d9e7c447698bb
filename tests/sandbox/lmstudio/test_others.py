"""llama.cpp's server and vLLM: their listings, their errors, their unknown paths."""

from __future__ import annotations

import pytest

from sandbox.lmstudio import LMStudioSandbox, Model, Options
from tests.sandbox.lmstudio.client import KEY, ask, call

SMALL = Model("local.gguf", context_tokens=4096, parallel=2, max_context_tokens=32_768)
LONG = "word " * 6000


def _llama(*, unified: bool = True, slots_endpoint: bool = True) -> LMStudioSandbox:
    options = Options(flavour="llama.cpp", unified=unified, slots_endpoint=slots_endpoint)
    return LMStudioSandbox([SMALL], options=options)


@pytest.mark.parametrize(("unified", "each"), [(True, 4096), (False, 2048)])
async def test_llama_cpp_tells_the_context_of_a_slot(unified: bool, each: int) -> None:
    async with _llama(unified=unified) as lm:
        meta = (await call(lm, "/v1/models")).json["data"][0]["meta"]
        props = (await call(lm, "/props")).json
        slots = (await call(lm, "/slots")).json
        over = await call(lm, body=ask(LONG))
    assert (meta["n_ctx"], meta["n_ctx_train"]) == (each, 32_768)
    assert props["total_slots"] == 2
    assert props["default_generation_settings"]["n_ctx"] == each
    assert [(slot["id"], slot["n_ctx"], slot["is_processing"]) for slot in slots] == [
        (0, each, False),
        (1, each, False),
    ]
    error = over.json["error"]
    assert (over.status, error["type"], error["n_ctx"]) == (400, "exceed_context_size_error", each)
    assert error["n_prompt_tokens"] > each


async def test_llama_cpp_answers_under_any_name() -> None:
    async with _llama() as lm:
        answered = await call(lm, body=ask())
    assert (answered.status, answered.json["model"]) == (200, "local.gguf")


async def test_llama_cpp_may_hide_its_slots() -> None:
    async with _llama(slots_endpoint=False) as lm:
        hidden = await call(lm, "/slots")
    assert (hidden.status, hidden.json["error"]["type"]) == (501, "not_supported_error")


async def test_llama_cpp_without_a_model_is_still_loading() -> None:
    async with _llama() as lm:
        lm.unload("local.gguf")
        replies = [await call(lm, path) for path in ("/props", "/slots")]
    assert [reply.status for reply in replies] == [503, 503]


async def test_vllm_tells_the_longest_prompt() -> None:
    async with LMStudioSandbox([SMALL], options=Options(flavour="vllm")) as lm:
        listed = (await call(lm, "/v1/models")).json["data"]
        over = await call(lm, body={**ask(LONG), "model": "local.gguf"})
        missing = await call(lm, body=ask())
    assert [(one["id"], one["max_model_len"]) for one in listed] == [("local.gguf", 4096)]
    assert over.status == 400
    assert "maximum context length is 4096 tokens" in over.json["error"]["message"]
    assert (missing.status, missing.json["error"]["type"]) == (404, "NotFoundError")
    assert KEY in missing.json["error"]["message"]


@pytest.mark.parametrize("flavour", ["llama.cpp", "vllm"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/models"),
        ("GET", "/api/v0/models"),
        ("GET", "/lmstudio-greeting"),
        ("POST", "/api/v1/models/load"),
    ],
)
async def test_lm_studios_own_routes_are_not_found(flavour: str, method: str, path: str) -> None:
    options = Options(flavour="vllm" if flavour == "vllm" else "llama.cpp")
    async with LMStudioSandbox([SMALL], options=options) as lm:
        reply = await call(lm, path, method=method)
    assert reply.status == 404
    assert reply.headers["Server"] == ("uvicorn" if flavour == "vllm" else "llama.cpp")
    assert "X-Powered-By" not in reply.headers
