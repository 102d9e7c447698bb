"""What is counted, in Prometheus' form.

No label holds a person, a place, a model, an address or a text: only words of fixed sets, and numbers
of servers in the order of the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import TraceConfig, TraceRequestEndParams, TraceRequestExceptionParams
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot import __version__
from bot.core.domain import Origin
from bot.core.errors import OTHER_KIND, BackendError, error_kinds
from bot.core.ports import Outcome, ServerState
from bot.core.record import BROKEN_OFF, ONLY_THINKING, QuestionRecord, Span
from bot.idle.warm import Cost

OTHER: Final = "other"

_TEMPLATES: Final = (
    "/applications/{id}/commands",
    "/applications/{id}/commands/{id}",
    "/applications/{id}/guilds/{id}/commands",
    "/applications/@me",
    "/channels/{id}",
    "/channels/{id}/messages",
    "/channels/{id}/messages/{id}",
    "/channels/{id}/messages/{id}/reactions/{emoji}/@me",
    "/channels/{id}/messages/{id}/threads",
    "/channels/{id}/threads",
    "/channels/{id}/typing",
    "/gateway",
    "/gateway/bot",
    "/guilds/{id}",
    "/guilds/{id}/channels",
    "/guilds/{id}/messages/search",
    "/guilds/{id}/threads/active",
    "/interactions/{id}/{token}/callback",
    "/oauth2/applications/@me",
    "/users/@me",
    "/users/@me/channels",
    "/users/{id}",
    "/webhooks/{id}/{token}",
    "/webhooks/{id}/{token}/messages/@original",
    "/webhooks/{id}/{token}/messages/{id}",
)
"""What the bot asks for, and a little more; anything else is ``other``."""

_NAMED: Final = {"{token}", "{emoji}"}
_SPLIT: Final = tuple((tuple(template.split("/")), template) for template in _TEMPLATES)


def route_of(path: str) -> str:
    """Return the template of a path: ``/channels/{id}/messages``.

    Args:
        path: Of a URL of the API, with or without ``/api/v10``.
    """
    parts = path.split("/")
    if parts[1:2] == ["api"]:
        is_versioned = parts[2:3] and parts[2][:1] == "v" and parts[2][1:].isdecimal()
        del parts[1 : 3 if is_versioned else 2]
    return next((name for template, name in _SPLIT if _fits(parts, template)), OTHER)


def _fits(parts: Sequence[str], template: Sequence[str]) -> bool:
    return len(parts) == len(template) and all(
        part == form or (form == "{id}" and part.isdecimal()) or (form in _NAMED and part != "")
        for part, form in zip(parts, template, strict=True)
    )


SPAN_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
"""Seconds: from an answer out of a warm cache to one that waited half an hour for its machine."""

LAG_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60)
"""Seconds: from a quiet loop to the watchdog's last mark."""

CIRCUIT_STATES: Final = ("closed", "half-open", "open")
_METHODS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Sources:
    """What is asked at each look.

    Attributes:
        waiting: Questions in the queue.
        running: Questions being answered.
        slots: Questions that may be answered at once at the moment.
        servers: The model's servers, in the order of the settings.
        store_errors: How often the storage has failed.
        store_pending: Writes and questions that are held in memory only.
        is_store_failing: The storage fails now.
        is_online: Discord's session is up.
        read_ahead: What reading ahead has cost.
        summaries: How many were made of conversations.
        standbys: How many other processes wait to take over, or share the shards.
    """

    waiting: Callable[[], int]
    running: Callable[[], int]
    slots: Callable[[], int]
    servers: Callable[[], Sequence[ServerState]]
    store_errors: Callable[[], int]
    store_pending: Callable[[], int]
    is_store_failing: Callable[[], bool]
    is_online: Callable[[], bool]
    read_ahead: Callable[[], Cost]
    summaries: Callable[[], int]
    standbys: Callable[[], int] = lambda: 0


