"""SSE byte streams as LM Studio, its eras and the proxies before it write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.lmstudio import errors, wire
from sandbox.lmstudio.faults import ERRORS, Fault, Form, Situation
from sandbox.lmstudio.tokens import tokenize

Field = Literal["content", "reasoning_content", "reasoning"]

_ENGLISH = "The capital of France is Paris. It lies on the Seine."
_THINKING = "Okay, the user asks for a capital. That is easy."
_TEXTS: dict[str, str] = {
    "english": _ENGLISH,
    "german": "Größe, Übermut und Ärger: 12,5 °C – „schön“.",
    "chinese": "巴黎是法国的首都，位于塞纳河畔。",
    "emoji": "👩‍👩‍👧‍👦 familia 🇫🇷 e\u0301 👍🏽",
    "arabic": "مرحبا بالعالم، كيف حالك؟",
    "code": '```python\nfor i in range(3):\n\tprint("a\\tb", {i: "data: x"})\n```\n',
    "newlines": "a\n\nb\r\nc\rd\u2028e\u2029f\x0bg\x85h",
    "json": '{"data": "data: [DONE]", "x": "\\n\\n"}',
    "astral": "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𒀀𒁀 🀄",
}


@dataclass(frozen=True, slots=True)
class RecordedStream:
    """The body of one streamed reply and what a client must read from it.

    Attributes:
        name: Unique.
        body: The bytes.
        content: All content, joined.
        reasoning: All reasoning of either field, joined.
        finish: Finish reason; ``None`` where the stream ends without one.
        error: The message of an error inside the stream; ``None`` without one.
        done: ``[DONE]`` stands at the end.
        prompt_tokens: From usage, if there is one.
        completion_tokens: From usage, if there is one.
    """

    name: str
    body: bytes
    content: str
    reasoning: str = ""
    finish: str | None = "stop"
    error: str | None = None
    done: bool = True
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def _chunk(delta: object, finish: str | None = None, **more: object) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-k3v8",
        "object": "chat.completion.chunk",
        "created": 1786978904,
        "model": "qwen/qwen3-next-80b",
        "system_fingerprint": "qwen/qwen3-next-80b",
        "choices": [choice],
        **more,
    }


def _deltas(field: Field, text: str) -> list[dict[str, Any]]:
    return [_chunk({"role": "assistant", field: piece}) for piece in tokenize(text)]


def _usage(prompt: int, completion: int, reasoning: int = 0) -> dict[str, Any]:
    return {**_chunk({}), "choices": [], "usage": wire.usage(prompt, completion, reasoning)}


def _join(
    chunks: Sequence[dict[str, Any]],
    *,
    newline: bytes = b"\n",
    prefix: bytes = b"data: ",
    done: bool = True,
    ascii_only: bool = False,
) -> bytes:
    lines = [
        json.dumps(chunk, ensure_ascii=ascii_only, separators=(",", ":")).encode()
        for chunk in chunks
    ]
    if done:
        lines.append(b"[DONE]")
    return b"".join(prefix + line + newline * 2 for line in lines)


_STOP = _chunk({}, "stop")


def _texts() -> list[RecordedStream]:
    found = []
    for name, text in _TEXTS.items():
        chunks = [*_deltas("content", text), _STOP]
        counted = [*chunks, _usage(31, len(tokenize(text)))]
        found += [
            RecordedStream(f"{name}/lf", _join(chunks), text),
            RecordedStream(f"{name}/crlf", _join(chunks, newline=b"\r\n"), text),
            RecordedStream(f"{name}/escaped", _join(chunks, ascii_only=True), text),
            RecordedStream(
                f"{name}/usage",
                _join(counted),
                text,
                prompt_tokens=31,
                completion_tokens=len(tokenize(text)),
            ),
        ]
    return found


def _reasoning() -> list[RecordedStream]:
    found = []
    for field in ("reasoning_content", "reasoning"):
        chunks = [*_deltas(field, _THINKING), *_deltas("content", _ENGLISH), _STOP]
        found += [
            RecordedStream(f"{field}/lf", _join(chunks), _ENGLISH, _THINKING),
            RecordedStream(
                f"{field}/usage_crlf",
                _join([*chunks, _usage(20, 30, 12)], newline=b"\r\n"),
                _ENGLISH,
                _THINKING,
                prompt_tokens=20,
                completion_tokens=30,
            ),
            RecordedStream(
                f"{field}/only",
                _join([*_deltas(field, _THINKING), _chunk({}, "length")]),
                "",
                _THINKING,
                "length",
            ),
            RecordedStream(
                f"{field}/empty_beside_content",
                _join([_chunk({"role": "assistant", field: "", "content": "Hi"}), _STOP]),
                "Hi",
            ),
        ]
    inline = f"<think>\n{_THINKING}\n</think>\n\n{_ENGLISH}"
    found.append(
        RecordedStream("inline_think", _join([*_deltas("content", inline), _STOP]), inline)
    )
    return found


_HELLO = [*_deltas("content", _ENGLISH), _STOP]


def _framings() -> list[RecordedStream]:
    hello = _HELLO
    plain = _join(hello)
    comments = b": ping\n\n" + plain.replace(b"\n\n", b"\n\n: keep-alive\n\n", 3)
    lines = plain.replace(b"data: ", b"event: message\nid: 7\nretry: 3000\ndata: ")
    pretty = b"".join(
        b"".join(b"data: " + line + b"\n" for line in json.dumps(c, indent=1).encode().split(b"\n"))
        + b"\n"
        for c in hello
    )
    return [
        RecordedStream("no_space", _join(hello, prefix=b"data:"), _ENGLISH),
        RecordedStream("cr_only", _join(hello, newline=b"\r"), _ENGLISH),
        RecordedStream("comments", comments, _ENGLISH),
        RecordedStream("event_id_retry", lines, _ENGLISH),
        RecordedStream("data_over_lines", pretty + wire.DONE, _ENGLISH),
        RecordedStream("bom", b"\xef\xbb\xbf" + plain, _ENGLISH),
        RecordedStream("no_done", _join(hello, done=False), _ENGLISH, done=False),
        RecordedStream("no_last_newline", plain.rstrip(b"\n"), _ENGLISH),
    ]


def _contents() -> list[RecordedStream]:
    hello = _HELLO
    nulls = [
        _chunk(None),
        _chunk({"role": "assistant", "content": None, "tool_calls": None}),
        _chunk({"role": "assistant"}),
        *hello,
    ]
    stop_in_last = [*_deltas("content", "Hel"), _chunk({"content": "lo"}, "stop")]
    return [
        RecordedStream("nulls", _join(nulls), _ENGLISH),
        RecordedStream("finish_beside_text", _join(stop_in_last), "Hello"),
        RecordedStream("role_first", _join([_chunk({"role": "assistant"}), *hello]), _ENGLISH),
        RecordedStream(
            "usage_on_last_choice",
            _join([*hello[:-1], _chunk({}, "stop", usage=wire.usage(5, 9, 0))]),
            _ENGLISH,
            prompt_tokens=5,
            completion_tokens=9,
        ),
        RecordedStream(
            "usage_null_everywhere", _join([{**c, "usage": None} for c in hello]), _ENGLISH
        ),
        RecordedStream(
            "length", _join([*hello[:-1], _chunk({}, "length")]), _ENGLISH, finish="length"
        ),
        RecordedStream(
            "unknown_finish",
            _join([*hello[:-1], _chunk({}, "userStopped")]),
            _ENGLISH,
            finish="userStopped",
        ),
        RecordedStream("empty", _join([_STOP]), ""),
        RecordedStream(
            "empty_zero_usage",
            _join([_STOP, _usage(0, 0)]),
            "",
            prompt_tokens=0,
            completion_tokens=0,
        ),
        RecordedStream(
            "extra_fields", _join([{**c, "stats": {}, "x": [1]} for c in hello]), _ENGLISH
        ),
        RecordedStream("tool_calls", _tool_calls(), "", finish="tool_calls"),
        RecordedStream("one_byte_pieces", _join([*_bytes_of("héllo 👋"), _STOP]), "héllo 👋"),
    ]


def _bytes_of(text: str) -> list[dict[str, Any]]:
    return [_chunk({"role": "assistant", "content": character}) for character in text]


def _tool_calls() -> bytes:
    first = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "search", "arguments": ""},
    }
    return _join(
        [
            _chunk({"role": "assistant", "tool_calls": [first]}),
            _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"q":'}}]}),
            _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"x"}'}}]}),
            _chunk({}, "tool_calls"),
        ]
    )


def _failures() -> list[RecordedStream]:
    begun = _join(_deltas("content", _ENGLISH), done=False)
    forms: tuple[Form, ...] = ("event", "data", "data_string")
    found = []
    for fault in (
        Fault.COMPUTE_ERROR,
        Fault.POOL_FULL,
        Fault.OVERFLOW_N_KEEP,
        Fault.DEVICE_LOST,
        Fault.JINJA_ALTERNATE,
        Fault.UNLOADED,
        Fault.PEG_NATIVE,
    ):
        reply = ERRORS[fault](Situation())
        for form in forms:
            raw = wire.error_event(reply, form)
            text = _ENGLISH
            if fault in {Fault.OVERFLOW_N_KEEP, Fault.JINJA_ALTERNATE}:
                text = ""
            body = (begun if text else b"") + raw
            found.append(
                RecordedStream(
                    f"error/{fault}/{form}",
                    body,
                    text,
                    finish=None,
                    error=reply.message,
                    done=False,
                )
            )
    with_done = begun + wire.error_event(errors.bare("Compute error.")) + wire.DONE
    found += [
        RecordedStream("error/then_done", with_done, _ENGLISH, finish=None, error="Compute error."),
        RecordedStream("cut/clean", begun, _ENGLISH, finish=None, done=False),
        RecordedStream(
            "cut/inside_event", begun + b'data: {"id":"chatc', _ENGLISH, finish=None, done=False
        ),
        RecordedStream("cut/only_comment", b": ping\n\n", "", finish=None, done=False),
    ]
    return found


RECORDED_STREAMS: tuple[RecordedStream, ...] = (
    *_texts(),
    *_reasoning(),
    *_framings(),
    *_contents(),
    *_failures(),
)
"""All recorded streams; names are unique."""
