"""What the commands about settings share: scopes, words for values, and one way to change one."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord import app_commands

from bot.chat.closing import model_name
from bot.core.domain import ChannelId, GuildId, UserId
from bot.gateway.client import ClawbotClient
from bot.lmstudio.catalogue import name_to_send
from bot.lmstudio.names import shown
from bot.storage.setting_types import (
    SETTING_TYPES,
    Change,
    Layer,
    Scope,
    ShownSetting,
    format_value,
    parse_setting,
)
from cogs import _gate, _respond

Interaction = discord.Interaction[ClawbotClient]

MOST_CHOICES = 25
"""Choices an autocomplete may return (Discord: application commands)."""
CHOICE_CHARS = 100
"""Longest name and value of a choice (Discord: application commands)."""
SHOWN_VALUE_CHARS = 120
NEEDS_ALLOWED_MODEL = (
    "That model isn't in memory, and only whoever runs me may load it. Choose one that /model list "
    "shows as loaded, or ask them to allow it here with /model allow."
)
LIST_FULL = "This server's list of allowed models is full. Take one from it with /model forbid."

SETTING_CHOICES = [app_commands.Choice(name=name, value=name) for name in SETTING_TYPES]
SCOPE_CHOICES = [
    app_commands.Choice(name="everywhere (whoever runs me)", value="global"),
    app_commands.Choice(name="this server", value="guild"),
    app_commands.Choice(name="this channel", value="channel"),
]


def scope_for(interaction: Interaction, name: str) -> Scope:
    """Return the scope that a person named, if they may change it.

    Raises:
        GateError: They may not, or there is no such scope here.
    """
    if name == "global":
        _gate.require_owner(interaction)
        return Scope.everywhere()
    _gate.require_manager(interaction)
    guild_id = GuildId(interaction.guild_id or 0)
    if name == "guild":
        return Scope.in_guild(guild_id)
    if name == "channel":
        return Scope.in_channel(ChannelId(interaction.channel_id or 0), guild_id)
    raise _gate.GateError("The scope is one of global, guild and channel.")


def scope_words(layer: Layer) -> str:
    """Return a layer as people call it."""
    return {
        Layer.FILE: "the default",
        Layer.GLOBAL: "everywhere",
        Layer.GUILD: "this server",
        Layer.CHANNEL: "this channel",
    }[layer]


def short(value: str | float | bool | None) -> str:
    """Return a value as inline code, cut to one readable line."""
    text = " ".join(format_value(value).replace("`", "'").split())
    return f"`{text if len(text) <= SHOWN_VALUE_CHARS else text[: SHOWN_VALUE_CHARS - 1] + '…'}`"


def describe_setting(shown: ShownSetting) -> str:
    """Return one line: name, value, where it comes from, who set it and when."""
    line = f"**{shown.key}** {short(shown.value)} · from {scope_words(shown.layer)}"
    if shown.changed_by is not None and shown.changed_at is not None:
        line += f", by <@{shown.changed_by}> {discord.utils.format_dt(shown.changed_at, 'R')}"
    return line


def describe_change(change: Change) -> str:
    """Return one line on a change: when, who, what."""
    new = "back to the layer below" if change.new is None else short(change.new)
    verb = "undid" if change.undoes_id else "set"
    when = discord.utils.format_dt(change.changed_at, "R")
    where = scope_words(change.scope.layer)
    return f"{when} <@{change.changed_by}> {verb} **{change.key}** → {new} ({where})"


async def change(interaction: Interaction, key: str, value: str, scope: Scope) -> None:
    """Change one setting and say so, with what it was before.

    Raises:
        GateError: The model's machine has no such model, or it isn't for this server to choose.
        InvalidSettingError: The value isn't allowed.
        StoreError: It couldn't be kept.
    """
    services = interaction.client.services
    if key == "model":
        value = require_model(interaction.client, str(parse_setting(key, value)))
        await _permit_model(interaction, value, scope)
    by, at = UserId(interaction.user.id), services.clock.now()
    made = await services.overrides.set(scope, key, value, by, at)
    before = "not set there" if made.old is None else short(made.old)
    where = scope_words(scope.layer)
    await _respond.say(
        interaction, f"**{key}** is now {short(made.new)} ({where}; before: {before})."
    )


async def _permit_model(interaction: Interaction, name: str, scope: Scope) -> None:
    """Check who chooses a model; what an owner chooses for a server is allowed there by that.

    Raises:
        GateError: Only an owner may choose it.
    """
    client = interaction.client
    if scope.layer is Layer.GLOBAL:
        return
    allowed, guild_id = client.services.allowed, GuildId(interaction.guild_id or 0)
    is_permitted = allowed.permit(guild_id, name) is not None
    if UserId(interaction.user.id) not in _gate.owner_ids(client):
        if not is_permitted:
            raise _gate.GateError(NEEDS_ALLOWED_MODEL)
    elif not await allowed.allow(guild_id, name) and not is_permitted:
        raise _gate.GateError(LIST_FULL)


def model_names(interaction: Interaction) -> list[str]:
    """Return the models that this person may choose for this server, loaded ones first."""
    services = interaction.client.services
    names = [model.key for model in services.backend.known_models()]
    if UserId(interaction.user.id) in _gate.owner_ids(interaction.client):
        return names
    guild_id = GuildId(interaction.guild_id or 0)
    return [name for name in names if services.allowed.permit(guild_id, name) is not None]


def require_model(client: ClawbotClient, name: str) -> str:
    """Return the name by which the machine lists a model; any, while its list is unknown.

    Args:
        client: The bot.
        name: As a person wrote it.

    Raises:
        GateError: With the models that there are, or that this may mean.
    """
    backend = client.services.backend
    known = backend.known_models()
    if not known:
        return name
    info = backend.model(name)
    if info is not None:
        return name_to_send(info, name, info.key)
    several = backend.fitting(name)
    listed = ", ".join(
        f"`{model_name(key)}`" for key in several or [each.key for each in known[:8]]
    )
    if several:
        raise _gate.GateError(
            f"Several models have nearly that name: {listed}. Choose one of these."
        )
    raise _gate.GateError(f"The model's machine has no such model. It has {listed}.")


def choices(options: Sequence[str], current: str) -> list[app_commands.Choice[str]]:
    """Return at most 25 choices that contain what was typed, within Discord's lengths.

    A model that is listed by a file's path is shown by the file's name, by which it is found too.
    """
    typed = current.strip().lower()
    fitting = [option for option in options if typed in option.lower()]
    return [
        app_commands.Choice(
            name=shown(option), value=option if len(option) <= CHOICE_CHARS else shown(option)
        )
        for option in fitting[:MOST_CHOICES]
        if shown(option)
    ]
