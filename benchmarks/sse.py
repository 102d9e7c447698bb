"""How many deltas a second one core takes: decoded, decoded and filtered, and a generic client.

The stream is 600 deltas of English and Markdown with code, in chunks as LM Studio forms them. The
generic client builds one validated object per delta, as OpenAI-style clients do.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence

from pydantic import BaseModel, Field

from benchmarks.table import print_table
from bot.core.domain import FinishReason, TextDelta
from bot.lmstudio.completion import CompletionDecoder
from bot.output.pipeline import OutputPolicy, ReplyPipeline, SecretGuard

_ANSWER = (
    "The list of primes below a limit can be had with a sieve. It marks every multiple of each "
    "prime, so what stays unmarked is prime:\n\n```python\ndef primes(limit):\n    sieve = "
    "[True] * limit\n    return [i for i in range(2, limit) if sieve[i]]\n```\n\n- **Time**: "
    "about n log log n\n- **Memory**: one flag per number\n\nFor large limits, work in segments. "
)
_DELTAS = 600
USUAL = 10
"""Deltas that one read brings once there is something to see: 40 a second, a read each 0.25 s."""
BAR = 60_000
"""Deltas a second, decoded and filtered, at the usual size of a read."""


class Delta(BaseModel):
    """As a generic client models it."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None


class Choice(BaseModel):
    """As a generic client models it."""

    index: int
    delta: Delta
    logprobs: object = None
    finish_reason: str | None = None


class Chunk(BaseModel):
    """As a generic client models it."""

    id: str
    kind: str = Field(alias="object")
    created: int
    model: str
    system_fingerprint: str | None = None
    choices: list[Choice]
    usage: dict[str, object] | None = None


def main(argv: list[str]) -> int:
    """Measure and print; exit code 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="sse", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="per row")
    seconds = parser.parse_args(argv).seconds
    events = _events()
    rows: list[Sequence[object]] = []
    bar = 0.0
    for per_read in (1, USUAL, 32):
        reads = [b"".join(events[i : i + per_read]) for i in range(0, len(events), per_read)]
        for name, work in (
            ("decoded", _decode),
            ("decoded and filtered", _decode_and_filter),
            ("generic client: one object per delta", _generic),
        ):
            rate = _rate(lambda work=work, reads=reads: work(reads), seconds)  # type: ignore[misc]
            rows.append((name, per_read, f"{rate:,.0f}", f"{1e6 / rate:.2f}"))
            if work is _decode_and_filter and per_read == USUAL:
                bar = rate
    headers = ("what", "deltas per read", "deltas/s", "µs per delta")
    print_table("SSE throughput on one core (CPU time)", headers, rows)
    return 0 if bar >= BAR else 1


def _events() -> list[bytes]:
    parts = "".join(f"Part {number}. {_ANSWER}" for number in range(12))
    words = parts.replace(" ", "\x00 ").split("\x00")
    events = []
    for index in range(_DELTAS):
        chunk = {
            "id": "chatcmpl-9q2jbl5e8hcmw0u1ycgk3f",
            "object": "chat.completion.chunk",
            "created": 1786978904,
            "model": "qwen/qwen3-next-80b",
            "system_fingerprint": "qwen/qwen3-next-80b",
            "choices": [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": words[index]},
                    "logprobs": None,
                    "finish_reason": None,
                }
            ],
        }
        events.append(b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n")
    return events


def _decode(reads: list[bytes]) -> None:
    decoder = CompletionDecoder()
    for data in reads:
        decoder.feed(data)


def _decode_and_filter(reads: list[bytes]) -> None:
    decoder = CompletionDecoder()
    pipeline = ReplyPipeline(
        policy=OutputPolicy(), secrets=SecretGuard(["a-secret-value", "192.168.1.20"])
    )
    for data in reads:
        content, reasoning = decoder.feed(data)
        pipeline.feed(TextDelta(content, reasoning))
    pipeline.close(FinishReason.STOP)


def _generic(reads: list[bytes]) -> None:
    text = ""
    buffer = b""
    for data in reads:
        buffer += data
        *events, buffer = buffer.split(b"\n\n")
        for event in events:
            chunk = Chunk.model_validate(json.loads(event.removeprefix(b"data: ")))
            text += chunk.choices[0].delta.content or ""


def _rate(work: Callable[[], None], seconds: float) -> float:
    """Return deltas per second of CPU time."""
    work()
    began_s = time.process_time()
    done = 0
    while (spent_s := time.process_time() - began_s) < seconds:
        work()
        done += _DELTAS
    return done / spent_s
