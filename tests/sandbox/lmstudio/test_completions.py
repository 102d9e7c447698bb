"""The stand-in streams and replies as LM Studio does."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from sandbox.lmstudio import Answer, LMStudioSandbox, tokenize

ASK: dict[str, Any] = {
    "model": "qwen/qwen3-next-80b",
    "messages": [{"role": "user", "content": "Hi there"}],
}


async def post(lm: LMStudioSandbox, body: object, path: str = "/v1/chat/completions") -> bytes:
    async with (
        aiohttp.ClientSession() as session,
        session.post(lm.base_url + path, json=body) as response,
    ):
        return await response.read()


def events(raw: bytes) -> list[Any]:
    lines = [line for line in raw.decode().split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


async def test_a_plain_reply_has_lm_studios_shape() -> None:
    async with LMStudioSandbox() as lm:
        lm.answer("Hello, world")
        body = json.loads(await post(lm, ASK))
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"] == "Hello, world"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["completion_tokens"] == len(tokenize("Hello, world"))
    assert body["stats"] == {}


async def test_a_stream_repeats_the_role_and_ends_with_finish_usage_and_done() -> None:
    async with LMStudioSandbox() as lm:
        lm.script(Answer("Four.", reasoning="2 and 2"))
        ask = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
        found = events(await post(lm, ask))
    deltas = [one["choices"][0]["delta"] for one in found if one["choices"]]
    assert all(delta["role"] == "assistant" for delta in deltas[:-1])
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "2 and 2"
    assert "".join(delta.get("content", "") for delta in deltas) == "Four."
    assert deltas[-1] == {}
    assert found[-2]["choices"][0]["finish_reason"] == "stop"
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


async def test_max_tokens_ends_with_length() -> None:
    async with LMStudioSandbox() as lm:
        lm.answer(Answer(tokens=50))
        body = json.loads(await post(lm, {**ASK, "max_tokens": 7}))
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 7


async def test_unknown_paths_get_200_and_an_error() -> None:
    async with LMStudioSandbox() as lm:
        body = json.loads(await post(lm, ASK, "/chat/completions"))
    assert body == {"error": "Unexpected endpoint or method. (POST /chat/completions)"}
