"""Counters of what happens, and the small server that shows them to Prometheus.

No label holds a person, a place or a text: only outcomes, reasons and routes of a fixed set.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import TraceConfig, TraceRequestEndParams, TraceRequestExceptionParams, web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bot.core.domain import Origin
from bot.core.errors import BotError, DependencyError
from bot.core.ports import Outcome
from config.addresses import host_port

_log = logging.getLogger(__name__)

FIRST_TOKEN_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 300)
"""Seconds: from a warm cache to a cold prompt of 16k tokens behind a loading model."""

ANSWER_BUCKETS_S: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900)
"""Seconds, up to the default cap of one answer."""

OTHER: Final = "other"

_FOREIGN: Final = frozenset({errno.EADDRNOTAVAIL, 10049})
"""The address isn't this machine's; 10049 is Windows' number for it."""


class Metrics:
    """What is counted, each instance with a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._accepted = Counter(
            "clawbot_questions_accepted", "Questions taken in", ["origin"], registry=self.registry
        )
        for origin in Origin:
            self._accepted.labels(origin.value)
        self._ended = Counter(
            "clawbot_questions_ended", "Questions ended", ["outcome"], registry=self.registry
        )
        for outcome in Outcome:
            self._ended.labels(outcome.value)
        self._failed = Counter(
            "clawbot_questions_failed", "Questions that failed", ["kind"], registry=self.registry
        )
        self._first_token = Histogram(
            "clawbot_first_token_seconds",
            "From the request to the model's first token",
            buckets=FIRST_TOKEN_BUCKETS_S,
            registry=self.registry,
        )
        self._answer = Histogram(
            "clawbot_answer_seconds",
            "From the request to the model's last token",
            buckets=ANSWER_BUCKETS_S,
            registry=self.registry,
        )
        self._waiting = Gauge(
            "clawbot_queue_waiting_questions", "Questions in line", registry=self.registry
        )
        self._running = Gauge(
            "clawbot_queue_running_questions", "Questions being answered", registry=self.registry
        )
        self._rest = Counter(
            "clawbot_discord_rest_calls",
            "Requests to Discord's REST API",
            ["method", "status"],
            registry=self.registry,
        )
        self._retries = Counter(
            "clawbot_retries", "Requests sent again", ["service"], registry=self.registry
        )
        for service in ("discord", "lmstudio"):
            self._retries.labels(service)

    def accepted(self, origin: Origin) -> None:
        """Count a question that was taken in, by where it came from."""
        self._accepted.labels(origin.value).inc()

    def ended(self, outcome: Outcome) -> None:
        """Count a question's end."""
        self._ended.labels(outcome.value).inc()

    def failed(self, kind: str) -> None:
        """Count a failure.

        Args:
            kind: Class name of one of our errors; anything else counts as ``other``.
        """
        self._failed.labels(kind if kind in _error_names() else OTHER).inc()

    def first_token(self, seconds: float) -> None:
        """Note the time from the request to the model's first token."""
        self._first_token.observe(seconds)

    def answer(self, seconds: float) -> None:
        """Note the time from the request to the model's last token."""
        self._answer.observe(seconds)

    def watch_queue(self, waiting: Callable[[], float], running: Callable[[], float]) -> None:
        """Show how many questions wait and how many are being answered, asked at each look."""
        self._waiting.set_function(waiting)
        self._running.set_function(running)

    def rest_call(self, method: str, status: int) -> None:
        """Count a request to Discord.

        Args:
            method: HTTP method; unknown ones count as ``other``.
            status: HTTP status; kept as its class (``2xx``), 429 as itself, 0 for no answer.
        """
        known = method if method in {"GET", "POST", "PATCH", "PUT", "DELETE"} else OTHER
        self._rest.labels(known, _status_class(status)).inc()

    def retry(self, service: str) -> None:
        """Count a request that was sent again.

        Args:
            service: ``discord`` or ``lmstudio``; anything else counts as ``other``.
        """
        self._retries.labels(service if service in {"discord", "lmstudio"} else OTHER).inc()

    def discord_trace(self) -> TraceConfig:
        """Return what makes a discord.py client count its requests (``http_trace``)."""

        async def count(_session: object, _context: object, ended: TraceRequestEndParams) -> None:
            self.rest_call(ended.method, ended.response.status)

        async def count_lost(
            _session: object, _context: object, lost: TraceRequestExceptionParams
        ) -> None:
            self.rest_call(lost.method, 0)

        trace = TraceConfig()
        trace.on_request_end.append(count)
        trace.on_request_exception.append(count_lost)
        return trace

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)


