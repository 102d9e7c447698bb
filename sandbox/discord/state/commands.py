"""The application commands that a bot has registered."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.discord.values.command_types import CHAT_INPUT, SUBCOMMAND, SUBCOMMAND_GROUP
from sandbox.discord.values.json_objects import JsonObject


class CommandStore:
    """Commands by scope: ``None`` for global ones, otherwise the guild's id."""

    def __init__(self) -> None:
        self._scopes: dict[int | None, dict[int, JsonObject]] = {}

    def scope(self, guild_id: int | None) -> dict[int, JsonObject]:
        """Return the commands of a scope by id."""
        return self._scopes.setdefault(guild_id, {})

    def find(self, name: str, guild_id: int | None, kind: int = CHAT_INPUT) -> JsonObject | None:
        """Return the command that a person finds by name: the guild's before the global one."""
        for scope in dict.fromkeys((guild_id, None)):
            for command in self.scope(scope).values():
                if command["name"] == name and command["type"] == kind:
                    return command
        return None

    def names(self, guild_id: int | None) -> list[str]:
        """Return the names that are offered in a guild, or with ``None`` everywhere."""
        return [
            command["name"]
            for scope in dict.fromkeys((guild_id, None))
            for command in self.scope(scope).values()
        ]


def leaf_options(
    command: JsonObject, words: list[str]
) -> tuple[list[JsonObject], list[JsonObject]]:
    """Follow subcommand words down a command.

    Returns:
        The chain of subcommands, and the options of the last one.

    Raises:
        LookupError: No such subcommand, or one is missing.
    """
    chain: list[JsonObject] = []
    options: list[JsonObject] = list(command.get("options") or ())
    for word in words:
        step = next((each for each in _subs(options) if each["name"] == word), None)
        if step is None:
            raise LookupError(_no_such(command, [*(each["name"] for each in chain), word], options))
        chain.append(step)
        options = list(step.get("options") or ())
    if any(True for _ in _subs(options)):
        names = ", ".join(each["name"] for each in _subs(options))
        raise LookupError(f"/{command['name']} needs one of the subcommands: {names}")
    return chain, options


def _no_such(command: JsonObject, words: list[str], options: list[JsonObject]) -> str:
    said = f"/{command['name']} has no subcommand {' '.join(words)}"
    if not options:
        return said
    if any(True for _ in _subs(options)):
        return f"{said}; there are: {', '.join(each['name'] for each in options)}"
    return f"{said}; its options are written {', '.join(each['name'] + ':…' for each in options)}"


def _subs(options: list[JsonObject]) -> Iterator[JsonObject]:
    return (each for each in options if each["type"] in {SUBCOMMAND, SUBCOMMAND_GROUP})
