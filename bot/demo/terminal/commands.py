"""Slash commands as a person types them: which there are, what a line says, how it can go on."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from sandbox.discord.values.command_types import CHAT_INPUT, SUBCOMMAND, SUBCOMMAND_GROUP
from sandbox.discord.values.json_objects import JsonObject

_SPACES: Final = re.compile(r"((?<!\s)\s++)")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be used.

    Attributes:
        name: With its subcommands, as ``config set``.
        description: What it does.
        options: As Discord describes them.
    """

    name: str
    description: str
    options: tuple[JsonObject, ...] = ()

    @property
    def usage(self) -> str:
        """The command with its options, those that may be left out in brackets."""
        shown = (
            f"{o['name']}:…" if o.get("required") else f"[{o['name']}:…]" for o in self.options
        )
        return " ".join((f"/{self.name}", *shown))


@dataclass(frozen=True, slots=True)
class Typed:
    """What a line says.

    Attributes:
        command: Which one; ``None`` where there is no such command.
        options: Their values by name.
        surplus: Words that belong to no option.
    """

    command: Command | None
    options: Mapping[str, str]
    surplus: str = ""

    @property
    def missing(self) -> JsonObject | None:
        """The first required option that has no value."""
        options = self.command.options if self.command else ()
        needed = (each for each in options if each.get("required"))
        return next((each for each in needed if not self.options.get(each["name"])), None)


def flattened(registered: Iterable[JsonObject]) -> list[Command]:
    """Return slash commands, each subcommand as one of its own."""
    found: list[Command] = []
    for each in registered:
        if each["type"] == CHAT_INPUT:
            found += _leaves(each, "")
    return found


def _leaves(part: JsonObject, before: str) -> Iterator[Command]:
    name, options = before + part["name"], part.get("options") or ()
    subcommands = [each for each in options if each["type"] in {SUBCOMMAND, SUBCOMMAND_GROUP}]
    for each in subcommands:
        yield from _leaves(each, f"{name} ")
    if not subcommands:
        yield Command(name, part["description"], tuple(options))


def read(line: str, commands: Iterable[Command]) -> Typed:
    """Return what a line says.

    Options are written ``name:value``, and a value goes on until the next name. Words before the first
    name fill the required options in their order: ``/ask why?`` is ``/ask prompt:why?``.

    Args:
        line: With its slash.
        commands: Those that there are.
    """
    words = line.strip().removeprefix("/")
    fitting = [each for each in commands if f"{words} ".startswith(f"{each.name} ")]
    if not fitting:
        return Typed(None, {})
    command = max(fitting, key=lambda each: len(each.name))
    values = _values(words[len(command.name) :], {each["name"] for each in command.options})
    loose = values.pop("")
    open_ = [o["name"] for o in command.options if o.get("required") and o["name"] not in values]
    if open_ and loose:
        values.update(zip(open_, loose.split(None, len(open_) - 1), strict=False))
        loose = ""
    return Typed(command, values, loose)


def _values(text: str, names: Iterable[str]) -> dict[str, str]:
    """Return values by the names before them; what stands before the first one is under ``""``."""
    values, present = {"": ""}, ""
    for piece in _SPACES.split(text):
        name, colon, value = piece.partition(":")
        if colon and name in names:
            present, values[name] = name, value
        else:
            values[present] += piece
    return {name: value.strip() for name, value in values.items()}


Suggest = Callable[[Typed, JsonObject, str], Awaitable[list[tuple[str, str]]]]
"""What may stand for an option: its present text → names and values."""


class CommandCompleter(Completer):
    """Completes commands, then the names of their options, then values.

    Args:
        offered: The commands that there are now.
        suggest: What an option may be.
    """

    def __init__(self, offered: Callable[[], list[Command]], suggest: Suggest) -> None:
        self._offered = offered
        self._suggest = suggest

    def get_completions(self, *_: object) -> list[Completion]:
        """Return none: values are asked of the bot."""
        return []

    async def get_completions_async(
        self, document: Document, _: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """Yield how the line can go on."""
        line = document.text_before_cursor
        if not line.startswith("/"):
            return
        commands = self._offered()
        for each in commands:
            if f"/{each.name}".startswith(line):
                text = f"/{each.name} " if each.options else f"/{each.name}"
                yield Completion(text, -len(line), f"/{each.name}", each.description)
        typed = read(line, commands)
        if typed.command is None or line.strip() == f"/{typed.command.name}" == line:
            return
        async for completion in self._options(line, typed, typed.command):
            yield completion

    async def _options(
        self, line: str, typed: Typed, command: Command
    ) -> AsyncGenerator[Completion, None]:
        word = "" if line[-1].isspace() else line.rsplit(None, 1)[-1]
        for each in command.options:
            if each["name"] not in typed.options and each["name"].startswith(word):
                needed = " (required)" if each.get("required") else ""
                text = f"{each['name']}:"
                yield Completion(text, -len(word), text, each["description"] + needed)
        last = _last_option(line, command)
        if last is None:
            return
        option, text = last
        for name, value in await self._suggest(typed, option, text):
            yield Completion(value, -len(text), name)


def _last_option(line: str, command: Command) -> tuple[JsonObject, str] | None:
    """Return the option whose value stands at the end of the line, and that value."""
    names = {each["name"]: each for each in command.options}
    found: tuple[JsonObject, str] | None = None
    position = 0
    for piece in _SPACES.split(line):
        name, colon, _ = piece.partition(":")
        if colon and name in names:
            found = names[name], line[position + len(name) + 1 :]
        position += len(piece)
    return found
