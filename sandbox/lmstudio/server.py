"""The local LM Studio: routes, recording, and coming and going."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from aiohttp import web

from sandbox.lmstudio import errors, generation, hostile_replies, other_servers
from sandbox.lmstudio.chat_completions import ChatCompletion
from sandbox.lmstudio.engine import Engine
from sandbox.lmstudio.errors import RefusalError
from sandbox.lmstudio.faults import BAD_JSON, ArmedFault, Fault, FaultPlan, Route
from sandbox.lmstudio.native import Native
from sandbox.lmstudio.native_chat import NativeChat
from sandbox.lmstudio.responses import Responses
from sandbox.lmstudio.stateful import StatefulCompletion
from sandbox.lmstudio.values import (
    INSTANT,
    Answer,
    ErrorReply,
    Model,
    Options,
    RecordedRequest,
    Timing,
)

_RECORDED_HEADERS = frozenset(
    [
        "authorization",
        "user-agent",
        "accept",
        "content-type",
        "content-length",
        "accept-encoding",
        "connection",
        "host",
        "x-forwarded-for",
        "cookie",
    ]
)
_BODY_LIMIT_BYTES = 64 * 1024 * 1024
PATIENCE_S = 60.0
"""How long is waited by default: a wait ends as soon as it may, so this only bounds a slow machine."""
Responder = Callable[[RecordedRequest], "Answer | str"]


class NetworkCard(asyncio.DatagramProtocol):
    """A network card that listens while its machine sleeps.

    Attributes:
        packets: What came, in order.
    """

    def __init__(self, mac: str, on_wake: Callable[[], object]) -> None:
        self.packets: list[bytes] = []
        self._magic = b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16
        self._on_wake = on_wake

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """Wake the machine at the first packet that is for this card."""
        if self._magic in data and not any(self._magic in one for one in self.packets):
            self._on_wake()
        self.packets.append(data)


class LMStudioSandbox:
    """A local LM Studio on a port of loopback; use it as an async context manager.

    Args:
        models: What is downloaded; one 80B model, loaded, when not given.
        timing: How long things take; nothing takes time when not given.
        token: API token that every request must carry; ``None``: authentication is off.
        port: Port; 0 for a free one, which it keeps over ``stop`` and ``start``.
        options: Everything else about its behaviour.
        keep_requests: How many of the newest requests ``requests`` holds.
    """

    def __init__(
        self,
        models: Sequence[Model] | None = None,
        timing: Timing | None = None,
        token: str | None = None,
        port: int = 0,
        *,
        options: Options | None = None,
        keep_requests: int = 10_000,
    ) -> None:
        self.models = list(models) if models is not None else [Model("qwen/qwen3-next-80b")]
        self.timing = timing or INSTANT
        self.options = options or Options()
        if token is not None:
            self.options.token = token
        self.port = port
        self.faults = FaultPlan()
        self.requests: list[RecordedRequest] = []
        self._keep_requests = keep_requests
        self._default: Responder = lambda _: Answer()
        self._script: deque[Answer] = deque()
        self._runner: web.AppRunner | None = None
        self._changed = asyncio.Event()
        self._stopping = False
        self._known_transports: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self._busy_transports: set[asyncio.BaseTransport] = set()
        self._blackhole_sockets: list[socket.socket] = []
        self.card: NetworkCard | None = None
        self._card_transport: asyncio.BaseTransport | None = None
        self._waking: asyncio.Task[None] | None = None
        self.engine = self._new_engine()

    def _new_engine(self) -> Engine:
        return Engine(self.models, self.timing, self.options, self._notify)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @property
    def base_url(self) -> str:
        """Address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def completions(self) -> list[RecordedRequest]:
        """The chat completions among the requests, in order."""
        return [one for one in self.requests if one.is_completion]

    def answer(self, text: str | Answer) -> None:
        """Say this to every request that has no scripted answer."""
        fixed = text if isinstance(text, Answer) else Answer(text)
        self._default = lambda _: fixed

    def script(self, *answers: Answer | str) -> None:
        """Say these, in order, to the next requests."""
        self._script.extend(one if isinstance(one, Answer) else Answer(one) for one in answers)

    def answer_with(self, responder: Responder) -> None:
        """Let a function choose each answer that isn't scripted."""
        self._default = responder

    def resume(self) -> None:
        """Let answers go on that stopped at their ``pause_after``."""
        self.engine.resume()

    def _respond(self, record: RecordedRequest) -> Answer:
        chosen = self._script.popleft() if self._script else self._default(record)
        return chosen if isinstance(chosen, Answer) else Answer(chosen)

    def _notify(self) -> None:
        self._changed.set()

    async def wait_until(
        self, condition: Callable[[], object], timeout_s: float = PATIENCE_S
    ) -> None:
        """Wait for something to be true, looking whenever the server's state changes.

        Raises:
            TimeoutError: It wasn't within ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await self._changed.wait()

    async def start(self) -> None:
        """Come up on the same port as before, with the models loaded that are so at first."""
        self._lift_blackhole()
        if self._runner is not None:
            return
        self._stopping = False
        app = web.Application(client_max_size=_BODY_LIMIT_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.on_response_prepare.append(self._headers)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=self.options.keepalive_s,
            shutdown_timeout=0.05,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Go away at once: connections reset, port refused, caches lost."""
        if self._card_transport is not None:
            self._card_transport.close()
        self._stopping = True
        self._lift_blackhole()
        await self._close_server()
        await self.engine.stop()
        self.engine = self._new_engine()
        self._notify()

    async def sleep(self, mac: str) -> int:
        """Go away until a packet comes that wakes this network card (Wake-on-LAN).

        Args:
            mac: Six bytes in hexadecimal, with colons between.

        Returns:
            The UDP port of loopback that listens for the packet.
        """
        await self.stop()
        loop = asyncio.get_running_loop()
        self.card = card = NetworkCard(mac, self._wake_up)
        transport, _ = await loop.create_datagram_endpoint(
            lambda: card, local_addr=("127.0.0.1", 0)
        )
        self._card_transport = transport
        port: int = transport.get_extra_info("sockname")[1]
        return port

    def _wake_up(self) -> None:
        self._waking = asyncio.create_task(self.start())

    async def refuse(self) -> None:
        """Stop serving while the app goes on: refused, but models and caches stay. End: start."""
        await self._close_server()

    async def blackhole(self) -> None:
        """Neither accept nor refuse connections, as a firewall that drops packets. End: ``start``.

        The accept queue is kept full, so that on Linux a new connection is never established;
        elsewhere it may be established and stays mute.
        """
        await self._close_server()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._blackhole_sockets.append(listener)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._blackhole_sockets.append(filler)

    def _lift_blackhole(self) -> None:
        for one in self._blackhole_sockets:
            one.close()
        self._blackhole_sockets.clear()

    async def _close_server(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            self.close_connections()
            await runner.cleanup()

    def close_connections(self) -> None:
        """Close every connection at once, idle or not."""
        server = self._runner.server if self._runner else None
        for handler in list(server.connections) if server else []:
            if handler.transport is not None:
                handler.transport.abort()

    def close_idle(self) -> None:
        """Close every connection that waits for its next request, as after 5 s of idling."""
        server = self._runner.server if self._runner else None
        for handler in list(server.connections) if server else []:
            if handler.transport is not None and handler.transport not in self._busy_transports:
                handler.transport.close()

    def set_timing(self, timing: Timing) -> None:
        """Let everything take another time from here on."""
        self.timing = self.engine.timing = timing

    def is_loaded(self, key: str) -> bool:
        """Tell whether a model is in memory."""
        return any(each.model.key == key for each in self.engine.instances.values())

    def unload(self, key: str) -> None:
        """Eject a model as a person at the machine would."""
        self.engine.unload(key)

    async def load(self, key: str, context_tokens: int | None = None) -> str:
        """Load a model as a person at the machine would; returns the instance id."""
        loaded = await self.engine.load(self.engine.models[key], context_tokens=context_tokens)
        return loaded.id

    async def _headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall("Server", None)
        if self.options.flavour == "lmstudio":
            response.headers["X-Powered-By"] = "Express"
        else:
            response.headers["Server"] = other_servers.SERVER_HEADERS[self.options.flavour]
        if request.keep_alive:
            response.headers["Connection"] = "keep-alive"
            response.headers["Keep-Alive"] = f"timeout={self.options.keepalive_s:.0f}"

    def _record(self, request: web.Request) -> RecordedRequest:
        headers = {
            k.lower(): v for k, v in request.headers.items() if k.lower() in _RECORDED_HEADERS
        }
        record = RecordedRequest(time.monotonic(), request.method, request.path, headers)
        self.requests.append(record)
        if len(self.requests) > self._keep_requests:
            del self.requests[: -self._keep_requests]
        return record

    @contextlib.contextmanager
    def _record_end(self, record: RecordedRequest) -> Iterator[None]:
        """Note how a request ends."""
        try:
            yield
            record.finished = True
        except (asyncio.CancelledError, ConnectionError):
            if not self._stopping:
                record.cancelled_at = time.monotonic()
            raise
        finally:
            record.ended_at = time.monotonic()
            self._notify()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        record = self._record(request)
        reused = self._is_reused(request)
        self._notify()
        try:
            with self._record_end(record), self._mark_busy(request):
                return await self._serve(request, record, reused=reused)
        except ConnectionError:
            return web.Response()  # goes nowhere: whoever asked, or a fault, has cut the connection

    async def _serve(
        self, request: web.Request, record: RecordedRequest, *, reused: bool
    ) -> web.StreamResponse:
        raw = await request.read()
        with contextlib.suppress(
            RefusalError
        ):  # what is wrong with it is said where its turn comes
            record.body = _parse(raw, record)
        armed = self.faults.take(_route_of(record), reused=reused, body=raw)
        record.fault = armed.fault.value if armed else None
        try:
            response = await self._answer(request, record, raw, armed)
        except RefusalError as refusal:
            response = generation.reply_of(refusal.reply)
            if armed is not None and armed.fault is Fault.REDIRECT:
                response.headers["Location"] = armed.location
        record.status = response.status
        if isinstance(response, web.Response):
            await response.prepare(request)
            await response.write_eof()
        return response

    @contextlib.contextmanager
    def _mark_busy(self, request: web.Request) -> Iterator[None]:
        """Keep ``close_idle`` away from a connection in use."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        self._busy_transports.add(transport)
        try:
            yield
        finally:
            self._busy_transports.discard(transport)

    def _is_reused(self, request: web.Request) -> bool:
        transport = request.transport
        if transport is None:
            return False
        if transport in self._known_transports:
            return True
        self._known_transports.add(transport)
        self.options.counters.connections += 1
        return False

    async def _answer(
        self, request: web.Request, record: RecordedRequest, raw: bytes, armed: ArmedFault | None
    ) -> web.StreamResponse:
        if armed is not None:
            await self._play_early_fault(request, armed)
        refused = self._authenticate(record)
        if refused is not None:
            raise RefusalError(refused)
        record.body = _parse(raw, record)
        if record.method == "POST" and record.path == "/v1/chat/completions":
            sender = ChatCompletion(
                request, record, self.engine, self._respond, self._notify, armed
            )
            return await sender.run()
        error = generation.error_of(armed, record, None) if armed else None
        if error is not None:
            raise RefusalError(error)
        if armed is not None and armed.fault in hostile_replies.HOSTILE:
            return await hostile_replies.play(request, armed)
        if armed is not None and armed.fault in BAD_JSON:
            return await hostile_replies.bad_json(request, armed, stream=False)
        if record.is_completion and self.options.has(record.path):
            completion = StatefulCompletion(
                request, record, self.engine, self._respond, self._notify
            )
            native = record.path == "/api/v1/chat"
            return await (NativeChat(completion) if native else Responses(completion)).run()
        return await Native(self.engine).answer(record)

    async def _play_early_fault(self, request: web.Request, armed: ArmedFault) -> None:
        """Play the faults that strike before any reply."""
        if armed.fault is Fault.HANG_BEFORE_HEADERS:
            await generation.forever()
        if armed.fault is Fault.RESET_BEFORE_HEADERS:
            hostile_replies.reset(request)
            raise ConnectionResetError
        if armed.fault is Fault.STALE_KEEPALIVE and request.transport is not None:
            request.transport.close()
            raise ConnectionResetError
        if armed.fault is Fault.REDIRECT:
            raise RefusalError(ErrorReply(armed.status, "", armed.location, "text/plain"))

    def _authenticate(self, record: RecordedRequest) -> ErrorReply | None:
        token = self.options.token
        if token is None or record.path == "/lmstudio-greeting":
            return None
        scheme, _, given = record.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            return errors.TOKEN_MISSING
        if given != token:
            return errors.token_malformed(given)
        return errors.FORBIDDEN if self.options.forbidden else None


def _route_of(record: RecordedRequest) -> Route:
    if record.is_completion:
        return "completion"
    if record.path.endswith("/chat/completions"):
        return "refused"
    return "load" if record.method == "POST" else "models"


def _parse(raw: bytes, record: RecordedRequest) -> object:
    """Return the JSON body.

    Raises:
        RefusalError: It is no JSON.
    """
    if not raw:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        if record.path.startswith("/api/v1"):
            reply = errors.native("Invalid body: failed to parse JSON value.", code="invalid_json")
            raise RefusalError(reply) from None
        raise RefusalError(errors.html(400, "SyntaxError: Unexpected token in JSON")) from None