class Metrics:
    """What is counted, each instance with a registry of its own.

    Args:
        leads: Returns whether this process is the one that answers.
    """

    def __init__(self, leads: Callable[[], bool] = lambda: True) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Gauge(
            "clawbot_build_info", "Always 1; the version", ["version"], registry=self.registry
        )
        build.labels(__version__).set(1)
        leader = Gauge(
            "clawbot_leader",
            "1 while this process is the one that answers, 0 while it waits to take over",
            registry=self.registry,
        )
        leader.set_function(leads)
        self._accepted = self._counter(
            "clawbot_questions_accepted",
            "Questions taken in, by where they came from",
            "origin",
            Origin,
        )
        self._ended = self._counter(
            "clawbot_questions_ended", "Questions ended, by outcome", "outcome", Outcome
        )
        self._failed = self._counter(
            "clawbot_questions_failed",
            "Questions that ended with a failure, by its kind",
            "kind",
            sorted(error_kinds()),
        )
        self._retries = self._counter(
            "clawbot_model_retries",
            "Requests to the model made again, by the failure of the one before",
            "cause",
            sorted({*error_kinds(BackendError), BROKEN_OFF, ONLY_THINKING}),
        )
        self._time_questions()
        self._count_tokens()
        self._rest = Counter(
            "clawbot_discord_requests",
            "Requests to Discord's REST API, by route template and class of status (429 by itself, "
            "none for no answer)",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._lag = Histogram(
            "clawbot_event_loop_lag_seconds",
            "How late the event loop came round, measured once a second",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, label: str, values: Iterable[str]) -> Counter:
        """Make a counter that shows each value of its label from the start."""
        # A series for the birth of each counter would be a third of all; the library has no types here.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        counter = Counter(name, text, [label], registry=self.registry)
        for value in values:
            counter.labels(str(value))
        return counter

    def _time_questions(self) -> None:
        self._spans = Histogram(
            "clawbot_question_stage_seconds",
            "Time of a question by what it was spent on; the stages of one question add up to all of it",
            ["stage"],
            buckets=SPAN_BUCKETS_S,
            registry=self.registry,
        )
        for span in Span:
            self._spans.labels(span.value)
        self._first_word = Histogram(
            "clawbot_question_first_word_seconds",
            "From taking a question in to the first word of its answer that can be read",
            buckets=SPAN_BUCKETS_S,
            registry=self.registry,
        )

    def _count_tokens(self) -> None:
        self._prompt = Counter(
            "clawbot_prompt_tokens",
            "Prompt tokens of answered questions, as the server counted them",
            registry=self.registry,
        )
        self._read = Counter(
            "clawbot_prompt_tokens_read",
            "Of the prompt tokens, those the model had to read: not in its cache, as the server says, "
            "or else estimated from the conversation's last prompt on that copy of the model",
            registry=self.registry,
        )
        self._reread = Counter(
            "clawbot_prompt_tokens_reread",
            "Of the tokens read, those that an earlier prompt or answer of the conversation had "
            "already held (estimated from their counts)",
            registry=self.registry,
        )
        self._written = Counter(
            "clawbot_written_tokens",
            "Tokens the model wrote, thinking included, as the server counted them",
            registry=self.registry,
        )

    def accepted(self, origin: Origin) -> None:
        """Count a question that was taken in, by where it came from."""
        self._accepted.labels(origin.value).inc()

    def question(self, record: QuestionRecord) -> None:
        """Count what happened to a question; one that the next start goes on with is counted there."""
        if record.outcome is None:
            return
        self._ended.labels(record.outcome.value).inc()
        if record.failure:
            self._failed.labels(record.failure).inc()
        for cause in record.retries:
            self._retries.labels(cause).inc()
        for span, seconds in record.spans.items():
            self._spans.labels(span.value).observe(seconds)
        if record.first_word_s is not None:
            self._first_word.observe(record.first_word_s)
        self._prompt.inc(record.prompt_tokens or 0)
        self._read.inc(record.read_tokens or 0)
        self._reread.inc(record.reread_tokens or 0)
        self._written.inc(record.written_tokens or 0)

    def loop_lag(self, seconds: float) -> None:
        """Note how late the event loop came round."""
        self._lag.observe(seconds)

    def rest_call(self, method: str, path: str, status: int) -> None:
        """Count a request to Discord.

        Args:
            method: HTTP method; unknown ones count as ``other``.
            path: Of the URL; kept as its template.
            status: HTTP status; kept as its class (``2xx``), 429 as itself, 0 for no answer.
        """
        known = method if method in _METHODS else OTHER_KIND
        self._rest.labels(known, route_of(path), _status_class(status)).inc()

    def discord_trace(self, trace: TraceConfig | None = None) -> TraceConfig:
        """Return what makes a discord.py client count its requests (``http_trace``).

        Args:
            trace: What it has for this already, to be added to.
        """

        async def count(_session: object, _context: object, ended: TraceRequestEndParams) -> None:
            self.rest_call(ended.method, ended.url.path, ended.response.status)

        async def count_lost(
            _session: object, _context: object, lost: TraceRequestExceptionParams
        ) -> None:
            self.rest_call(lost.method, lost.url.path, 0)

        trace = trace or TraceConfig()
        trace.on_request_end.append(count)
        trace.on_request_exception.append(count_lost)
        return trace

    def watch(self, sources: Sources) -> None:
        """Show what these say at each look, too."""
        self.registry.register(_Readings(sources))

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


class _Readings(Collector):
    """What is asked of other parts at each look."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its present value."""
        asked = self._sources
        for name, text, value in _gauges(asked):
            yield GaugeMetricFamily(name, text, value=float(value))
        for name, text, value in _counters(asked):
            yield CounterMetricFamily(name, text, value=float(value))
        yield from _servers(asked.servers())


Reading = tuple[str, str, float]
"""A metric's name, what it is, and its present value."""


def _gauges(asked: Sources) -> Iterator[Reading]:
    yield "clawbot_queue_waiting_questions", "Questions in line", asked.waiting()
    yield "clawbot_queue_running_questions", "Questions being answered", asked.running()
    text = "Questions that may be answered at once at the moment"
    yield "clawbot_queue_slots", text, asked.slots()
    text = "Writes, and questions, that are in memory only"
    yield "clawbot_store_pending_writes", text, asked.store_pending()
    text = "1 while the database can't be written"
    yield "clawbot_store_failing", text, asked.is_store_failing()
    yield "clawbot_discord_online", "1 while Discord's session is up", asked.is_online()
    text = "Other processes that wait to take over from this one, or share the shards with it"
    yield "clawbot_standby_processes", text, asked.standbys()


def _counters(asked: Sources) -> Iterator[Reading]:
    cost = asked.read_ahead()
    yield "clawbot_store_errors", "Failures of the database", asked.store_errors()
    text = "Prompt tokens that the model read in idle time, before anybody asked"
    yield "clawbot_read_ahead_tokens", text, cost.tokens
    text = (
        "Of the tokens read in idle time, those of conversations that nobody went on with in time"
    )
    yield "clawbot_read_ahead_tokens_in_vain", text, cost.in_vain
    text = "Pieces of reading in idle time that a question ended"
    yield "clawbot_read_ahead_cancelled", text, cost.cancelled
    text = "Summaries that the model made in idle time of what falls out of a conversation"
    yield "clawbot_summaries", text, asked.summaries()


def _servers(servers: Sequence[ServerState]) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "clawbot_model_server_up",
        "1 while a server of LMSTUDIO_BASE_URL answers, by its number there",
        labels=["server"],
    )
    circuit = GaugeMetricFamily(
        "clawbot_model_server_circuit",
        "1 for the state of a server's circuit breaker, 0 for the others",
        labels=["server", "state"],
    )
    for server in servers:
        number = server.number
        up.add_metric([str(number)], float(server.is_up is True))
        for state in CIRCUIT_STATES:
            circuit.add_metric([str(number), state], float(server.circuit == state))
    yield up
    yield circuit


def _status_class(status: int) -> str:
    if status == 429:
        return "429"
    return f"{status // 100}xx" if 100 <= status < 600 else "none"
