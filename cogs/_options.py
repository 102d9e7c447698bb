"""Commands with one option for each setting, of Discord's own kind: numbers, switches, channels, roles."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin

import discord
from discord import app_commands

from bot.gateway.client import Interaction
from bot.storage.setting_types import SETTING_TYPES, Layer, SettingType
from cogs import _change, _gate, _settings
from config import names

GROUPS: Final = {
    "chat": ("chat", "How I answer here"),
    "access": ("discord", "Where I answer, and whom"),
    "everywhere": ("discord", "In which servers I answer, and direct messages"),
    "server": ("lmstudio", "How long I wait for the model's machine"),
    "reading": ("context", "How much of a conversation and its files I read"),
    "limits": ("queue", "How much may be asked"),
    "delivery": ("delivery", "How answers appear"),
}
"""Commands below ``/config``: the section of the settings, and what it is about."""
_IN_SERVERS: Final = frozenset({"chat", "access"})
"""Those for settings that a server may have of its own; the others hold for the whole bot."""

NOTHING: Final = "Choose at least one of the options: each is a setting."
DESCRIPTION_CHARS: Final = 100
"""Longest description (Discord: application command structure)."""

_SNOWFLAKES: Final = {
    "channel": app_commands.AppCommandChannel | app_commands.AppCommandThread,
    "role": discord.Role,
    "person": discord.User,
}
_TAKE_OUT: Final = "take_out"


def commands() -> Iterator[app_commands.Command[Any, ..., None]]:
    """Yield one command for each section of settings that may change while the bot runs."""
    for name, (section, description) in GROUPS.items():
        kinds = {
            kind.name: kind
            for kind in SETTING_TYPES.values()
            if kind.target.section == section and _is_global(kind) is (name not in _IN_SERVERS)
        }
        yield _command(name, description, kinds)


def _is_global(kind: SettingType) -> bool:
    return kind.layers == (Layer.GLOBAL,)


def _command(
    name: str, description: str, kinds: dict[str, SettingType]
) -> app_commands.Command[Any, ..., None]:
    has_lists = any(names.is_list(kind.target) for kind in kinds.values())
    is_global = all(map(_is_global, kinds.values()))

    async def callback(interaction: Interaction, **given: Any) -> None:  # noqa: ANN401 - by option
        scope, take_out = given.pop("scope", None), bool(given.pop(_TAKE_OUT, False))
        chosen = {key: value for key, value in given.items() if value is not None}
        scopes = {
            _settings.scope_for(interaction, scope, kinds[key])
            for key in chosen or list(kinds)[-1:]
        }
        if not chosen:
            raise _gate.GateError(NOTHING)
        if len(scopes) > 1:
            raise _gate.GateError(
                "These settings don't hold at the same level. Change them one after the other."
            )
        wanted = {key: _text(kinds[key], value, take_out) for key, value in chosen.items()}
        await _change.change(interaction, wanted, scopes.pop())

    options = {kind.name: _annotation(kind) for kind in kinds.values()}
    about = {kind.name: _clause(kind.description) for kind in kinds.values()}
    if has_lists:
        options[_TAKE_OUT] = bool
        about[_TAKE_OUT] = "Take the chosen channels, roles and people out instead of adding them"
    if not is_global:
        options["scope"] = str
        about["scope"] = "Where it shall hold; this server when left out"
    parameters = [inspect.Parameter("interaction", _KIND, annotation=Interaction)] + [
        inspect.Parameter(option, _KIND, default=None, annotation=kind | None)
        for option, kind in options.items()
    ]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    described = app_commands.describe(**about)(callback)
    if not is_global:
        described = app_commands.choices(scope=_settings.SCOPE_CHOICES)(described)
    command: app_commands.Command[Any, ..., None] = app_commands.Command(
        name=name, description=description, callback=described
    )
    for kind in kinds.values():
        if kind.of in {"model", "guild"}:
            command.autocomplete(kind.name)(_offers(kind))
    return command


_KIND: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD


def _offers(kind: SettingType) -> Any:  # noqa: ANN401 - discord.py's own type is private
    """Return what offers values of a setting that Discord has no picker for."""

    async def offer(interaction: Interaction, current: str) -> list[app_commands.Choice[str]]:
        return _settings.value_choices(interaction, kind.name, current)

    return offer


def _annotation(kind: SettingType) -> Any:  # noqa: ANN401 - a type
    """Return the kind of option that takes a setting's values."""
    if names.is_list(kind.target):
        return _SNOWFLAKES.get(kind.of, str)
    held = names.kind(kind.target)
    if held is bool:
        return bool
    if get_origin(held) is Literal:
        return Literal[get_args(held)]
    if held not in {int, float}:
        return str
    bounds = names.bounds(kind.target.info.metadata)
    return app_commands.Range[held, held(bounds.get("ge", 0)), held(bounds["le"])]


def _text(kind: SettingType, value: object, take_out: bool) -> str:
    """Return what somebody chose as they would have typed it."""
    if names.is_list(kind.target):
        entry = str(getattr(value, "id", value))
        is_said = entry == "none" or entry[:1] in {"+", "-"}  # as it was offered
        return entry if is_said else f"{'-' if take_out else '+'}{entry}"
    return kind.written(value)


def _clause(text: str) -> str:
    """Return the beginning of a description that Discord takes."""
    return _settings.clipped(text.split(";", maxsplit=1)[0], DESCRIPTION_CHARS)
