"""The browser's tabs: each is sent the same events, in order, and none holds up the others."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Final, Protocol

from aiohttp import WSCloseCode

from bot.core.tasks import end_tasks
from bot.demo.page.view import Json

MAX_BEHIND_BYTES: Final = 32 * 1024 * 1024
"""Of text that a tab hasn't taken yet; beyond that it is sent away, and comes back for a snapshot."""


def dumps(value: object) -> str:
    """Return JSON that stands in one text frame, whatever people have typed."""
    return json.dumps(value, separators=(",", ":"))


class Socket(Protocol):
    """The sending side of a WebSocket."""

    async def send_str(self, data: str) -> None:
        """Send a text frame."""
        ...

    async def close(self, *, code: int) -> object:
        """Close it."""
        ...


class Tab:
    """One open WebSocket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._frames: deque[str] = deque()
        self._behind_bytes = 0
        self._wake = asyncio.Event()
        self._close_code: int | None = None

    def send(self, text: str) -> None:
        """Queue a frame."""
        if self._close_code is not None:
            return
        self._frames.append(text)
        self._behind_bytes += len(text)
        if self._behind_bytes > MAX_BEHIND_BYTES:
            self.close(WSCloseCode.TRY_AGAIN_LATER)
        self._wake.set()

    def close(self, code: int) -> None:
        """End it; what is queued is dropped."""
        self._close_code = self._close_code or code
        self._wake.set()

    async def write(self) -> None:
        """Send what is queued until the tab is closed."""
        while self._close_code is None:
            await self._wake.wait()
            self._wake.clear()
            while self._frames and self._close_code is None:
                text = self._frames.popleft()
                self._behind_bytes -= len(text)
                try:
                    await self._socket.send_str(text)
                except ConnectionError:
                    return
        await self._socket.close(code=self._close_code)


class Tabs:
    """All open tabs."""

    def __init__(self) -> None:
        self._open: dict[Tab, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, tab: Tab, work: asyncio.Task[None]) -> None:
        """Let a tab have events from here on.

        Args:
            tab: Which.
            work: What reads its frames; ended with the server.
        """
        self._open[tab] = work

    def remove(self, tab: Tab) -> None:
        """Let it have no more."""
        self._open.pop(tab, None)

    def event(self, name: str, data: Json) -> None:
        """Tell every tab of something."""
        if self._open:
            text = dumps({"type": "event", "name": name, "data": data})
            for tab in self._open:
                tab.send(text)

    async def close(self) -> None:
        """End all of them."""
        works = list(self._open.values())
        for tab in list(self._open):
            tab.close(WSCloseCode.GOING_AWAY)
        if works:
            await asyncio.wait(works, timeout=0.3)
        await end_tasks(*works)
