"""``/api/v1/chat`` and ``/v1/responses``: their bodies, their events, and what they remember."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.lmstudio import Answer, LMStudioSandbox, Model, Options
from tests.sandbox.lmstudio.client import KEY, Reply, call

CHAT, RESPONSES = "/api/v1/chat", "/v1/responses"
THINKER = Model(KEY, reasoning_options=("off", "on"), vision=True)
COLD = Model(KEY, loaded=False)
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def _kinds(reply: Reply) -> list[str]:
    """Return the kinds of the events, each once where it is repeated in a row."""
    found: list[str] = []
    for line in reply.raw.decode().splitlines():
        kind = line.removeprefix("event: ")
        if line.startswith("event: ") and found[-1:] != [kind]:
            found.append(kind)
    return found


def _deltas(reply: Reply, kind: str, name: str) -> str:
    return "".join(one[name] for one in reply.events if one["type"] == kind)


async def test_a_native_chat_answers_with_items_and_figures() -> None:
    async with LMStudioSandbox([THINKER]) as lm:
        lm.answer(Answer("Paris.", reasoning="Capital?"))
        body = {"model": KEY, "input": "Where?", "system_prompt": "Be short."}
        told = (await call(lm, CHAT, body)).json
        quiet = (await call(lm, CHAT, body | {"reasoning": "off", "store": False})).json
    assert [item["type"] for item in told["output"]] == ["reasoning", "message"]
    assert told["output"][1]["content"] == "Paris."
    assert told["model_instance_id"] == KEY
    stats = told["stats"]
    assert stats["input_tokens"] > 0
    assert stats["total_output_tokens"] > stats["reasoning_output_tokens"] > 0
    assert "model_load_time_seconds" not in stats
    assert told["response_id"].startswith("resp_")
    assert [item["type"] for item in quiet["output"]] == ["message"]
    assert "response_id" not in quiet


async def test_a_cold_native_stream_tells_loading_reading_and_speaking() -> None:
    async with LMStudioSandbox([COLD]) as lm:
        lm.answer(Answer("Paris it is.", reasoning="Hm. Where?"))
        cold = await call(lm, CHAT, {"model": KEY, "input": "w " * 2000, "stream": True})
        warm = await call(lm, CHAT, {"model": KEY, "input": "again", "stream": True})
    speaking = [
        "prompt_processing.start",
        "prompt_processing.progress",
        "prompt_processing.end",
        "reasoning.start",
        "reasoning.delta",
        "reasoning.end",
        "message.start",
        "message.delta",
        "message.end",
        "chat.end",
    ]
    loading = ["model_load.start", "model_load.progress", "model_load.end"]
    assert _kinds(cold) == ["chat.start", *loading, *speaking]
    assert _kinds(warm) == ["chat.start", *speaking]
    lines = filter(None, cold.raw.decode().split("\n"))
    assert all(line.startswith(("event: ", "data: ")) for line in lines)
    shares = [one["progress"] for one in cold.events if one["type"] == "prompt_processing.progress"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert _deltas(cold, "message.delta", "content") == "Paris it is."
    result = cold.events[-1]["result"]
    assert result["output"][-1] == {"type": "message", "content": "Paris it is."}
    assert "model_load_time_seconds" in result["stats"]
    assert b"[DONE]" not in cold.raw


async def test_a_native_chat_goes_on_with_what_was_said() -> None:
    async with LMStudioSandbox([THINKER]) as lm:
        lm.script("One.", "Two.", "Other.")
        first = (await call(lm, CHAT, {"model": KEY, "input": "first"})).json
        follow = {"model": KEY, "previous_response_id": first["response_id"]}
        await call(lm, CHAT, follow | {"input": "second"})
        await call(lm, CHAT, follow | {"input": "branch"})
        prompts = [one.prompt for one in lm.completions]
        unknown = await call(lm, CHAT, follow | {"input": "x", "previous_response_id": "resp_0"})
    assert "One." in prompts[1]
    assert "second" in prompts[1]
    assert "second" not in prompts[2]
    assert unknown.json["error"]["param"] == "previous_response_id"


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ({"input": "x"}, "invalid_request", '"model" is required'),
        ({"model": KEY}, "invalid_request", '"input" is required'),
        ({"model": KEY, "input": "x", "stop": "y"}, "invalid_request", "Unrecognized key(s)"),
        ({"model": KEY, "input": "x", "temperature": 2}, "invalid_request", "between 0 and 1"),
        ({"model": KEY, "input": "x", "stream": 1}, "invalid_request", "Invalid type"),
        ({"model": KEY, "input": "x", "reasoning": "low"}, "invalid_request", "does not support"),
        ({"model": KEY, "input": [{"type": "message"}]}, "invalid_request", "'text' | 'image'"),
        ({"model": KEY, "input": "x", "integrations": ["mcp/a"]}, "not_implemented", "not avail"),
        ({"model": "no/such", "input": "x"}, "model_not_found", "no/such"),
        ({"model": KEY, "input": "w " * 20_000}, "internal_error", "exceeds the available"),
    ],
)
async def test_native_errors_have_a_documented_type(
    body: dict[str, Any], kind: str, text: str
) -> None:
    async with LMStudioSandbox([THINKER]) as lm:
        error = (await call(lm, CHAT, body)).json["error"]
    assert error["type"] == kind
    assert text in error["message"]


async def test_an_error_inside_a_native_stream_is_followed_by_what_there_is() -> None:
    async with LMStudioSandbox([Model(KEY, loaded=False, loadable_context_tokens=1)]) as lm:
        failed = await call(lm, CHAT, {"model": KEY, "input": "x", "stream": True})
    assert _kinds(failed)[-2:] == ["error", "chat.end"]
    assert failed.events[-2]["error"]["type"] == "internal_error"
    assert failed.events[-1]["result"]["output"] == []


async def test_a_native_chat_takes_text_and_images() -> None:
    items = [{"type": "text", "content": "what?"}, {"type": "image", "data_url": PIXEL}]
    async with LMStudioSandbox([THINKER, Model("a/blind")]) as lm:
        seen = await call(lm, CHAT, {"model": KEY, "input": items})
        blind = await call(lm, CHAT, {"model": "a/blind", "input": items})
    assert seen.status == 200
    assert "does not support images" in blind.json["error"]["message"]


async def test_a_response_has_items_and_usage() -> None:
    async with LMStudioSandbox([THINKER]) as lm:
        lm.answer(Answer("Paris.", reasoning="Hm."))
        told = (await call(lm, RESPONSES, {"model": KEY, "input": "Where?"})).json
        turns = [
            {"role": "user", "content": [{"type": "input_text", "text": "A?"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "B."}]},
            {"role": "user", "content": "C?"},
        ]
        body = {"model": KEY, "input": turns, "previous_response_id": told["id"]}
        further = (await call(lm, RESPONSES, body | {"max_output_tokens": 1})).json
        prompt = lm.completions[-1].prompt
    assert [item["type"] for item in told["output"]] == ["reasoning", "message"]
    assert told["output"][1]["content"][0]["text"] == "Paris."
    usage = told["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert (told["object"], told["status"]) == ("response", "completed")
    assert further["previous_response_id"] == told["id"]
    assert further["status"] == "incomplete"
    assert further["incomplete_details"] == {"reason": "max_output_tokens"}
    assert all(words in prompt for words in ("Where?", "Paris.", "A?", "B.", "C?"))


async def test_a_response_streams_numbered_events_and_tells_no_progress() -> None:
    async with LMStudioSandbox([COLD]) as lm:
        lm.answer(Answer("Paris it is.", reasoning="Hm."))
        told = await call(lm, RESPONSES, {"model": KEY, "input": "Where?", "stream": True})
    item = ["output_item.added", "content_part.added"]
    ended = ["content_part.done", "output_item.done"]
    assert _kinds(told) == [
        f"response.{kind}"
        for kind in (
            "created",
            "in_progress",
            *item,
            "reasoning_text.delta",
            "reasoning_text.done",
            *ended,
            *item,
            "output_text.delta",
            "output_text.done",
            *ended,
            "completed",
        )
    ]
    assert [one["sequence_number"] for one in told.events] == list(range(len(told.events)))
    assert _deltas(told, "response.output_text.delta", "delta") == "Paris it is."
    assert json.dumps(told.events[-1]["response"]["output"]).count("Paris it is.") == 1


async def test_only_lm_studio_0_4_has_the_native_chat() -> None:
    body = {"model": KEY, "input": "x"}
    async with LMStudioSandbox(options=Options(era="0.3")) as lm:
        old = await call(lm, CHAT, body)
        response = await call(lm, RESPONSES, body)
    async with LMStudioSandbox(options=Options(flavour="vllm")) as lm:
        other = await call(lm, CHAT, body)
    assert "Unexpected endpoint" in old.json["error"]
    assert (response.status, other.status) == (200, 404)
