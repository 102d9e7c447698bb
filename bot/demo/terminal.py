"""The demo's side of the terminal: text that grows in place, and lines that a person types."""

from __future__ import annotations

import asyncio
import io
import math
import os
import re
import shutil
import sys
import threading
from contextlib import suppress
from typing import Final, TextIO

from bot.ops.logs import escape

_OPTION: Final = re.compile(r"(?<!\s)\s++(?=[\w-]{1,32}:(?!//))")
"""Where a new ``name:value`` begins."""


class Terminal:
    """Shows a conversation.

    On a terminal a message grows in place as it is edited; anywhere else (a pipe, a file) it is
    written once, when it is complete.

    Args:
        out: Where to write.
        is_live: Whether text can be taken back; asked of ``out`` when left out.
    """

    def __init__(self, out: TextIO, *, is_live: bool | None = None) -> None:
        self._out = out
        self._is_live = out.isatty() if is_live is None else is_live
        self._label = ""
        self._shown = ""

    def line(self, text: str = "") -> None:
        """Write a line."""
        self._write(_clean(text) + "\n")

    def prompt(self, text: str) -> None:
        """Ask for a line, on a terminal."""
        if self._is_live:
            self._write(text)

    def grow(self, label: str, text: str) -> None:
        """Show the present state of a message.

        Args:
            label: Who speaks.
            text: All of the message as it stands now.
        """
        self._label, text = label, _clean(text)
        if not self._is_live:
            self._shown = text
            return
        before, after = (f"{label}{self._shown}" if self._shown else ""), f"{label}{text}"
        if after.startswith(before):
            self._write(after[len(before) :])
        else:
            kept = _unchanged_lines(before, after)
            self._take_back(before[kept:])
            self._write(after[kept:])
        self._shown = text

    def settle(self) -> None:
        """End the message: what is shown stays."""
        if not self._shown:
            return
        self._write("\n" if self._is_live else f"{self._label}{self._shown}\n")
        self._shown = ""

    def _take_back(self, text: str) -> None:
        """Clear the rows of this text, the last written; if they scrolled away, start below."""
        columns, height = shutil.get_terminal_size()
        rows = sum(max(1, math.ceil(len(line) / columns)) for line in text.split("\n"))
        if rows >= height:
            self._write("\n")
        else:
            self._write("\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\x1b[J")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class Keyboard:
    """Lines from standard input, read by a thread so that the event loop goes on.

    The thread reads the raw descriptor: it may still be reading when the process ends, and must
    then hold no lock of Python's own streams.
    """

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    def start(self) -> None:
        """Begin to read."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="keyboard", daemon=True).start()

    async def line(self) -> str | None:
        """Return the next line; ``None`` once there are no more."""
        return await self._lines.get()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        raw = getattr(getattr(sys.stdin, "buffer", None), "raw", None)
        rest = b""
        while data := self._chunk(raw):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._put(loop, line.decode("utf-8", "replace").rstrip("\r"))
        if rest:
            self._put(loop, rest.decode("utf-8", "replace"))
        self._put(loop, None)

    def _chunk(self, raw: io.RawIOBase | None) -> bytes:
        try:
            return (raw.read(4096) or b"") if raw is not None else os.read(0, 4096)
        except (OSError, ValueError):
            return b""

    def _put(self, loop: asyncio.AbstractEventLoop, line: str | None) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens any more
            loop.call_soon_threadsafe(self._lines.put_nowait, line)


def parse_command(line: str) -> tuple[str, dict[str, str]]:
    """Split a typed slash command.

    Example: ``/config set setting:temperature value:0.31`` is ``("config set", {"setting":
    "temperature", "value": "0.31"})``.

    Args:
        line: With its slash; a value goes on until the next ``name:``.
    """
    words, *parts = _OPTION.split(line.strip().removeprefix("/"))
    options = dict(part.split(":", 1) for part in parts)
    return " ".join(words.split()), {name: value.strip() for name, value in options.items()}


def _unchanged_lines(before: str, after: str) -> int:
    """Return the length of the lines that both texts begin with, in characters."""
    length = 0
    for old, new in zip(
        before.splitlines(keepends=True), after.splitlines(keepends=True), strict=False
    ):
        if old != new:
            break
        length += len(old)
    return length


def _clean(text: str) -> str:
    """Keep line breaks; everything else that could move the cursor becomes visible."""
    return "\n".join(escape(line) for line in text.split("\n"))
