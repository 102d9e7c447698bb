"""What goes on inside: the bot's requests to Discord, the model's prompts, the line, the clocks."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from bot.core.record import QuestionRecord, Span
from bot.demo.page.prompts import Prompt, asked_prompt, recorded_prompt
from bot.demo.page.view import Json
from bot.demo.world import Demo
from bot.queue.scheduler import QueueEntry
from sandbox.discord import RequestRecord
from sandbox.lmstudio import RecordedRequest

KEPT_REQUESTS: Final = 200
KEPT_PROMPTS: Final = 10
MOST_RECORDS: Final = 2000
"""Requests that the sandbox remembers before it forgets them all, so that a long demo stays small."""
MAX_BODY_CHARS: Final = 2000

_LABELS: Final = {
    Span.PREPARE: "preparing",
    Span.QUEUE: "queued",
    Span.LOAD: "loading",
    Span.READ: "reading",
    Span.THINK: "thinking",
    Span.WRITE: "writing",
    Span.DELIVER: "delivering",
}

_ABOUT: Final = {
    "clock": "Where the time of the newest answer went, from the question to the last word.",
    "queue": "The model answers a few questions at once. Whoever comes later waits here.",
    "prompt": "A model remembers nothing: for each answer it is given the conversation anew, in tokens "
    "(pieces of words). A beginning that stays the same is kept, and only the rest is read.",
    "request": "What the bot asked of Discord, newest first. Open a line for its content.",
}
"""What each part shows, in a sentence for somebody who sees it for the first time."""
_MESSAGE: Final = "/channels/{channel_id}/messages"
_DOES: Final = {
    ("POST", _MESSAGE): "posts a message",
    ("GET", _MESSAGE): "reads what was said before",
    ("GET", f"{_MESSAGE}/{{message_id}}"): "looks at a message",
    ("PATCH", f"{_MESSAGE}/{{message_id}}"): "edits its message",
    ("DELETE", f"{_MESSAGE}/{{message_id}}"): "deletes its message",
    ("POST", "/channels/{channel_id}/typing"): "shows that it is typing",
    (
        "POST",
        "/interactions/{interaction_id}/{interaction_token}/callback",
    ): "answers a command or a button",
    ("GET", "/gateway/bot"): "asks where to connect",
    ("PUT", "/applications/{application_id}/commands"): "registers its commands",
    ("GET", "/users/@me"): "asks who it is",
    ("GET", "/oauth2/applications/@me"): "asks who owns it",
}
"""What the bot does by a request, by method and route."""


class Inside:
    """Looks into one demo. Each ``new_…`` returns what has changed since it was last called."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._notes = demo.notes
        self._requests = _Requests(demo)
        self._prompts: deque[Prompt] = deque(maxlen=KEPT_PROMPTS)
        self._newest: RecordedRequest | None = None
        self._count = 0
        self._heard = 0
        self._ended = 0
        self._line: Json | None = None

    def snapshot(self) -> Json:
        """Return all of it."""
        return {
            "about": _ABOUT,
            "requests": self._requests.all(),
            "prompts": [each.drawn() for each in self._prompts],
            "queue": self._queue(),
            "clocks": [*map(_clock, self._notes.records), *self._running()],
        }

    def new_requests(self) -> list[Json]:
        """Return requests that have come or been answered."""
        return self._requests.new()

    def new_prompts(self) -> list[Json]:
        """Return prompts that have come or got further."""
        fresh = self._asked() if self._demo.lmstudio is None else self._recorded()
        self._prompts.extend(fresh)
        return [each.update() for each in self._prompts if each.has_changed()]

    def new_clocks(self) -> list[Json]:
        """Return the clocks of questions that have ended, and of those that go on."""
        fresh = self._notes.ended_count - self._ended
        self._ended = self._notes.ended_count
        ended = list(self._notes.records)[-fresh:] if fresh else []
        return [*map(_clock, ended), *self._running()]

    def _running(self) -> list[Json]:
        running = self._notes.open.values()
        return [_clock(each.close(None)) | {"now": each.span.value} for each in running]

    def new_queue(self) -> Json | None:
        """Return the line if anybody has moved in it."""
        queue = self._queue()
        moved = {**queue, "running": _who(queue["running"]), "waiting": _who(queue["waiting"])}
        if moved == self._line:
            return None
        self._line = moved
        return queue

    def _asked(self) -> list[Prompt]:
        """Return what the bot has asked a real server since the last look, oldest first."""
        fresh = self._notes.asked_count - self._heard
        self._heard = self._notes.asked_count
        first = self._heard - fresh + 1
        newest = list(self._notes.asked)[-fresh:] if fresh else []
        now = self._demo.discord.world.now()
        return [
            asked_prompt(n, each, now) for n, each in enumerate(newest, first + fresh - len(newest))
        ]

    def _recorded(self) -> list[Prompt]:
        """Return the completions that have come to the stand-in since the last look, oldest first."""
        lmstudio, world = self._demo.lmstudio, self._demo.discord.world
        found: list[RecordedRequest] = []
        for record in reversed([] if lmstudio is None else lmstudio.requests):
            if record is self._newest or len(found) >= KEPT_PROMPTS:
                break
            if record.is_completion and record.body is not None:
                found.append(record)
        if found:
            self._newest = found[0]
        prompts = []
        for record in found[::-1]:
            self._count += 1
            since_s = world.monotonic() - record.time
            prompts.append(recorded_prompt(self._count, record, world.now() - since_s))
        return prompts

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
            "does": _DOES.get((record.method, record.route), record.path),
            "status": record.status,
            "code": record.code,
            "took_s": took_s,
            "fault": record.fault,
            "body": _body(record.body),
        }


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
        "now": None,
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
