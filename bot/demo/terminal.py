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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TextIO

from bot.demo.run import wait_online
from bot.demo.world import Demo
from bot.ops.logs import escape
from sandbox.discord import Channel, DiscordSandbox, Message, NotOfferedError, Person

_OPTION: Final = re.compile(r"(?<!\s)\s++(?=[\w-]{1,32}:(?!//))")
"""Where a new ``name:value`` begins."""


ANSWER_S: Final = 900.0
"""Longest wait for an answer, in seconds; a real model may be loading."""
QUIET_S: Final = 6.0
"""An answer without buttons is over when it hasn't changed for this long, in seconds: longer than
the pacing of edits ever pauses."""

BOT, PERSON = "Clawbot  ", "you      "

HELP: Final = """\
Type to talk: each line continues the conversation, /new begins another.
Slash commands work as in Discord, for example
  /config set setting:temperature value:0.31
  /diag network
  /help
/quit ends the demo."""


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


@dataclass(slots=True)
class Scene:
    """Where the demo plays."""

    discord: DiscordSandbox
    channel: Channel
    person: Person
    terminal: Terminal
    last: Message | None = None

    async def ask(self, text: str) -> None:
        """Say something to the bot, as a reply to its last answer if there is one."""
        if self.last is None:
            asked = await self.person.mention(self.channel, text)
        else:
            asked = await self.person.reply(self.last, text)
        await self._watch(asked)

    async def command(self, line: str) -> None:
        """Use a slash command and show what comes of it."""
        name, options = parse_command(line)
        newest = self.newest()
        try:
            used = await self.person.slash(self.channel, name, **options)
        except (NotOfferedError, LookupError) as exc:
            self.terminal.line(f"Discord: {exc}")
            return
        try:
            response = await used.wait_content(timeout_s=ANSWER_S)
        except TimeoutError:
            self.terminal.line("Discord: the application did not respond")
            return
        if response.ephemeral:
            self._show(response)
            self.terminal.settle()
        else:
            await self._watch(newest)

    def newest(self) -> Message | None:
        """Return the last message in the channel."""
        return max(self.channel.messages.values(), key=lambda each: each.id, default=None)

    async def _watch(self, asked: Message | None) -> None:
        """Show the bot's messages after ``asked`` as they grow, until the answer is complete."""
        shown = 0
        seen: list[tuple[int, int]] = []
        while not _is_complete(self._answer(asked)):
            try:
                await self._change(asked, seen, QUIET_S)
            except TimeoutError:
                if self._answer(asked) and not _is_being_written(self._answer(asked)):
                    break
                await self._change(asked, seen, ANSWER_S)
            seen = _versions(self._answer(asked))
            shown = self._grow(self._answer(asked), shown)
        self._grow(self._answer(asked), shown)
        self.terminal.settle()

    async def _change(
        self, asked: Message | None, seen: list[tuple[int, int]], timeout_s: float
    ) -> None:
        await self.discord.wait_until(
            lambda: _versions(self._answer(asked)) != seen, timeout_s=timeout_s
        )

    def _answer(self, asked: Message | None) -> list[Message]:
        after = asked.id if asked is not None else 0
        bot = self.discord.bot_user
        return [m for m in self.channel.messages.values() if m.author is bot and m.id > after]

    def _grow(self, messages: list[Message], shown: int) -> int:
        """Show the messages that are new or last; return how many are settled."""
        for index in range(shown, len(messages)):
            self._show(messages[index])
            if index + 1 < len(messages):
                self.terminal.settle()
        if messages:
            self.last = messages[-1]
        return max(shown, len(messages) - 1)

    def _show(self, message: Message) -> None:
        files = "".join(f"\n[file: {each.filename}]" for each in message.attachments)
        drawn = as_drawn(message.content, self._name)
        self.terminal.grow(BOT, drawn + files)

    def _name(self, user_id: int) -> str | None:
        user = self.discord.world.users.get(user_id)
        return user.username if user else None


def _versions(messages: list[Message]) -> list[tuple[int, int]]:
    return [(each.id, len(each.versions)) for each in messages]


def _is_being_written(messages: list[Message]) -> bool:
    return any(
        each["custom_id"].startswith("clawbot:stop:") for m in messages for each in m.buttons
    )


def _is_complete(messages: list[Message]) -> bool:
    """Tell whether the answer has the buttons that only a finished one has."""
    return any(m.buttons for m in messages) and not _is_being_written(messages)


def _scene(demo: Demo) -> Scene:
    """Return where the talk plays, having said who answers."""
    terminal = Terminal(sys.stdout)
    terminal.line(demo.sentence)
    return Scene(demo.discord, demo.general, demo.owner, terminal)


async def script(demo: Demo) -> None:
    """Play a mention, a follow-up by reply, and a slash command."""
    scene = _scene(demo)
    await wait_online(demo)
    for line in (
        "What does a KV cache keep?",
        "And why should a chat bot care?",
        "/config set setting:temperature value:0.31",
    ):
        scene.terminal.line(f"{PERSON}{line}")
        await (scene.command(line) if line.startswith("/") else scene.ask(line))


async def talk(demo: Demo) -> None:
    """Read lines and answer them until there are no more."""
    scene = _scene(demo)
    await wait_online(demo)
    keyboard = Keyboard()
    keyboard.start()
    scene.terminal.line(HELP)
    while True:
        scene.terminal.prompt(PERSON)
        line = await keyboard.line()
        if line is None or line.strip() in {"/quit", "/exit"}:
            return
        await _answer(scene, line.strip())


async def _answer(scene: Scene, line: str) -> None:
    if line == "/new":
        scene.last = None
    elif line.startswith("/"):
        if line == "/help":
            scene.terminal.line(HELP)
        await scene.command(line)
    elif line:
        try:
            await scene.ask(line)
        except NotOfferedError as exc:
            scene.terminal.line(f"Discord: {exc}")


_MENTION: Final = re.compile(r"<@!?(\d{1,20})>")
_TIME: Final = re.compile(r"<t:(\d{1,10})(?::[a-zA-Z])?>")


def as_drawn(text: str, name_of: Callable[[int], str | None]) -> str:
    """Return a message with names for mentions and local times for timestamps.

    Args:
        text: A message's content (Discord: reference, message formatting).
        name_of: A user's name by id; ``None`` where there is no such user.
    """

    def mention(found: re.Match[str]) -> str:
        name = name_of(int(found[1]))
        return f"@{name}" if name else found[0]

    return _TIME.sub(_local, _MENTION.sub(mention, text))


def _local(found: re.Match[str]) -> str:
    moment = datetime.fromtimestamp(int(found[1]), UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")
