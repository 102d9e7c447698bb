"""The demo in a pseudo-terminal, and what its screen shows."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

import pyte

from tests.support.process import ROOT, START_S

ENTER, CTRL_C, CTRL_D, TAB = "\r", "\x03", "\x04", "\t"
UP, DOWN, PAGE_UP, SHIFT_TAB, ESCAPE = "\x1b[A", "\x1b[B", "\x1b[5~", "\x1b[Z", "\x1b"
NOWHERE = {"LMSTUDIO_BASE_URL": "http://127.0.0.1:9"}
"""Nothing listens at the discard port."""


class Terminal:
    """A terminal in front of a process.

    Args:
        process: Running.
        master: The terminal's side of the pseudo-terminal.
        columns: Its width.
        rows: Its height.

    Attributes:
        raw: All that was written to it.
        is_closed: Nothing more will come.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, master: int, columns: int, rows: int
    ) -> None:
        self.process = process
        self.raw = b""
        self.is_closed = False
        self._master = master
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            self.is_closed = True
            self.close()
        self.raw += data
        self._stream.feed(data)
        self._news.set()

    def close(self) -> None:
        """Look at it no longer."""
        asyncio.get_running_loop().remove_reader(self._master)

    @property
    def rows(self) -> list[str]:
        """What stands on the screen, without the spaces at the end of each row."""
        return [row.rstrip() for row in self._screen.display]

    @property
    def text(self) -> str:
        """The same, as one text."""
        return "\n".join(self.rows)

    @property
    def words(self) -> str:
        """The same, as if it hadn't been wrapped."""
        return " ".join(self.text.split())

    def style_of(self, words: str) -> pyte.screens.Char:
        """Return how the first character of some words is shown."""
        for number, row in enumerate(self._screen.display):
            if words in row:
                return self._screen.buffer[number][row.index(words)]
        raise AssertionError(f"not on the screen: {words!r}\n{self.text}")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def paste(self, text: str) -> None:
        """Paste a text, as terminals do in bracketed paste mode."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._screen.resize(rows, columns)
        set_size(self._master, columns, rows)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; it is looked at whenever something is drawn."""
        try:
            async with asyncio.timeout(START_S):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"never came about; the screen shows:\n{self.text}") from None

    async def shows(self, *words: str) -> None:
        """Wait until all these words are on the screen."""
        await self.until(lambda: all(each in self.words for each in words))

    async def ended(self) -> int:
        """Wait until the process has ended and return its exit code."""
        async with asyncio.timeout(START_S):
            return await self.process.wait()


def set_size(terminal: int, columns: int, rows: int) -> None:
    """Set a terminal's size; its foreground process hears of it."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextlib.asynccontextmanager
async def demo(
    folder: Path,
    *,
    size: tuple[int, int] = (80, 24),
    environment: Mapping[str, str] = NOWHERE,
) -> AsyncGenerator[Terminal, None]:
    """Start ``clawbot demo --terminal`` in a pseudo-terminal.

    Args:
        folder: Where it starts.
        size: Columns and rows.
        environment: Its settings.
    """
    master, slave = pty.openpty()
    set_size(slave, *size)
    inherited = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("CLAWBOT_", "DISCORD_", "LMSTUDIO_", "NO_COLOR"))
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", "--terminal"),
        cwd=folder,
        env={
            **inherited,
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            **environment,
        },
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    terminal = Terminal(process, master, *size)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        terminal.close()
        os.close(master)
