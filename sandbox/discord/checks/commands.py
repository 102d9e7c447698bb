"""What Discord refuses in application commands (Discord: "Application commands")."""

from __future__ import annotations

import re
from typing import Any

from sandbox.discord.checks.form import Form
from sandbox.discord.values.command_types import (
    CHAT_INPUT,
    INTEGER,
    MAX_SAFE,
    MESSAGE_COMMAND,
    NUMBER,
    STRING,
    SUBCOMMAND,
    SUBCOMMAND_GROUP,
    USER_COMMAND,
)
from sandbox.discord.values.errors import ApiError
from sandbox.discord.values.json_objects import JsonObject

_NAME = re.compile(r"[-_'\w]{1,32}")
_LIMITS = {CHAT_INPUT: 100, USER_COMMAND: 15, MESSAGE_COMMAND: 15}
MAX_COMMAND_CHARS = 8000


def check_command(form: Form, command: object, path: str = "") -> None:
    """Check one command; ``path`` is where it stands in the body, with a dot at its end."""
    if not isinstance(command, dict):
        form.wrong(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return
    kind = command.get("type", CHAT_INPUT)
    if not isinstance(kind, int) or kind not in _LIMITS:
        form.choices(path + "type", "(1, 2, 3)")
        return
    if kind == CHAT_INPUT:
        _check_name(form, command.get("name"), path + "name")
        form.text(path + "description", command.get("description"), least=1, most=100)
        _check_options(form, command.get("options"), path)
    else:
        form.text(path + "name", command.get("name"), least=1, most=32)
        for key in ("description", "options"):
            if command.get(key):
                form.wrong(
                    path + key,
                    "APPLICATION_COMMAND_CONTEXT_MENU_FIELD_INVALID",
                    "Context menu commands cannot have this field",
                )
    if command_chars(command) > MAX_COMMAND_CHARS:
        form.wrong(
            path,
            "APPLICATION_COMMAND_TOO_LARGE",
            "Command exceeds maximum size (8000)",
        )


def command_chars(command: JsonObject) -> int:
    """Return a command's size: names, descriptions and string values, longest localisations."""
    total = 0
    for key in ("name", "description"):
        texts = [command.get(key) or "", *(command.get(f"{key}_localizations") or {}).values()]
        total += max(len(text) for text in texts)
    for option in command.get("options") or ():
        total += command_chars(option)
    for choice in command.get("choices") or ():
        value = choice.get("value")
        total += len(value) if isinstance(value, str) else 0
        total += len(str(choice.get("name", "")))
    return total


def _check_name(form: Form, name: object, path: str) -> None:
    if not isinstance(name, str):
        form.required(path)
    elif not _NAME.fullmatch(name) or name != name.lower():
        form.wrong(
            path,
            "APPLICATION_COMMAND_INVALID_NAME",
            "Command name is invalid",
        )


def _check_options(form: Form, options: Any, path: str, depth: int = 0) -> None:  # noqa: ANN401 - as parsed
    if options is None:
        return
    if not isinstance(options, list):
        form.wrong(path + "options", "LIST_TYPE_CONVERT", "Only iterables may be used")
        return
    if len(options) > 25:
        form.wrong(path + "options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    names: set[object] = set()
    optional_seen = False
    kinds = {option.get("type") in {SUBCOMMAND, SUBCOMMAND_GROUP} for option in options}
    if len(kinds) > 1:
        form.wrong(
            path + "options",
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
            "Sub-command and sub-command group option types are mutually exclusive to other types",
        )
    for index, option in enumerate(options):
        where = f"{path}options.{index}."
        if option.get("name") in names:
            form.wrong(
                path + "options",
                "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATE",
                "Option names must be unique",
            )
        names.add(option.get("name"))
        if option.get("required") and optional_seen:
            form.wrong(
                where + "required",
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or not option.get("required")
        _check_option(form, option, where, depth)


def _check_option(form: Form, option: JsonObject, path: str, depth: int) -> None:
    kind = option.get("type")
    _check_name(form, option.get("name"), path + "name")
    form.text(path + "description", option.get("description"), least=1, most=100)
    if kind not in range(1, 12):
        form.choices(path + "type", "(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)")
    elif kind in {SUBCOMMAND, SUBCOMMAND_GROUP}:
        if depth >= 2 or (kind == SUBCOMMAND_GROUP and depth):
            form.wrong(
                path + "type",
                "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
                "Sub-commands can't be nested so deeply",
            )
        _check_options(form, option.get("options"), path, depth + 1)
    else:
        _check_value_rules(form, option, path)


def _check_value_rules(form: Form, option: JsonObject, path: str) -> None:
    choices = option.get("choices")
    if choices and option.get("autocomplete"):
        form.wrong(
            path + "autocomplete",
            "APPLICATION_COMMAND_AUTOCOMPLETE_CHOICES",
            "Autocomplete and choices are mutually exclusive",
        )
    if option.get("autocomplete") and option["type"] not in {STRING, INTEGER, NUMBER}:
        form.wrong(path + "autocomplete", "BASE_TYPE_INVALID", "Not for this option type")
    if len(choices or ()) > 25:
        form.wrong(path + "choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    check_choices(form, choices or (), path + "choices", option["type"])
    for key in ("min_length", "max_length"):
        value = option.get(key)
        if value is not None and not (1 if key == "max_length" else 0) <= value <= 6000:
            form.wrong(path + key, "NUMBER_TYPE_MAX", "Must be between 0 and 6000.")


def check_choices(form: Form, choices: Any, path: str, kind: int) -> None:  # noqa: ANN401 - as parsed
    """Check choices of an option or of an autocomplete answer."""
    for index, choice in enumerate(choices):
        where = f"{path}.{index}"
        form.text(f"{where}.name", choice.get("name"), least=1, most=100)
        value = choice.get("value")
        if kind == STRING:
            form.text(f"{where}.value", value, least=1, most=100)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            form.wrong(f"{where}.value", "NUMBER_TYPE_COERCE", "Value is not a number.")
        elif abs(value) > MAX_SAFE:
            form.wrong(f"{where}.value", "NUMBER_TYPE_MAX", "Out of range.")


def check_count(commands: list[JsonObject]) -> None:
    """Refuse more commands than a scope may hold, and a name that stands twice.

    Raises:
        ApiError: 30032, or 50035 for a double name.
    """
    for kind, most in _LIMITS.items():
        names = [each["name"] for each in commands if each.get("type", CHAT_INPUT) == kind]
        if len(names) > most:
            raise ApiError(30032)
        if len(set(names)) < len(names):
            error = {
                "code": "APPLICATION_COMMANDS_DUPLICATE_NAME",
                "message": "Application command names must be unique",
            }
            raise ApiError(50035, errors={"_errors": [error]})
