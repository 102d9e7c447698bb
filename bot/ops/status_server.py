"""The small server that shows the figures and the state: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bot.core.errors import DependencyError
from bot.ops.metrics import Metrics
from config.addresses import host_port, is_loopback

_log = logging.getLogger(__name__)

_FOREIGN: Final = frozenset({errno.EADDRNOTAVAIL, 10049})
"""The address isn't this machine's; 10049 is Windows' number for it."""

_PRIVATE_DOMAINS: Final = (".internal", ".local", ".home.arpa")
"""Domains that nobody can register (ICANN's resolution 2024.07.29.06, RFC 6762, RFC 8375)."""


@dataclass(frozen=True, slots=True)
class PartState:
    """How one part does.

    Attributes:
        is_ok: It does what it must.
        says: In words.
    """

    part: str
    is_ok: bool
    says: str


Look = Callable[[], Sequence[PartState]]
"""Says how the parts do, without waiting for anything."""


class StatusServer:
    """Serves ``/metrics``, ``/healthz`` and ``/readyz`` on one address.

    Use it as an async context manager. The last two answer 200 where all parts are well and 503 where
    one isn't, with a line for each; as JSON to whoever accepts ``application/json``.

    Args:
        address: ``host:port``; port 0 lets the system choose.
        metrics: What to show.
        health: What only a new start would mend.
        readiness: What answering questions needs.
    """

    def __init__(self, address: str, metrics: Metrics, *, health: Look, readiness: Look) -> None:
        self._host, self._port = host_port(address)
        self._metrics = metrics
        self._health = health
        self._readiness = readiness
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
        app.router.add_get("/healthz", partial(_show, self._health), allow_head=False)
        app.router.add_get("/readyz", partial(_show, self._readiness), allow_head=False)
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
        """Accept addresses and names that nobody outside can own: rebinding needs a foreign name.

        Off loopback these are also names without a dot, as container networks give to services, and
        names of the domains that are kept for private networks.
        """
        name = ""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
        except ValueError:
            if name in {"localhost", self._host.lower()}:
                return True
            is_private = "." not in name or name.endswith(_PRIVATE_DOMAINS)
            return name != "" and is_private and not is_loopback(self._host)
        return True

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


async def _show(look: Look, request: web.Request) -> web.Response:
    findings = look()
    is_ok = all(finding.is_ok for finding in findings)
    status, word = (200, "ok") if is_ok else (503, "failing")
    if "application/json" in request.headers.get("Accept", ""):
        parts = [asdict(finding) for finding in findings]
        text = json.dumps({"status": word, "parts": parts})
        return web.Response(status=status, text=text + "\n", content_type="application/json")
    lines = [word, *(f"{finding.part}: {finding.says}" for finding in findings)]
    return web.Response(status=status, text="\n".join(lines) + "\n")


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
    is_unknown = isinstance(exc, socket.gaierror)
    reason = "there is no such name" if is_unknown else os.strerror(_number(exc)).lower()
    return ListeningProblem(reason, _advice(exc), exc.errno in {errno.EADDRINUSE, 10048})


def _number(exc: OSError) -> int:
    """Return the error's number; from Python 3.12 on asyncio gives none for a foreign address."""
    return exc.errno or errno.EADDRNOTAVAIL


def _advice(exc: OSError) -> str:
    if isinstance(exc, socket.gaierror) or _number(exc) in _FOREIGN:
        return "write an address of this machine: 127.0.0.1, or 0.0.0.0 for the whole network"
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return "choose a port above 1023"
    return "end what uses it or choose another port"
