"""The page's server: on loopback, for the page alone."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import AsyncExitStack
from typing import Any, Final, Self

from aiohttp import WSMsgType, web

from bot.core.clock import SystemClock
from bot.core.errors import DependencyError
from bot.core.tasks import TaskOwner, end_tasks
from bot.demo.page.actions import Actions
from bot.demo.page.faults import Panel
from bot.demo.page.fields import ActionError
from bot.demo.page.files import (
    Uploads,
    attachment_response,
    static_files,
    static_response,
)
from bot.demo.page.guard import add_headers, guard
from bot.demo.page.live import Live
from bot.demo.page.tabs import Tab, Tabs, dumps
from bot.demo.page.view import Json, View
from bot.demo.world import Demo
from sandbox.discord.api.cdn import file_at
from sandbox.discord.checks.messages import MAX_FILE_BYTES

USUAL_PORT: Final = 8642
"""Tried first, so that the page's address stays the same from run to run."""
MAX_FRAME_BYTES: Final = 256 * 1024
MAX_AT_ONCE: Final = 64
"""Actions of one tab that are under way."""
HEARTBEAT_S: Final = 30.0

_UNHEARD: Final = logging.getLogger(f"{__name__}.unheard")
"""Takes what aiohttp says of bytes that are no request; ``guard`` logs failures of ours."""


class PageServer:
    """Serves the page of one demo; use it as an async context manager.

    Args:
        port: On 127.0.0.1; 0 for any that is free, ``None`` for the usual one, or any where it
            is taken.
    """

    def __init__(self, demo: Demo, *, port: int | None = 0) -> None:
        self._demo = demo
        self._wanted = port
        self._port = 0
        self._tabs = Tabs()
        self._files = static_files()
        self._uploads = Uploads()
        view, panel = View(demo), Panel(demo)
        self._live = Live(demo, view, panel, self._tabs)
        self._actions = Actions(demo, view, self._uploads, panel)
        self._stack = AsyncExitStack()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            DependencyError: The port is taken.
        """
        app = web.Application(middlewares=[guard], client_max_size=MAX_FILE_BYTES)
        app.on_response_prepare.append(add_headers)
        app.add_routes(
            [
                web.get("/", self._own_file),
                web.get("/static/{name:.+}", self._own_file),
                web.get("/files/{channel}/{attachment}/{name}", self._file),
                web.post("/attachments", self._upload),
                web.get("/live", self._serve_tab),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, logger=_UNHEARD)
        _UNHEARD.setLevel(logging.CRITICAL + 1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        try:
            await _listen(runner, self._wanted)
        except OSError:
            await self._stack.aclose()
            raise DependencyError(
                f"Port {self._wanted} is taken by another program: choose another with --port."
            ) from None
        self._port = runner.addresses[0][1]
        self._stack.push_async_callback(self._tabs.close)
        self._live.start()
        self._stack.callback(self._live.stop)
        pulse = asyncio.create_task(self._live.pulse(SystemClock()), name="pulse")
        self._stack.push_async_callback(end_tasks, pulse)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    # Files

    async def _own_file(self, request: web.Request) -> web.StreamResponse:
        path = self._files.get(request.match_info.get("name", "index.html"))
        if path is None:
            raise web.HTTPNotFound
        return static_response(path)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        path = f"/attachments/{found['channel']}/{found['attachment']}/file"
        attachment = file_at(self._demo.discord.world, path)
        if attachment is None:
            raise web.HTTPNotFound
        return attachment_response(attachment.filename, attachment.data)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/octet-stream":
            raise web.HTTPUnsupportedMediaType
        if (request.content_length or 0) > MAX_FILE_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_FILE_BYTES, request.content_length or 0)
        data = await request.read()
        return web.json_response(self._uploads.add(request.query.get("name", ""), data))

    # Tabs

    async def _serve_tab(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            max_msg_size=MAX_FRAME_BYTES, heartbeat=HEARTBEAT_S, compress=False
        )
        if not socket.can_prepare(request):
            raise web.HTTPUpgradeRequired
        await socket.prepare(request)
        tab, acting = Tab(socket), TaskOwner()
        work = asyncio.current_task()
        writing = asyncio.create_task(tab.write(), name="tab")
        try:
            tab.send(dumps(self._live.snapshot()))
            if work is not None:
                self._tabs.add(tab, work)
            async for frame in socket:
                self._take(tab, acting, frame.data if frame.type is WSMsgType.TEXT else None)
        finally:
            self._tabs.remove(tab)
            await acting.cancel()
            await end_tasks(writing)
        return socket

    def _take(self, tab: Tab, acting: TaskOwner, text: str | None) -> None:
        """Begin what a frame asks for."""
        raw = _parsed(text)
        if raw is None:
            refused = ActionError("bad_request", "A frame must be a JSON object with an id.")
            tab.send(_refusal(None, refused))
        elif len(acting) >= MAX_AT_ONCE:
            busy = ActionError("failed", "Too much is under way: wait for the answers.")
            tab.send(_refusal(raw["id"], busy))
        else:
            acting.start(self._act(tab, raw), name="action")

    async def _act(self, tab: Tab, raw: Json) -> None:
        try:
            result = await self._actions.do(raw)
        except ActionError as exc:
            tab.send(_refusal(raw["id"], exc))
        else:
            tab.send(dumps({"type": "answer", "id": raw["id"], "ok": True, "result": result}))


async def _listen(runner: web.AppRunner, wanted: int | None) -> None:
    first = USUAL_PORT if wanted is None else wanted
    try:
        await web.TCPSite(runner, "127.0.0.1", first).start()
    except OSError:
        if wanted is not None:
            raise
        await web.TCPSite(runner, "127.0.0.1", 0).start()


def _parsed(text: str | None) -> Json | None:
    """Return a frame's object if it is one, with an id that can be sent back."""
    try:
        raw: Any = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    key = raw.get("id")
    is_number = isinstance(key, int) and not isinstance(key, bool) and abs(key) < 2**53
    return raw if is_number or (isinstance(key, str) and len(key) <= 50) else None


def _refusal(key: object, error: ActionError) -> str:
    body = {"code": error.code, "message": str(error)}
    return dumps({"type": "answer", "id": key, "ok": False, "error": body})
