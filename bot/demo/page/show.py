"""Shows the demo in a browser; where none can be opened, in the terminal as well."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser

from bot.core.tasks import apart
from bot.demo.page.server import PageServer
from bot.demo.run import Face, wait_online
from bot.demo.world import Demo


def in_browser(port: int | None, *, terminal: Face | None) -> Face:
    """Return the face that serves the page.

    Args:
        port: As ``PageServer`` takes it.
        terminal: What to show where no browser can be opened; ``None``: open none at all.
    """

    async def show(demo: Demo) -> None:
        async with PageServer(demo, port=port) as server:
            _say(f"The demo is at {server.address} (Ctrl-C ends it).")
            if terminal is None or await _opened(server.address):
                _say(demo.sentence)
                await wait_online(demo)
                await asyncio.Event().wait()
            else:
                _say("No browser can be opened from here, so the demo goes on in the terminal.")
                await terminal(demo)

    return show


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _opened(address: str) -> bool:
    """Open a browser with windows of its own; False where there is none."""
    has_windows = os.name == "nt" or sys.platform == "darwin"
    if not has_windows and not {"BROWSER", "DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        return False
    return await apart(lambda: _open(address), name="browser")


def _open(address: str) -> bool:
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
