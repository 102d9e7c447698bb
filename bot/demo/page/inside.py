"""What goes on inside: the bot's requests to Discord, the model's prompts, the line, the clocks."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from bot.core.record import QuestionRecord, Span
from bot.demo.page.view import Json
from bot.demo.world import Demo
from bot.queue.scheduler import QueueEntry
from sandbox.discord import RequestRecord
from sandbox.lmstudio import RecordedRequest, text_of, turn_tokens

KEPT_REQUESTS: Final = 200
KEPT_PROMPTS: Final = 10
MOST_RECORDS: Final = 2000
"""Requests that the sandbox remembers before it forgets them all, so that a long demo stays small."""
MAX_BODY_CHARS: Final = 2000
MAX_TURN_CHARS: Final = 4000
MAX_TURNS: Final = 200
NO_PROMPTS: Final = "A real LM Studio answers: it shows its prompts in its own developer log."

_LABELS: Final = {
    Span.PREPARE: "preparing",
    Span.QUEUE: "queued",
    Span.LOAD: "loading",
    Span.READ: "reading",
    Span.THINK: "thinking",
    Span.WRITE: "writing",
    Span.DELIVER: "delivering",
}


class Inside:
    """Looks into one demo. Each ``new_…`` returns what has changed since it was last called.

    Args:
        demo: Which.
    """

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._notes = demo.notes
        self._requests = _Requests(demo)
        self._prompts: deque[_Prompt] = deque(maxlen=KEPT_PROMPTS)
        self._newest: RecordedRequest | None = None
        self._count = 0
        self._ended = 0
        self._line: Json | None = None

    def snapshot(self) -> Json:
        """Return all of it."""
        return {
            "requests": self._requests.all(),
            "prompts": [each.drawn() for each in self._prompts],
            "prompts_why": "" if self._demo.lmstudio is not None else NO_PROMPTS,
            "queue": self._queue(),
            "clocks": [_clock(each) for each in self._notes.records],
        }

    def new_requests(self) -> list[Json]:
        """Return requests that have come or been answered."""
        return self._requests.new()

    def new_prompts(self) -> list[Json]:
        """Return prompts that have come or got further."""
        world = self._demo.discord.world
        for record in self._fresh():
            self._count += 1
            since_s = world.monotonic() - record.time
            self._prompts.append(_Prompt(self._count, record, world.now() - since_s))
        return [each.update() for each in self._prompts if each.has_changed()]

    def new_clocks(self) -> list[Json]:
        """Return the clocks of questions that have ended."""
        fresh = self._notes.ended_count - self._ended
        self._ended = self._notes.ended_count
        return [_clock(each) for each in list(self._notes.records)[-fresh:]] if fresh else []

    def new_queue(self) -> Json | None:
        """Return the line if anybody has moved in it."""
        queue = self._queue()
        moved = {**queue, "running": _who(queue["running"]), "waiting": _who(queue["waiting"])}
        if moved == self._line:
            return None
        self._line = moved
        return queue

    def _fresh(self) -> list[RecordedRequest]:
        """Return the completions that have come since the last look, oldest first."""
        if self._demo.lmstudio is None:
            return []
        found: list[RecordedRequest] = []
        for record in reversed(self._demo.lmstudio.requests):
            if record is self._newest or len(found) >= KEPT_PROMPTS:
                break
            if record.is_completion and record.body is not None:
                found.append(record)
        if found:
            self._newest = found[0]
        return found[::-1]

    def _queue(self) -> Json:
        entries = self._notes.entries
        return {
            "slots": self._notes.slots,
            "running": [_queue_entry(each) for each in entries if each.place is None],
            "waiting": [_queue_entry(each) for each in entries if each.place is not None],
        }


class _Requests:
    """The bot's requests to Discord, numbered from 1."""

    def __init__(self, demo: Demo) -> None:
        self._records = demo.discord.records.requests
        self._world = demo.discord.world
        self._kept: deque[tuple[int, RequestRecord]] = deque(maxlen=KEPT_REQUESTS)
        self._open: list[tuple[int, RequestRecord]] = []
        self._count = self._looked_at = 0

    def all(self) -> list[Json]:
        return [self._drawn(*each) for each in self._kept]

    def new(self) -> list[Json]:
        fresh = list(enumerate(self._records[self._looked_at :], start=self._count + 1))
        self._count += len(fresh)
        if len(self._records) > MOST_RECORDS:
            del self._records[:]
        self._looked_at = len(self._records)
        self._kept.extend(fresh)
        answered = [each for each in self._open if each[1].answered_at is not None]
        self._open = [each for each in [*self._open, *fresh] if each[1].answered_at is None]
        return [self._drawn(*each) for each in [*answered, *fresh]]

    def _drawn(self, number: int, record: RequestRecord) -> Json:
        took_s = None if record.answered_at is None else record.answered_at - record.at
        return {
            "n": number,
            "at": self._world.now() - (self._world.monotonic() - record.at),
            "method": record.method,
            "route": record.route,
            "path": record.path,
            "status": record.status,
            "code": record.code,
            "took_s": took_s,
            "fault": record.fault,
            "body": _body(record.body),
        }


