"""Recorded streams, cut and damaged in every way: the same text, or an orderly end."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lmstudio.completion import CompletionDecoder
from sandbox.lmstudio import RECORDED_STREAMS, RecordedStream
from tests.unit.lmstudio.chunks import delta_event

MUTATIONS = 2000
LONG_BYTES = 4100
"""Longer streams repeat what the others have; they are cut at every eleventh byte."""

BY_NAME = pytest.mark.parametrize("stream", RECORDED_STREAMS, ids=lambda stream: stream.name)


def decoded(*pieces: bytes) -> tuple[str, str, CompletionDecoder]:
    """Feed pieces to a fresh decoder; return content, reasoning, and the decoder."""
    decoder = CompletionDecoder()
    texts = [decoder.feed(piece) for piece in pieces]
    texts.append(decoder.finish())
    content = "".join(content for content, _ in texts)
    return content, "".join(reasoning for _, reasoning in texts), decoder


def assert_exact(stream: RecordedStream, *pieces: bytes) -> None:
    """Fail unless the pieces decode to what the recording says."""
    content, reasoning, decoder = decoded(*pieces)
    assert content == stream.content
    assert reasoning == stream.reasoning
    assert decoder.finish_reason == stream.finish
    assert (decoder.failure is not None) == (stream.error is not None)
    assert not decoder.is_malformed
    if stream.prompt_tokens is not None:
        assert decoder.usage is not None
        assert decoder.usage.prompt_tokens == stream.prompt_tokens
        assert decoder.usage.completion_tokens == stream.completion_tokens


def test_at_least_fifty_streams_are_cut_at_every_byte() -> None:
    assert sum(len(stream.body) <= LONG_BYTES for stream in RECORDED_STREAMS) >= 50


@BY_NAME
def test_a_stream_in_one_piece_is_read_exactly(stream: RecordedStream) -> None:
    assert_exact(stream, stream.body)


@BY_NAME
def test_a_stream_cut_in_two_at_any_byte_is_read_exactly(stream: RecordedStream) -> None:
    step = 1 if len(stream.body) <= LONG_BYTES else 11
    for cut in range(0, len(stream.body), step):
        assert_exact(stream, stream.body[:cut], stream.body[cut:])


@BY_NAME
def test_a_stream_byte_by_byte_is_read_exactly(stream: RecordedStream) -> None:
    assert_exact(stream, *(bytes([byte]) for byte in stream.body))


@given(st.sampled_from(RECORDED_STREAMS), st.lists(st.integers(1, 400), max_size=40))
def test_a_stream_cut_anyhow_is_read_exactly(stream: RecordedStream, sizes: list[int]) -> None:
    pieces = []
    rest = stream.body
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert_exact(stream, *pieces, rest)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
@BY_NAME
def test_other_line_ends_change_nothing(stream: RecordedStream, line_end: bytes) -> None:
    body = stream.body.replace(b"\r\n", b"\n").replace(b"\n", line_end)
    assert_exact(stream, body)
    assert_exact(stream, *(bytes([byte]) for byte in body))


def test_damaged_streams_raise_nothing() -> None:
    dice = random.Random(20260101)
    for _ in range(MUTATIONS):
        body = bytearray(dice.choice(RECORDED_STREAMS).body)
        for _ in range(dice.randint(1, 8)):
            damage(body, dice)
        cut = dice.randrange(len(body) + 1)
        content, reasoning, _ = decoded(bytes(body[:cut]), bytes(body[cut:]))
        content.encode()
        reasoning.encode()


def damage(body: bytearray, dice: random.Random) -> None:
    """Change, drop, repeat or insert something at a random place."""
    at = dice.randrange(len(body) + 1)
    kind = dice.randrange(5)
    if kind == 0 and body:
        body[at % len(body)] = dice.randrange(256)
    elif kind == 1:
        del body[at : at + dice.randint(1, 20)]
    elif kind == 2:
        body[at:at] = body[at : at + dice.randint(1, 60)]
    elif kind == 3:
        body[at:at] = dice.choice(HOSTILE)
    else:
        body[:] = body.replace(*dice.choice(SWAPS), 1)


HOSTILE = (
    b"\x00\xff\xfe",
    b"null",
    b'"\\ud83d"',
    b"[" * 6000,
    b"9" * 5000,
    b"NaN",
    b"\n\ndata: 7\n\n",
    b'\n\ndata: {"choices":{},"error":[]}\n\n',
    b'\n\ndata: {"choices":[null],"usage":[1],"model":3}\n\n',
    b'\n\ndata: {"choices":[{"delta":{"content":[{"text":7},4]},"finish_reason":{}}]}\n\n',
    b'\n\ndata: {"choices":[{"delta":[],"message":"x"}],"usage":{"prompt_tokens":-1}}\n\n',
    b"\n\ndata: [DONE]\n\n",
)
SWAPS = (
    (b'"content":"', b'"content":'),
    (b'"choices":[', b'"choices":{'),
    (b'"delta":{', b'"delta":null,"x":{'),
    (b"data:", b"dat"),
    (b'"index":0', b'"index":1e999'),
    (b"\n\n", b"\n"),
)


@given(st.lists(st.text(max_size=8), max_size=30), st.booleans(), st.booleans())
def test_texts_of_deltas_come_out_as_they_went_in(
    texts: list[str], ascii_only: bool, spaced: bool
) -> None:
    events = [delta_event(text, ascii_only=ascii_only, spaced=spaced) for text in texts]
    end = b"data: [DONE]\n\n"
    expected = "".join(texts)
    for pieces in ((b"".join(events) + end,), (*events, end)):
        content, _, decoder = decoded(*pieces)
        assert content == expected
        assert decoder.is_done
        assert decoder.has_content == bool(expected.strip())


@given(
    st.lists(st.tuples(st.sampled_from(["content", "reasoning", "reasoning_content"]), st.text()))
)
def test_fields_may_alternate(deltas: list[tuple[str, str]]) -> None:
    body = b"".join(delta_event(text, field=field) for field, text in deltas)
    content, reasoning, _ = decoded(body)
    assert content == "".join(text for field, text in deltas if field == "content")
    assert reasoning == "".join(text for field, text in deltas if field != "content")
