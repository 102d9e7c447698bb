"""Bytes of LM Studio's replies: JSON bodies, SSE chunks, headers, errors inside a stream."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

from sandbox.lmstudio.faults import Form
from sandbox.lmstudio.values import ErrorReply

_ids = itertools.count(1)

STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
}
DONE = b"data: [DONE]\n\n"


def dumps(value: object) -> bytes:
    """Return JSON as JavaScript writes it: no spaces, no escapes beyond ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


def event(value: object) -> bytes:
    """Return one SSE event."""
    return b"data: " + dumps(value) + b"\n\n"


def error_event(reply: ErrorReply, form: Form = "event") -> bytes:
    """Return an error inside a stream, in one of the forms seen."""
    if form == "event":
        body: Any = {"error": {"message": reply.message}, "message": reply.message}
        return b"event: error\n" + event(body)
    if form == "data":
        return event({"error": {"message": reply.message}})
    return event({"error": reply.message})


def usage(
    prompt_tokens: int,
    completion_tokens: int,
    reasoning_tokens: int,
    cached_tokens: int | None = None,
) -> dict[str, Any]:
    """Return the usage object, in tokens; LM Studio doesn't say what was cached."""
    counted: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
    }
    if cached_tokens is not None:
        counted["prompt_tokens_details"] = {"cached_tokens": cached_tokens}
    return counted


class Chunks:
    """Makes the chunks of one stream.

    Args:
        model: Model name to report.
    """

    def __init__(self, model: str) -> None:
        self.id = f"chatcmpl-{next(_ids):024d}"
        self.created = int(time.time())
        self.model = model

    def _base(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.model,
            "choices": choices,
        }

    def delta(self, field: str, value: object) -> bytes:
        """Return a chunk with one field; the role stands in every one."""
        return self.choice({"role": "assistant", field: value}, None)

    def choice(self, delta: object, finish_reason: str | None) -> bytes:
        """Return a chunk with one choice."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return event(self._base([choice]))

    def usage(self, value: dict[str, Any]) -> bytes:
        """Return the chunk that has no choice, only usage."""
        return event({**self._base([]), "usage": value})

    def whole(
        self, message: dict[str, Any], finish_reason: str, counted: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the body of a plain reply."""
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
            ],
            "usage": counted,
            "stats": {},
            "system_fingerprint": self.model,
        }
