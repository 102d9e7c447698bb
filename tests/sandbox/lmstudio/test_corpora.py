"""The corpora are complete and consistent with themselves."""

from __future__ import annotations

import pytest

from sandbox.lmstudio import (
    FAMILIES,
    MARKUP_CASES,
    RECORDED_STREAMS,
    MarkupCase,
    RecordedStream,
)


def test_there_are_enough_families_and_names_are_unique() -> None:
    assert len(FAMILIES) >= 50
    names = [case.name for case in MARKUP_CASES]
    assert len(names) == len(set(names))
    assert len(names) >= 300


@pytest.mark.parametrize("case", MARKUP_CASES, ids=lambda case: case.name)
def test_what_must_be_shown_is_in_the_raw_text_and_no_secret_is(case: MarkupCase) -> None:
    assert case.answer in case.raw
    assert "SECRETSTEP" not in case.answer
    for line in case.thinking.splitlines():
        assert line in case.raw


def test_there_are_enough_recorded_streams() -> None:
    names = [stream.name for stream in RECORDED_STREAMS]
    assert len(names) == len(set(names))
    assert len(names) >= 50
    assert any(b"\r\n" in stream.body for stream in RECORDED_STREAMS)


@pytest.mark.parametrize("stream", RECORDED_STREAMS, ids=lambda stream: stream.name)
def test_a_recorded_stream_says_what_it_contains(stream: RecordedStream) -> None:
    assert stream.body
    assert (stream.finish is None) or stream.error is None
