"""A conversation written line by line, each message once it is complete: for pipes, files and plain terminals."""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from prompt_toolkit.formatted_text import FormattedText, fragment_list_to_text
from prompt_toolkit.output import create_output
from prompt_toolkit.shortcuts import print_formatted_text
from prompt_toolkit.utils import is_dumb_terminal

from bot.demo.terminal.chat import GOODBYE, Chat, Note
from bot.demo.terminal.drawing import ONLY_YOU, STYLE, content
from bot.demo.terminal.markdown import Line, safe, wrapped
from sandbox.discord import Message

PERSON: Final = "you      "


class Paper:
    """Writes a chat to standard output: styled and wrapped on a terminal, plain everywhere else.

    Args:
        chat: What is written.
        marks_ephemeral: Whether to say which messages only the person sees.
    """

    def __init__(self, chat: Chat, *, marks_ephemeral: bool = True) -> None:
        self._chat = chat
        self._marks_ephemeral = marks_ephemeral
        self._is_terminal = sys.stdout.isatty()
        self._is_styled = self._is_terminal and not is_dumb_terminal()
        self._written = 0

    def say(self, text: str) -> None:
        """Write a line of the demo's own."""
        self._rows([Line([("", text)])])

    def write(self, item: Message | Note) -> None:
        """Write a message or note."""
        own = PERSON if self._chat.is_own(item) else ""
        label = own or (
            item.author.display_name.ljust(8) + " " if isinstance(item, Message) else ""
        )
        first, *others = content(item, self._chat) or [Line([])]
        if isinstance(item, Message) and item.ephemeral and self._marks_ephemeral:
            others.append(ONLY_YOU)
        self._rows(
            [
                first.behind(label, " " * len(label)),
                *(each.behind(" " * len(label)) for each in others),
            ]
        )
        self._written = item.id

    def write_all(self) -> None:
        """Write what isn't written yet."""
        for item in self._chat.view():
            if item.id > self._written:
                self.write(item)

    async def exchange(self, lines: AsyncIterator[str], *, shows_questions: bool) -> None:
        """Answer lines, one after the other, until there are no more.

        Args:
            lines: What is typed.
            shows_questions: Whether to write them: on a terminal they stand there already.
        """
        self._prompt()
        async for line in lines:
            if line.strip() in GOODBYE:
                return
            await self.turn(line, shows_question=shows_questions)
            self._prompt()

    def _prompt(self) -> None:
        if self._is_terminal:
            sys.stdout.write(PERSON)
            sys.stdout.flush()

    async def turn(self, line: str, *, shows_question: bool = True) -> None:
        """Do what a line says, and write what comes of it."""
        if shows_question and line.strip():
            self._rows([Line([("", safe(line.strip()))], PERSON, " " * len(PERSON))])
        since = self._chat.moment()
        await self._chat.take(line)
        await self._chat.answered(since)
        for item in self._chat.view():
            if item.id > since and not self._chat.is_own(item):
                self.write(item)

    def _rows(self, lines: list[Line]) -> None:
        width = shutil.get_terminal_size().columns if self._is_terminal else None
        rows = [row for line in lines for row in wrapped(line, width)]
        if self._is_styled:
            print_formatted_text(
                FormattedText(part for row in rows for part in (*row, ("", "\n"))),
                style=STYLE,
                output=create_output(sys.stdout),
                end="",
                include_default_pygments_style=False,
            )
        else:
            text = "".join(f"{fragment_list_to_text(row).rstrip()}\n" for row in rows)
            sys.stdout.write(text)
            sys.stdout.flush()


async def typed_lines() -> AsyncIterator[str]:
    """Yield lines of standard input, read by a thread so that the event loop goes on.

    The thread has a stream of its own: it may still be reading when the process ends, and must then hold
    no lock of Python's.
    """
    lines: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens any more
            with suppress(OSError), open(0, "rb", closefd=False) as stdin:
                for line in stdin:
                    loop.call_soon_threadsafe(lines.put_nowait, line.decode("utf-8", "replace"))
            loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line
