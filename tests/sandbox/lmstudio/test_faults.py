"""Every fault happens as it is named."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from sandbox.lmstudio import Fault, LMStudioSandbox, Model, Options
from sandbox.lmstudio.faults import BAD_JSON, ERRORS, Situation
from tests.sandbox.lmstudio.client import KEY, ask, call


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ERRORS)
async def test_an_error_is_sent_word_by_word_and_the_next_request_is_well(
    fault: Fault, stream: bool
) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault)
        reply = await call(lm, body=ask(stream=stream))
        after = await call(lm, body=ask())
    expected = ERRORS[fault](Situation(KEY))
    assert reply.status == expected.status
    if isinstance(expected.body, dict):
        assert reply.json.keys() == expected.body.keys()
    else:
        assert reply.raw.decode() == expected.body
    assert after.status == 200
    assert lm.requests[0].fault == fault.value


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.OVERFLOW_N_KEEP, "(n_keep: 9025>= n_ctx: 8192)"),
        (Fault.OVERFLOW_KEEP_FIRST, "Trying to keep the first 9025 tokens when context the over"),
        (Fault.OVERFLOW_ENGINE, '\\"n_prompt_tokens\\":9025,\\"n_ctx\\":8192'),
        (Fault.CRASHED, "The model has crashed without additional information. (Exit code: null)"),
        (Fault.POOL_FULL, "Context size has been exceeded."),
        (Fault.UNKNOWN_ENDPOINT, "Unexpected endpoint or method. (POST /v1/chat/completions)"),
        (Fault.NO_MODELS_03, "use the `lms load` command"),
    ],
)
async def test_texts_that_clients_match(fault: Fault, text: str) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault)
        reply = await call(lm, body=ask())
    assert text in reply.raw.decode()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            "event",
            'event: error\ndata: {"error":{"message":"Compute error."},"message":"Compute error."}',
        ),
        ("data", 'data: {"error":{"message":"Compute error."}}'),
        ("data_string", 'data: {"error":"Compute error."}'),
    ],
)
async def test_an_error_inside_a_stream_has_the_form_asked_for(form: str, expected: str) -> None:
    async with LMStudioSandbox() as lm:
        lm.answer("one two three four")
        lm.faults.next(Fault.COMPUTE_ERROR, after_tokens=2, form=form)  # type: ignore[arg-type]
        reply = await call(lm, body=ask(stream=True))
    assert reply.status == 200
    assert reply.raw.decode().endswith(expected + "\n\n")
    assert reply.raw.count(b'"content"') == 2


@pytest.mark.parametrize(
    "fault",
    [
        Fault.RESET_BEFORE_HEADERS,
        Fault.RESET_AFTER_HEADERS,
        Fault.RESET_AFTER_TOKENS,
        Fault.CHUNKED_CUT,
    ],
)
async def test_a_broken_connection_breaks(fault: Fault) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault)
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await call(lm, body=ask(stream=True))


@pytest.mark.parametrize(
    "fault", [Fault.HANG_BEFORE_HEADERS, Fault.HANG_AFTER_HEADERS, Fault.HANG_AFTER_TOKENS]
)
async def test_a_hang_lasts_until_the_client_leaves(fault: Fault) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault, after_tokens=2)
        asking = asyncio.create_task(call(lm, body=ask(stream=True)))
        await lm.wait_until(lambda: lm.requests and lm.requests[0].fault)
        assert not asking.done()
        asking.cancel()
        await lm.wait_until(lambda: lm.requests[0].cancelled_at)
        assert not lm.requests[0].finished


async def test_a_truncated_stream_ends_cleanly_without_a_finish_reason() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.TRUNCATED_STREAM, after_tokens=2)
        reply = await call(lm, body=ask(stream=True))
    assert b"[DONE]" not in reply.raw
    assert all(one["choices"][0]["finish_reason"] is None for one in reply.events)
    assert len(reply.events) == 2


async def test_no_done_has_a_finish_reason_only() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.NO_DONE)
        reply = await call(lm, body=ask(stream=True))
    assert b"[DONE]" not in reply.raw
    assert reply.events[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("fault", "finish", "reasoning"),
    [
        (Fault.EMPTY, "stop", False),
        (Fault.EMPTY_ZERO_USAGE, "stop", False),
        (Fault.REASONING_ONLY, "length", True),
        (Fault.REASONING_ONLY_STOP, "stop", True),
        (Fault.TOOL_CALL_EMPTY, "tool_calls", False),
    ],
)
async def test_replies_without_content(fault: Fault, finish: str, reasoning: bool) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault, times=2)
        plain = (await call(lm, body=ask())).json["choices"][0]
        stream = (await call(lm, body=ask(stream=True))).events
    assert plain["message"]["content"] == ""
    assert bool(plain["message"]["reasoning_content"]) is reasoning
    assert plain["finish_reason"] == stream[-1]["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("fault", BAD_JSON)
@pytest.mark.parametrize("stream", [False, True])
async def test_bad_json_is_sent_as_it_is(fault: Fault, stream: bool) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault)
        reply = await call(lm, body=ask(stream=stream))
    assert BAD_JSON[fault] in reply.raw


async def test_a_bomb_is_small_on_the_wire_and_large_unpacked() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.GZIP_BOMB, size_bytes=4 * 1024 * 1024)
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.post(lm.base_url + "/v1/chat/completions", json=ask(stream=True)) as reply,
        ):
            raw = await reply.read()
    assert reply.headers["Content-Encoding"] == "gzip"
    assert len(raw) < 100_000


async def test_a_huge_line_has_the_size_asked_for() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.HUGE_LINE, size_bytes=2 * 1024 * 1024)
        reply = await call(lm, body=ask(stream=True))
    assert max(len(line) for line in reply.raw.split(b"\n")) > 2 * 1024 * 1024


@pytest.mark.parametrize("fault", [Fault.ENDLESS_COMMENTS, Fault.SLOW_LORIS, Fault.TINY_EVENTS])
async def test_streams_that_say_nothing_go_on(fault: Fault) -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(fault)
        async with (
            aiohttp.ClientSession() as session,
            session.post(lm.base_url + "/v1/chat/completions", json=ask(stream=True)) as reply,
        ):
            first = await reply.content.read(2)
            assert first
            reply.close()
        await lm.wait_until(lambda: lm.requests[0].ended_at)
        assert not lm.requests[0].finished


async def test_a_redirect_points_where_it_was_told() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.REDIRECT, status=307, location="http://127.0.0.1:9/x", route="any")
        reply = await call(lm, "/v1/models")
    assert reply.status == 307
    assert reply.headers["Location"] == "http://127.0.0.1:9/x"


async def test_a_stale_connection_is_closed_only_when_reused() -> None:
    async with LMStudioSandbox() as lm, aiohttp.ClientSession() as session:
        lm.faults.next(Fault.STALE_KEEPALIVE, route="any")
        async with session.get(lm.base_url + "/v1/models") as first:
            await first.read()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(lm.base_url + "/v1/chat/completions", json=ask())


async def test_model_swap_answers_as_another_model() -> None:
    async with LMStudioSandbox() as lm:
        lm.faults.next(Fault.MODEL_SWAP)
        reply = await call(lm, body=ask())
    assert reply.json["model"] != KEY


async def test_silent_truncation_answers_with_fewer_prompt_tokens() -> None:
    turns = [
        {"role": "user" if index % 2 == 0 else "assistant", "content": f"turn {index} " * 20}
        for index in range(9)
    ]
    async with LMStudioSandbox() as lm:
        whole = await call(lm, body=ask() | {"messages": turns})
        lm.faults.next(Fault.SILENT_TRUNCATION)
        cut = await call(lm, body=ask() | {"messages": turns})
    assert cut.status == 200
    assert cut.json["usage"]["prompt_tokens"] < whole.json["usage"]["prompt_tokens"] / 2


async def test_json_where_a_stream_was_asked_for_and_null_deltas() -> None:
    async with LMStudioSandbox() as lm:
        lm.answer("Four")
        lm.faults.next(Fault.JSON_FOR_STREAM)
        plain = await call(lm, body=ask(stream=True))
        lm.faults.next(Fault.NULL_DELTAS)
        nulls = await call(lm, body=ask(stream=True))
    assert plain.json["choices"][0]["message"]["content"] == "Four"
    assert b'"delta":null' in nulls.raw
    assert b'"content":null' in nulls.raw


async def test_a_buffering_proxy_sends_everything_at_the_end() -> None:
    async with LMStudioSandbox() as lm:
        lm.answer("one two three")
        lm.faults.next(Fault.BUFFERED)
        reply = await call(lm, body=ask(stream=True))
    assert reply.text == "one two three"


async def test_early_eos_ends_as_if_complete() -> None:
    async with LMStudioSandbox() as lm:
        lm.answer("one two three four five six")
        lm.faults.next(Fault.EARLY_EOS, after_tokens=2)
        reply = await call(lm, body=ask(stream=True))
    assert reply.text == "one two"
    assert reply.events[-1]["choices"][0]["finish_reason"] == "stop"


def test_every_fault_is_of_a_known_kind() -> None:
    assert len(Fault) >= 80
    assert all(
        json.loads(json.dumps(make(Situation()).body)) is not None for make in ERRORS.values()
    )


async def test_refused_blackholed_and_back_on_the_same_port() -> None:
    async with LMStudioSandbox([Model(KEY)], options=Options(era="0.3")) as lm:
        await lm.refuse()
        with pytest.raises(aiohttp.ClientConnectorError):
            await call(lm, "/v1/models")
        await lm.blackhole()
        with pytest.raises((TimeoutError, aiohttp.ClientError)):
            async with asyncio.timeout(0.2):
                await call(lm, "/v1/models")
        await lm.start()
        assert (await call(lm, "/v1/models")).status == 200
        port = lm.port
        await lm.stop()
        await lm.start()
        assert lm.port == port
        assert (await call(lm, "/lmstudio-greeting")).json == {"lmstudio": True}