def _error_names() -> set[str]:
    names, classes = set(), [BotError]
    while classes:
        found = classes.pop()
        names.add(found.__name__)
        classes += found.__subclasses__()
    return names


def _status_class(status: int) -> str:
    if status == 429:
        return "429"
    return f"{status // 100}xx" if 100 <= status < 600 else "none"


class MetricsServer:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz`` on one address.

    Use it as an async context manager. ``/healthz`` says that the event loop turns; ``/readyz``
    says 503 until ``is_ready`` holds.

    Args:
        address: ``host:port``; port 0 lets the system choose.
        metrics: What to show.
        is_ready: Whether the bot is online.
    """

    def __init__(self, address: str, metrics: Metrics, is_ready: Callable[[], bool]) -> None:
        self._host, self._port = host_port(address)
        self._metrics = metrics
        self._is_ready = is_ready
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; the configured one before the start."""
        if self._runner is not None and self._runner.addresses:
            return int(self._runner.addresses[0][1])
        return self._port

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            DependencyError: The address is taken, or isn't one of this machine.
        """
        app = web.Application(middlewares=[self._guard], client_max_size=1024)
        app.router.add_get("/metrics", self._show_metrics, allow_head=False)
        app.router.add_get("/healthz", self._show_health, allow_head=False)
        app.router.add_get("/readyz", self._show_readiness, allow_head=False)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=15, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=16).start()
        except OSError as exc:
            await runner.cleanup()
            problem = _problem(exc)
            raise DependencyError(
                f"CLAWBOT_METRICS_ADDR: can't listen on port {self._port} ({problem.reason}); "
                f"{problem.advice}"
            ) from exc
        self._runner = runner
        _log.info("metrics on port %d", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening; requests in flight get one second."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Refuse a ``Host`` that isn't ours, so that no web page can rebind a name to us."""
        if not self._is_own_host(request.host):
            return web.Response(status=421, text="not this host\n")
        return await handler(request)

    def _is_own_host(self, host: str) -> bool:
        """Accept addresses and our own name: rebinding needs a foreign name."""
        name = ""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
        except ValueError:
            return name in {"localhost", self._host.lower()}
        return True

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _show_health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _show_readiness(self, _request: web.Request) -> web.Response:
        if self._is_ready():
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not ready\n")


@dataclass(frozen=True, slots=True)
class ListeningProblem:
    """Why an address can't be listened on.

    Attributes:
        reason: A few words.
        advice: What to do, as a clause.
        is_taken: Another process, maybe a running bot, listens there.
    """

    reason: str
    advice: str
    is_taken: bool


async def listening_problem(address: str) -> ListeningProblem | None:
    """Try to listen on an address for a moment; return why that fails, if it does.

    Args:
        address: ``host:port``.
    """
    host, port = host_port(address)
    try:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), host, port)
    except OSError as exc:
        return _problem(exc)
    server.close()
    await server.wait_closed()
    return None


def _problem(exc: OSError) -> ListeningProblem:
    return ListeningProblem(_reason(exc), _advice(exc), exc.errno in {errno.EADDRINUSE, 10048})


def _reason(exc: OSError) -> str:
    if isinstance(exc, socket.gaierror):
        return "there is no such name"
    return os.strerror(_number(exc)).lower()


def _number(exc: OSError) -> int:
    """Return the error's number; from Python 3.12 on asyncio gives none for a foreign address."""
    return exc.errno or errno.EADDRNOTAVAIL


def _advice(exc: OSError) -> str:
    if isinstance(exc, socket.gaierror) or _number(exc) in _FOREIGN:
        return "write an address of this machine: 127.0.0.1, or 0.0.0.0 for the whole network"
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return "choose a port above 1023"
    return "end what uses it or choose another port"
