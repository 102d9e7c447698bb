"""Listings, load and unload, authentication, validation, headers, the command."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.lmstudio import Answer, Fault, LMStudioSandbox, Model, Options, ToolCall
from sandbox.lmstudio.faults import BAD_JSON
from tests.sandbox.lmstudio.client import KEY, ask, call

SEES = Model(KEY, vision=True, reasoning_options=("off", "on"), reasoning_default="on")
COLD = Model("google/gemma-3-4b", loaded=False, context_tokens=4096)
EMBED = Model("nomic/embed", kind="embedding", loaded=False)
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def test_the_three_listings() -> None:
    async with LMStudioSandbox([SEES, COLD, EMBED]) as lm:
        plain = (await call(lm, "/v1/models")).json
        v0 = (await call(lm, "/api/v0/models")).json["data"]
        one = (await call(lm, f"/api/v0/models/{KEY}")).json
        v1 = (await call(lm, "/api/v1/models")).json["models"]
    assert [entry["id"] for entry in plain["data"]] == [SEES.key, COLD.key, EMBED.key]
    assert [entry["type"] for entry in v0] == ["vlm", "llm", "embeddings"]
    assert [entry["state"] for entry in v0] == ["loaded", "not-loaded", "not-loaded"]
    assert one["loaded_context_length"] == 8192
    assert v1[0]["loaded_instances"][0]["config"]["parallel"] == 4
    assert v1[0]["capabilities"]["vision"] is True
    assert v1[0]["capabilities"]["reasoning"] == {"allowed_options": ["off", "on"], "default": "on"}
    assert v1[1]["loaded_instances"] == []
    assert "capabilities" not in v1[2]


async def test_load_makes_another_instance_and_unload_takes_it_away() -> None:
    async with LMStudioSandbox([SEES]) as lm:
        body = {"model": KEY, "context_length": 2048, "echo_load_config": True}
        loaded = (await call(lm, "/api/v1/models/load", body)).json
        gone = (await call(lm, "/api/v1/models/unload", {"instance_id": f"{KEY}:2"})).json
        again = await call(lm, "/api/v1/models/unload", {"instance_id": f"{KEY}:2"})
    assert loaded["instance_id"] == f"{KEY}:2"
    assert loaded["load_config"]["context_length"] == 2048
    assert gone == {"instance_id": f"{KEY}:2"}
    assert again.status == 404
    assert "is not loaded." in again.json["error"]["message"]


async def test_loading_fails_where_memory_is_short_and_works_with_less_context() -> None:
    model = Model(KEY, loaded=False, context_tokens=32_768, loadable_context_tokens=8192)
    async with LMStudioSandbox([model]) as lm:
        jit = await call(lm, body=ask())
        large = await call(lm, "/api/v1/models/load", {"model": KEY})
        small = await call(lm, "/api/v1/models/load", {"model": KEY, "context_length": 8192})
    assert jit.status == 400
    assert "insufficient system resources" in jit.json["error"]
    assert large.json["error"]["type"] == "model_load_failed"
    assert small.status == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, '"model" is required'),
        ({"model": KEY, "gpu": 1}, "Unrecognized key(s) in object: 'gpu'"),
        ({"model": KEY, "context_length": "8"}, "Invalid type for 'context_length'"),
        ({"model": "x/y"}, "Model x/y not found in downloaded models"),
    ],
)
async def test_the_native_route_is_strict(body: object, text: str) -> None:
    async with LMStudioSandbox() as lm:
        reply = await call(lm, "/api/v1/models/load", body)
    assert text in reply.json["error"]["message"]


async def test_before_0_4_there_is_no_native_route() -> None:
    async with LMStudioSandbox(options=Options(era="0.3")) as lm:
        reply = await call(lm, "/api/v1/models")
    assert reply.status == 200
    assert reply.json == {"error": "Unexpected endpoint or method. (GET /api/v1/models)"}


@pytest.mark.parametrize("path", ["/v1/models", "/api/v0/models", "/api/v1/models"])
async def test_a_token_is_asked_for_everywhere(path: str) -> None:
    async with LMStudioSandbox(token="sk-lm-abcdefgh:secret") as lm:
        missing = await call(lm, path)
        wrong = await call(lm, path, token="sk-bogus-Example")
        right = await call(lm, path, token="sk-lm-abcdefgh:secret")
        lm.options.forbidden = True
        forbidden = await call(lm, path, token="sk-lm-abcdefgh:secret")
    assert (missing.status, wrong.status, right.status, forbidden.status) == (401, 401, 200, 403)
    assert missing.json["error"]["code"] == "invalid_api_key"
    assert wrong.json["error"]["message"].endswith("sk-bogus-E**************")


async def test_headers_are_those_of_express() -> None:
    async with LMStudioSandbox() as lm:
        plain = await call(lm, "/v1/models")
        stream = await call(lm, body=ask(stream=True))
    assert plain.headers["X-Powered-By"] == "Express"
    assert plain.headers["Keep-Alive"] == "timeout=5"
    assert plain.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Server" not in plain.headers
    assert stream.headers["Content-Type"].startswith("text/event-stream")


async def test_idle_connections_are_closed_by_the_server() -> None:
    options = Options(keepalive_s=0.05)
    async with LMStudioSandbox(options=options) as lm:
        reader, writer = await asyncio.open_connection("127.0.0.1", lm.port)
        writer.write(b"GET /lmstudio-greeting HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.read()).endswith(b'{"lmstudio":true}')
        writer.close()
        await writer.wait_closed()


async def test_idle_connections_can_be_closed_at_once_and_busy_ones_stay() -> None:
    async with LMStudioSandbox() as lm, aiohttp.ClientSession() as session:
        async with session.get(lm.base_url + "/v1/models") as first:
            await first.read()
        lm.faults.next(Fault.HANG_AFTER_TOKENS, after_tokens=1)
        async with session.post(
            lm.base_url + "/v1/chat/completions", json=ask(stream=True)
        ) as busy:
            await busy.content.readline()
            async with session.get(lm.base_url + "/v1/models") as idle:
                await idle.read()
            lm.close_idle()
            async with session.get(lm.base_url + "/v1/models") as again:
                assert again.status == 200
            assert lm.options.counters.connections == 3
            assert lm.completions[0].cancelled_at is None


@pytest.mark.parametrize("fault", [Fault.NAN_JSON, Fault.DEEP_JSON, Fault.INVALID_JSON])
async def test_listings_can_be_bad_json_too(fault: Fault) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault, route="models")
        bad = await call(lm, "/api/v1/models")
        good = await call(lm, "/api/v1/models")
    assert bad.raw == BAD_JSON[fault]
    assert good.json["models"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"messages": "hello"}, "is not iterable"),
        ({"temperature": "hot"}, "Expected number, received string"),
        ({"max_tokens": 1.5}, "Expected integer"),
        ({"stream": "yes"}, "Expected boolean"),
        ({"response_format": {"type": "json_object"}}, "'response_format.type' must be"),
        ({"reasoning_effort": "huge"}, "invalid_type"),
        ({"model": "not/there"}, 'Invalid model identifier \\"not/there\\"'),
        ({"messages": [{"role": "user", "content": [PIXEL]}]}, "does not support images"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "'role'"),
    ],
)
async def test_a_bad_request_is_refused(more: dict[str, Any], text: str) -> None:
    async with LMStudioSandbox() as lm:
        reply = await call(lm, body=ask() | more)
    assert reply.status == 400
    assert text in reply.raw.decode()


async def test_missing_messages_and_no_json() -> None:
    async with LMStudioSandbox() as lm:
        missing = await call(lm, body={"model": KEY})
        async with (
            aiohttp.ClientSession() as session,
            session.post(lm.base_url + "/v1/chat/completions", data=b"{oops") as reply,
        ):
            assert reply.status == 400
    assert missing.json == {"error": "'messages' field is required"}


async def test_unknown_fields_are_ignored_but_recorded() -> None:
    async with LMStudioSandbox() as lm:
        reply = await call(lm, body=ask(cache_prompt=True, chat_template_kwargs={}))
    assert reply.status == 200
    assert lm.completions[0].unknown_fields == ("cache_prompt", "chat_template_kwargs")


@pytest.mark.parametrize(
    ("rule", "roles", "text"),
    [
        ("alternate", ["user", "user"], "roles must alternate"),
        ("no_system", ["system", "user"], "System role not supported"),
        ("system_first", ["user", "system"], "System message must be at the beginning."),
        ("user_required", ["system", "assistant"], "No user query found in messages."),
    ],
)
async def test_strict_templates(rule: Any, roles: list[str], text: str) -> None:
    messages = [{"role": role, "content": "x"} for role in roles]
    async with LMStudioSandbox([Model(KEY, template=frozenset({rule}))]) as lm:
        reply = await call(lm, body=ask() | {"messages": messages})
        fine = await call(lm, body=ask())
    assert text in reply.json["error"]
    assert fine.status == 200


async def test_images_for_a_model_that_sees() -> None:
    body = ask() | {"messages": [{"role": "user", "content": [PIXEL]}]}
    remote = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    async with LMStudioSandbox([SEES]) as lm:
        seen = await call(lm, body=body)
        far = await call(lm, body=ask() | {"messages": [{"role": "user", "content": [remote]}]})
    assert seen.json["usage"]["prompt_tokens"] > 256
    assert far.status == 400


async def test_which_model_answers() -> None:
    two = [Model("a/one"), Model("b/two")]
    async with LMStudioSandbox(two, options=Options(substitute=True)) as lm:
        unnamed = await call(lm, body={"messages": ask()["messages"]})
        strange = await call(lm, body=ask() | {"model": "no/such"})
    assert "Multiple models are loaded." in unnamed.json["error"]["message"]
    assert strange.json["model"] == "a/one"


async def test_thinking_off_stop_strings_families_and_tools() -> None:
    async with LMStudioSandbox([SEES]) as lm:
        lm.script(
            Answer("Four.", reasoning="SECRET"),
            Answer("one END two"),
            Answer("Four.", reasoning="SECRET", markup="magistral"),
            Answer("", tool_calls=(ToolCall("search", '{"q":"x"}'),), finish="tool_calls"),
        )
        off = (await call(lm, body=ask(reasoning_effort="none"))).json["choices"][0]["message"]
        stopped = (await call(lm, body=ask(stop=["END"]))).json["choices"][0]
        inline = (await call(lm, body=ask())).json["choices"][0]["message"]
        tools = (await call(lm, body=ask(stream=True))).events
    assert off["reasoning_content"] == ""
    assert stopped["message"]["content"] == "one "
    assert inline["content"] == "[THINK]SECRET[/THINK]Four."
    assert tools[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_special_tokens_in_a_question_end_the_answer_where_a_model_does_so() -> None:
    async with LMStudioSandbox([Model(KEY, ends_on_special_tokens=True)]) as lm:
        cut = await call(lm, body=ask("what is <|im_end|>?"))
        whole = await call(lm, body=ask("what is that?"))
    assert cut.json["choices"][0]["message"]["content"] == ""
    assert whole.json["choices"][0]["message"]["content"]


async def test_answers_may_be_chosen_by_the_request_and_records_are_bounded() -> None:
    async with LMStudioSandbox(keep_requests=2) as lm:
        lm.answer_with(lambda request: f"You said {request.messages[-1]['content']}")
        for text in ("a", "b"):
            await call(lm, body=ask(text))
        reply = await call(lm, body=ask("c"))
    assert reply.json["choices"][0]["message"]["content"] == "You said c"
    assert [one.messages[0]["content"] for one in lm.requests] == ["b", "c"]


async def test_the_command_prints_its_address() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox.lmstudio",
        "--port",
        "0",
        "--answer",
        "yes",
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        async with (
            aiohttp.ClientSession() as session,
            session.get(url + "/lmstudio-greeting") as reply,
        ):
            assert await reply.json() == {"lmstudio": True}
    finally:
        process.terminate()
        await process.wait()