class _Prompt:
    """One prompt on its way.

    Args:
        number: Its number, from 1.
        record: What the stand-in has written down of it.
        at_unix_s: When it came.
    """

    def __init__(self, number: int, record: RecordedRequest, at_unix_s: float) -> None:
        self._number = number
        self._at_unix_s = at_unix_s
        self._record = record
        self._turns: list[tuple[Json, int]] = []
        self._seen: object = None
        self._told: list[Json] | None = None

    def has_changed(self) -> bool:
        """Tell whether it has got further since this was last asked."""
        record = self._record
        now = (record.prompt_tokens, record.started_at, record.tokens_sent, _state(record))
        seen, self._seen = self._seen, now
        return seen != now

    def update(self) -> Json:
        """Return it as it stands, without its turns where they are as they were told."""
        drawn = self.drawn()
        if drawn["turns"] == self._told:
            del drawn["turns"]
        else:
            self._told = drawn["turns"]
        return drawn

    def drawn(self) -> Json:
        """Return it as it stands."""
        record = self._record
        is_read = record.started_at is not None
        kept = record.prompt_tokens - record.reread_tokens
        return {
            "n": self._number,
            "at": self._at_unix_s,
            "model": record.model,
            "state": _state(record),
            "prompt_tokens": record.prompt_tokens,
            "read_tokens": record.reread_tokens if is_read else None,
            "kept_tokens": kept if is_read else None,
            "written_tokens": record.tokens_sent,
            "slot": record.slot,
            "finish": record.finish_reason,
            "turns": self._drawn_turns(kept if is_read else 0),
        }

    def _drawn_turns(self, kept: int) -> list[Json]:
        if not self._turns:
            messages = self._record.messages[-MAX_TURNS:]
            self._turns = [(_turn(each), turn_tokens(each)) for each in messages]
        drawn = []
        for turn, tokens in self._turns:
            drawn.append(turn | {"tokens": tokens, "kept_tokens": max(0, min(tokens, kept))})
            kept -= tokens
        return drawn


def _turn(message: Json) -> Json:
    text, content = text_of(message), message.get("content")
    parts = content if isinstance(content, list) else []
    return {
        "role": message.get("role"),
        "text": text[:MAX_TURN_CHARS],
        "cut": len(text) > MAX_TURN_CHARS,
        "images": sum(1 for each in parts if each.get("type") == "image_url"),
    }


def _state(record: RecordedRequest) -> str:
    if record.cancelled_at is not None:
        return "stopped"
    if record.ended_at is not None:
        return "done" if record.finished and record.finish_reason else "failed"
    if record.started_at is None:
        return "waiting"
    if record.first_token_at is None:
        return "reading"
    return "thinking" if record.first_content_at is None else "writing"


def _body(body: Any) -> str:  # noqa: ANN401 - as the bot sent it
    if body is None:
        return ""
    text = json.dumps(body, ensure_ascii=False)
    return text if len(text) <= MAX_BODY_CHARS else text[:MAX_BODY_CHARS] + "…"


def _queue_entry(each: QueueEntry) -> Json:
    drawn: Json = {
        "question": str(each.job.question_id),
        "channel_id": str(each.job.channel_id),
        "person_id": str(each.job.person_id),
        "for_s": each.for_s,
    }
    if each.place is not None:
        drawn |= {"place": each.place, "expected_s": each.expected_s}
    return drawn


def _who(line: Iterable[Json]) -> list[str]:
    return [each["question"] for each in line]


def _clock(record: QuestionRecord) -> Json:
    return {
        "question": str(record.question_id),
        "ended_at": record.ended_at.timestamp(),
        "outcome": record.outcome,
        "failure": record.failure.replace("_", " "),
        "model": record.model,
        "total_s": record.total_s,
        "first_word_s": record.first_word_s,
        "spans": [
            {"name": span.value, "label": label, "s": record.spans.get(span, 0.0)}
            for span, label in _LABELS.items()
        ],
        "prompt_tokens": record.prompt_tokens,
        "read_tokens": record.read_tokens,
        "reread_tokens": record.reread_tokens,
        "written_tokens": record.written_tokens,
        "retries": [each.replace("_", " ") for each in record.retries],
    }
