"""One completion's events: their odd forms, their limits, and what is kept of them."""

from __future__ import annotations

import json

import pytest

from bot.core.domain import Usage
from bot.lmstudio.completion import (
    MAX_EVENT_BYTES,
    MAX_STREAM_BYTES,
    CompletionDecoder,
    SseDecoder,
    parse_json,
)
from tests.unit.lmstudio.chunks import chunk, delta_event, event


def all_of(decoder: CompletionDecoder, *pieces: bytes) -> str:
    """Feed pieces and return the content."""
    content = "".join(decoder.feed(piece)[0] for piece in pieces)
    return content + decoder.finish()[0]


def test_a_surrogate_pair_cut_between_deltas_is_joined() -> None:
    halves = [delta_event("a\ud83d", ascii_only=True), delta_event("\ude00b", ascii_only=True)]
    assert all_of(CompletionDecoder(), *halves) == "a😀b"


def test_a_surrogate_that_stays_alone_is_replaced() -> None:
    decoder = CompletionDecoder()
    pieces = [delta_event("a\ude00b", ascii_only=True), delta_event("c\ud83d", ascii_only=True)]
    assert all_of(decoder, *pieces) == "a\ufffdbc\ufffd"


def test_usage_comes_without_choices() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    decoder = CompletionDecoder()
    decoder.feed(delta_event("x") + event(chunk({}, "stop")))
    decoder.feed(event({**chunk({}), "choices": [], "usage": usage}))
    assert decoder.usage == Usage(5, 7, 3)
    assert decoder.finish_reason == "stop"
    assert decoder.model == "qwen/qwen3-next-80b"


def test_what_follows_the_end_mark_is_not_read() -> None:
    decoder = CompletionDecoder()
    assert all_of(decoder, delta_event("a"), b"data: [DONE]\n\n", delta_event("b")) == "a"
    assert decoder.is_done


@pytest.mark.parametrize(
    "body",
    [
        b'event: error\ndata: {"error":{"message":"x"},"message":"x"}\n\n',
        b'data: {"error":"x"}\n\n',
        b'data: {"choices":[],"error":"x"}\n\n',
        b'error: {"message":"x"}\n\n',
        b'{"error":"x"}',
    ],
)
def test_errors_inside_a_stream_are_found_in_every_form(body: bytes) -> None:
    decoder = CompletionDecoder()
    assert all_of(decoder, delta_event("a") + body) == "a"
    assert decoder.failure is not None
    assert not decoder.has_ended


def test_a_reply_in_one_body_is_taken() -> None:
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm.", "tool_calls": []}
    reply = {"model": "m", "choices": [{"message": message, "finish_reason": "length"}]}
    decoder = CompletionDecoder()
    assert decoder.accept_reply(reply) == ("Yes.", "Hm.")
    assert decoder.finish_reason == "length"


@pytest.mark.parametrize(
    "payload",
    [
        {"choices": {}},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None}}]},
        {"choices": [{"delta": {"content": 7, "reasoning": {}}, "finish_reason": 3}]},
        {"choices": [{"delta": {"tool_calls": [{}]}}], "model": 5, "usage": "many"},
        {"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": "x"}},
    ],
)
def test_wrong_types_say_nothing_and_break_nothing(payload: object) -> None:
    decoder = CompletionDecoder()
    assert all_of(decoder, event(payload), delta_event("a")) == "a"
    assert not decoder.has_failed


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "other"}, 4, {"text": "b"}]
    assert all_of(CompletionDecoder(), event(chunk({"content": parts}))) == "ab"


@pytest.mark.parametrize("text", ["NaN", "[" * 5000, "9" * 5000, "", "{", '{"a":Infinity}'])
def test_what_is_no_json_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_an_event_over_its_limit_ends_the_stream() -> None:
    decoder = CompletionDecoder()
    piece = b"x" * 65_536
    decoder.feed(delta_event("a") + b'data: {"choices":[{"delta":{"content":"')
    for _ in range(MAX_EVENT_BYTES // len(piece) + 1):
        decoder.feed(piece)
    assert decoder.is_malformed


def test_many_data_lines_are_one_event_with_the_same_limit() -> None:
    sse = SseDecoder()
    lines = b"data: " + b"x" * 1000 + b"\n"
    for _ in range(MAX_EVENT_BYTES // 1000 + 2):
        sse.feed(lines)
    assert sse.exceeded
    assert sse.finish() == []


def test_comments_alone_end_the_stream_at_the_limit_of_one_event() -> None:
    sse = SseDecoder()
    for _ in range(MAX_EVENT_BYTES // 1200 + 1):
        sse.feed(b": still here\n" * 100)
    assert sse.exceeded


def test_comments_between_events_count_towards_the_stream_only() -> None:
    sse = SseDecoder()
    for _ in range(MAX_EVENT_BYTES // 1200 + 1):
        assert sse.feed(b": still here\n" * 100 + b"data: {}\n\n") == [b"{}"]
    while sse.received_bytes <= MAX_STREAM_BYTES:
        sse.feed(b": still here\n" * 100 + b"data: {}\n\n")
    assert sse.exceeded


def test_a_stream_that_only_repeats_a_known_form_has_the_same_limit() -> None:
    decoder = CompletionDecoder(limit_bytes=100_000)
    one = delta_event("word")
    decoder.feed(one)
    for _ in range(100_000 // len(one) + 1):
        decoder.feed(one)
    assert decoder.is_malformed


def test_a_byte_order_mark_and_data_without_a_space_are_taken() -> None:
    body = b"\xef\xbb\xbfdata:" + json.dumps(chunk({"content": "a"})).encode() + b"\n\n"
    assert all_of(CompletionDecoder(), body) == "a"
    assert all_of(CompletionDecoder(), *(bytes([byte]) for byte in body)) == "a"
