"""Events of a chat completion stream, for tests."""

from __future__ import annotations

import json
from typing import Any


def chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk as LM Studio forms it."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1786978904,
        "model": "qwen/qwen3-next-80b",
        "choices": [choice],
        **more,
    }


def event(payload: Any, *, ascii_only: bool = False, spaced: bool = False) -> bytes:
    """Return a payload as one event."""
    separators = (", ", ": ") if spaced else (",", ":")
    text = json.dumps(payload, ensure_ascii=ascii_only, separators=separators)
    return b"data: " + text.encode() + b"\n\n"


def delta_event(
    text: str, *, field: str = "content", ascii_only: bool = False, spaced: bool = False
) -> bytes:
    """Return the event of one delta."""
    delta = {"role": "assistant", field: text}
    return event(chunk(delta), ascii_only=ascii_only, spaced=spaced)
