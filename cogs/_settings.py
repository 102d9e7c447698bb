"""What the commands about settings share: scopes, words for values, choices, models."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final, get_args

import discord
from discord import app_commands

from bot.chat.reply import model_name
from bot.core.domain import ChannelId, GuildId, UserId
from bot.gateway.client import ClawbotClient, Interaction
from bot.lmstudio.catalogue import name_to_send
from bot.lmstudio.completion import offered
from bot.lmstudio.names import shown
from bot.storage.setting_types import (
    EVERYWHERE,
    LAYERS,
    SETTING_TYPES,
    Change,
    Layer,
    Scope,
    SettingType,
    ShownSetting,
)
from bot.storage.settings_store import NOBODY
from cogs import _convert, _gate
from config import names, values

MOST_CHOICES = 25
"""Choices an autocomplete may return (Discord: application commands)."""
CHOICE_CHARS = 100
"""Longest name and value of a choice (Discord: application commands)."""
SHOWN_VALUE_CHARS = 120
_CHANNEL_CHARS: Final = 30
"""Of a channel's name, where a choice says where a value comes from."""
MOST_ENTRIES: Final = 30
"""Entries of a list that stand in a sentence; of longer lists a change names what came and what went."""
NEEDS_ALLOWED_MODEL = (
    "That model isn't in memory, and only whoever runs me may load it. Choose one that /model list "
    "shows as loaded, or ask them to allow it here with /model allow."
)
UNKNOWN_MODELS = (
    "The model's machine doesn't answer, so I don't know which models are in memory. /diag network says "
    "why; try again when it answers."
)
NO_MODELS = (
    "The model's machine has no model that can chat. Whoever runs me can download one, in LM Studio or "
    "with /model download."
)
LIST_FULL = "This server's list of allowed models is full. Take one from it with /model forbid."

_SCOPES: Final = {
    Layer.FILE: "the settings file",
    Layer.GLOBAL: "everywhere",
    Layer.GUILD: "this server",
    Layer.CHANNEL: "this channel",
}
SCOPE_CHOICES = [
    app_commands.Choice(name="everywhere (whoever runs me)", value="global"),
    app_commands.Choice(name="this server", value="guild"),
    app_commands.Choice(name="this channel", value="channel"),
]


def scope_choices(interaction: Interaction, name: str) -> list[app_commands.Choice[str]]:
    """Offer where a setting can hold, as far as this person may set it there; a server's first.

    Args:
        interaction: Who, and where.
        name: The setting's; of none yet, every scope that the person may use.
    """
    kinds = {kind.name: kind for kind in may_set(interaction)}
    is_chosen = name in SETTING_TYPES
    layers = kinds[name].layers if name in kinds else LAYERS if kinds and not is_chosen else ()
    is_owner = _gate.is_owner(interaction)
    offered = {layer.value for layer in layers if is_owner or layer is not Layer.GLOBAL}
    return [each for each in reversed(SCOPE_CHOICES) if each.value in offered]


def scope_for(interaction: Interaction, name: str | None, kind: SettingType | None = None) -> Scope:
    """Return the scope that a person named, if they may change it.

    Args:
        interaction: Who, and where.
        name: The scope; when left out the server, or everywhere for what holds nowhere else.
        kind: The setting.

    Raises:
        GateError: They may not, or there is no such scope here.
    """
    is_global = kind is not None and kind.layers == (Layer.GLOBAL,)
    if name == "global" or (name is None and is_global):
        _gate.require_owner(interaction)
        return EVERYWHERE
    _gate.require_manager(interaction)
    guild_id = GuildId(interaction.guild_id or 0)
    if name in {None, "guild"}:
        return Scope.in_guild(guild_id)
    if name == "channel":
        return Scope.in_channel(ChannelId(interaction.channel_id or 0), guild_id)
    raise _gate.GateError("The scope is one of global, guild and channel.")


def require_scope(interaction: Interaction, scope: Scope) -> None:
    """Let through only who may change what holds at a scope.

    Raises:
        GateError: They may not, or the scope is another server's.
    """
    if scope.layer is Layer.GLOBAL:
        _gate.require_owner(interaction)
        return
    _gate.require_manager(interaction)
    if scope.guild_id != interaction.guild_id:
        raise _gate.GateError(_gate.NEEDS_GUILD)


def held_here(interaction: Interaction, name: str) -> ShownSetting:
    """Return what holds of a setting where an interaction happens."""
    place = _convert.interaction_place(interaction)
    shown = interaction.client.services.overrides.show(place)
    return next(line for line in shown if line.key == name)


def scope_words(scope: Scope, channel_id: int | None) -> str:
    """Return where something holds, as it is told in a channel."""
    return _words_at(scope.layer, scope.scope_id, channel_id)


def _words_at(layer: Layer, scope_id: int, channel_id: int | None) -> str:
    is_another = layer is Layer.CHANNEL and scope_id != channel_id
    return f"<#{scope_id}>" if is_another else _SCOPES[layer]


def short(text: str, most: int = SHOWN_VALUE_CHARS) -> str:
    """Return a text as inline code, cut to one readable line."""
    line = " ".join(text.replace("`", "'").split())
    return f"`{clipped(line, most)}`"


def value_words(key: str, value: object, most: int = SHOWN_VALUE_CHARS) -> str:
    """Return a setting's value as it stands in a sentence: mentions are shown as such."""
    kind = SETTING_TYPES[key]
    if isinstance(value, tuple) and len(value) > MOST_ENTRIES:
        return f"{kind.written(value[:MOST_ENTRIES])} and {len(value) - MOST_ENTRIES} more"
    text = shown(str(value)) if kind.of == "model" and value else kind.written(value)
    return text if kind.of in {"channel", "role", "person"} and value else short(text, most)


def describe_setting(
    setting: ShownSetting, channel_id: int | None, *, is_whole: bool = False
) -> str:
    """Return one line: name, value, where it comes from, who set it and when.

    Args:
        setting: As it holds somewhere.
        channel_id: Where that is told.
        is_whole: A list is written to its end, however long.
    """
    value = value_words(setting.key, setting.value)
    if is_whole and isinstance(setting.value, tuple) and setting.value:
        value = SETTING_TYPES[setting.key].written(setting.value)
    line = f"**{setting.key}** {value} · from {source_words(setting, channel_id)}"
    if setting.changed_by is not None and setting.changed_at is not None:
        when = discord.utils.format_dt(setting.changed_at, "R")
        line += f", by {author_words(setting.changed_by)} {when}"
    return line


def author_words(person_id: UserId) -> str:
    """Return who changed a setting, as it stands in a sentence."""
    return "somebody whose data is deleted" if person_id == NOBODY else f"<@{person_id}>"


def source_words(setting: ShownSetting, channel_id: int | None) -> str:
    """Return where a value comes from, as it is told in a channel."""
    is_default = setting.value == SETTING_TYPES[setting.key].target.info.default
    if setting.layer is Layer.FILE and is_default:
        return "the default"
    return _words_at(setting.layer, setting.scope_id, channel_id)


def _source_and_author(interaction: Interaction, setting: ShownSetting) -> str:
    """Return where a value comes from and who set it, where mentions aren't shown as such."""
    source = source_words(setting, interaction.channel_id)
    if source.startswith("<#") and interaction.guild is not None:
        channel = interaction.guild.get_channel_or_thread(setting.scope_id)
        source = (
            "another channel" if channel is None else f"#{clipped(channel.name, _CHANNEL_CHARS)}"
        )
    if setting.changed_by is None:
        return source
    is_own = setting.changed_by == interaction.user.id
    return f"{source}, by {'you' if is_own else 'somebody else'}"


def describe_change(change: Change, channel_id: int | None) -> str:
    """Return one line on a change, as it is told in a channel: when, who, what it was, what it became."""
    verb = "undid" if change.undoes_id else "set"
    when = discord.utils.format_dt(change.changed_at, "R")
    steps = _steps(change.key, change.old, change.new)
    who, where = author_words(change.changed_by), scope_words(change.scope, channel_id)
    return f"{when} {who} {verb} **{change.key}**: {steps} ({where})"


def describe_aim(key: str, old: object, new: object, where: str) -> str:
    """Return what a change will do: the setting, what becomes of it, and where."""
    before, after = (each if isinstance(each, tuple) else () for each in (old, new))
    if before or after:
        came = tuple(each for each in after if each not in before)
        went = tuple(each for each in before if each not in after)
        adds = [f"adds {value_words(key, came)} to"] if came else []
        takes = [f"takes {value_words(key, went)} out of"] if went else []
        return f"This {' and '.join([*adds, *takes])} **{key}** ({where})."
    if new is None:
        return f"This takes away what is set for **{key}** ({where})."
    return f"This sets **{key}** to {value_words(key, new)} ({where})."


def describe_undo(changes: Sequence[Change], channel_id: int | None) -> list[str]:
    """Return what taking changes back will do; of several it is short, so that all of it is read."""
    at = [(each, scope_words(each.scope, channel_id)) for each in changes]
    if len(changes) > 1:
        return [describe_aim(each.key, each.new, each.old, where) for each, where in at]
    return [
        f"This takes back **{each.key}**: {_steps(each.key, each.new, each.old)} ({where})."
        for each, where in at
    ]


def _steps(key: str, old: object, new: object) -> str:
    if isinstance(old, tuple) and isinstance(new, tuple) and max(len(old), len(new)) > MOST_ENTRIES:
        came = [each for each in new if each not in old]
        went = [each for each in old if each not in new]
        ways, written = (("added", came), ("removed", went)), SETTING_TYPES[key].written
        return "; ".join(f"{verb} {written(entries)}" for verb, entries in ways if entries)
    return " → ".join(
        "not set" if value is None else value_words(key, value) for value in (old, new)
    )


def may_set(interaction: Interaction) -> list[SettingType]:
    """Return the settings that this person may set, here or everywhere."""
    if not _gate.is_manager(interaction):
        return []
    is_owner = _gate.is_owner(interaction)
    return [kind for kind in SETTING_TYPES.values() if is_owner or kind.layers != (Layer.GLOBAL,)]


def setting_choices(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Offer the settings that this person may set, each with what holds here."""
    kinds = {kind.name: kind for kind in may_set(interaction)}
    if not kinds:
        return []
    place = _convert.interaction_place(interaction)
    held = {line.key: line for line in interaction.client.services.overrides.show(place)}
    wanted = typed.strip().lower()
    found = [
        name for name, kind in kinds.items() if wanted in f"{name} {kind.description}".lower()
    ] or difflib.get_close_matches(wanted, kinds, MOST_CHOICES, 0.5)
    return [
        app_commands.Choice(name=_titled(interaction, kinds[name], held[name]), value=name)
        for name in found[:MOST_CHOICES]
    ]


def _titled(interaction: Interaction, kind: SettingType, held: ShownSetting) -> str:
    value, source = plain(interaction, kind, held.value), _source_and_author(interaction, held)
    room = CHOICE_CHARS - len(f"{kind.name} ·  · {source}")
    return f"{kind.name} · {clipped(value, room)} · {source}"


def plain(interaction: Interaction, kind: SettingType, value: object) -> str:
    """Return a value where mentions aren't shown as such: in choices and placeholders."""
    if kind.of == "model" and value:
        return shown(str(value))
    if not isinstance(value, tuple):
        return " ".join(kind.written(value).split())
    return ", ".join(named(interaction, kind, each) for each in value) or "none"


def named(interaction: Interaction, kind: SettingType, entry: int) -> str:
    """Return what an id in a list is called, as far as is known."""
    guild = interaction.guild
    found: object = None
    if guild is not None and kind.of == "channel":
        found = guild.get_channel_or_thread(entry)
    elif guild is not None and kind.of == "role":
        found = guild.get_role(entry)
    elif kind.of == "guild":
        found = interaction.client.get_guild(entry)
    name = getattr(found, "name", None)
    sign = {"channel": "#", "role": "@"}.get(kind.of, "")
    return f"{sign}{name}" if name else f"{kind.of} {entry}"


def value_choices(
    interaction: Interaction, name: str, typed: str
) -> list[app_commands.Choice[str]]:
    """Offer values of a setting to whoever may set it: what holds here, the default, and others."""
    kind = next((each for each in may_set(interaction) if each.name == name), None)
    if kind is None:
        return []
    held = held_here(interaction, name)
    if names.is_list(kind.target):
        return matching(_entries(interaction, kind, held), typed)
    default = kind.target.info.default
    marks: dict[str, str] = {}
    if held.value is not None:
        marks[kind.written(held.value)] = _holds(interaction, held)
    if default is not None:
        marks.setdefault(kind.written(default), " · the default")
    values = dict.fromkeys([*marks, *_further(interaction, kind)])
    title = _titled_model if kind.of == "model" else _titled_value
    return matching((title(value, marks.get(value, "")) for value in values), typed)


def _holds(interaction: Interaction, held: ShownSetting) -> str:
    return f" · holds here, from {_source_and_author(interaction, held)}"


def _titled_value(value: str, mark: str) -> tuple[str, str]:
    return f"{value}{mark}", value


def _further(interaction: Interaction, kind: SettingType) -> list[str]:
    """Return values that a setting may have, where these can be listed."""
    if kind.of == "model":
        return model_names(interaction)
    if kind.name == "reasoning":
        services = interaction.client.services
        chat = services.overrides.effective(_convert.interaction_place(interaction))
        model = services.backend.model(chat.model)
        return list(offered(model.reasoning_options if model else None))
    if names.is_flag(kind.target):
        return ["on", "off"]
    examples = [kind.written(each) for each in kind.target.info.examples or ()]
    return examples + [str(each) for each in get_args(names.kind(kind.target))]


def _entries(
    interaction: Interaction, kind: SettingType, held: ShownSetting
) -> Iterable[tuple[str, str]]:
    """Yield what may be put into a list and taken out of it, and how to empty it."""
    kept = held.value if isinstance(held.value, tuple) else ()
    mark = _holds(interaction, held)
    if not kept:
        yield (f"none{mark}", "none")
    yield from ((f"take out {named(interaction, kind, each)}{mark}", f"-{each}") for each in kept)
    guild = interaction.guild
    if kind.of == "guild":
        there: Sequence[discord.abc.Snowflake] = interaction.client.guilds
    elif guild is None or kind.of == "person":
        there = ()
    else:
        there = guild.channels if kind.of == "channel" else guild.roles[1:]
    new = (each.id for each in there if each.id not in kept)
    yield from ((f"add {named(interaction, kind, each)}", f"+{each}") for each in new)
    if kept:
        yield ("none · the default", "none")


def matching(options: Iterable[tuple[str, str]], typed: str) -> list[app_commands.Choice[str]]:
    """Return at most 25 choices, of name and value, in whose name what was typed stands."""
    wanted = typed.strip().lower()
    fitting = [
        (name, value)
        for name, value in options
        if name and wanted in name.lower() and len(value) <= CHOICE_CHARS
    ]
    return [
        app_commands.Choice(name=clipped(name), value=value)
        for name, value in fitting[:MOST_CHOICES]
    ]


def block(text: str, most_chars: int, hint: str = "") -> str:
    """Return a text as a code block, cut to so many characters.

    Args:
        text: What stands in it.
        most_chars: Of longer ones it is said how much is left out.
        hint: Said with that.
    """
    shown = text.replace("```", "'''")
    if len(shown) > most_chars:
        left = f"({len(shown) - most_chars:,} more characters{hint})"
        shown = f"{shown[:most_chars]}…\n{left}"
    return f"```text\n{shown}\n```"


def clipped(name: str, most: int = CHOICE_CHARS) -> str:
    """Return a choice's name, or a part of it, within Discord's length."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


async def choose_model(interaction: Interaction, name: str, scope: Scope) -> str:
    """Return the name by which to keep a model that somebody chose.

    What an owner chooses for a server is allowed there by that.

    Raises:
        GateError: There is no such model, or only an owner may choose it.
    """
    client = interaction.client
    key = require_model(client, name)
    if scope.layer is Layer.GLOBAL:
        return key
    allowed, guild_id = client.services.allowed, GuildId(interaction.guild_id or 0)
    is_permitted = allowed.permit(guild_id, key) is not None
    if not _gate.is_owner(interaction):
        if not is_permitted:
            is_known = bool(client.services.backend.known_models())
            raise _gate.GateError(NEEDS_ALLOWED_MODEL if is_known else UNKNOWN_MODELS)
    elif not await allowed.allow(guild_id, key) and not is_permitted:
        raise _gate.GateError(LIST_FULL)
    return key


def model_names(interaction: Interaction) -> list[str]:
    """Return the models that this person may choose for this server, loaded ones first."""
    services = interaction.client.services
    names = [model.key for model in services.backend.known_models()]
    if _gate.is_owner(interaction):
        return names
    guild_id = GuildId(interaction.guild_id or 0)
    return [name for name in names if services.allowed.permit(guild_id, name) is not None]


def no_models(client: ClawbotClient) -> str:
    """Say that no model is known of, and why."""
    failure = client.services.backend.unlisted()
    return (
        NO_MODELS
        if failure is None
        else f"I don't know which models there are. {failure.user_text}"
    )


def require_model(client: ClawbotClient, name: str) -> str:
    """Return the name by which the machine lists a model; any, while its list is unknown.

    Args:
        client: The bot.
        name: As a person wrote it.

    Raises:
        GateError: With the models that there are, those of a like name first, or that this may mean;
            or there is none.
    """
    backend, name = client.services.backend, values.bare(name)
    known = backend.known_models()
    if not known:
        if backend.away():
            return name
        raise _gate.GateError(no_models(client))
    info = backend.model(name)
    if info is not None:
        return name_to_send(info, name, info.key)
    several = backend.fitting(name)
    keys = [model.key for model in known]
    typed = name[:CHOICE_CHARS].strip().casefold()
    near = [key for key in keys if typed in key.casefold()][:3]
    near = near or difflib.get_close_matches(typed, keys, 3, 0.4)
    listed = ", ".join(
        f"`{model_name(key)}`" for key in several or dict.fromkeys([*near, *keys[:8]])
    )
    if several:
        raise _gate.GateError(
            f"Several models have nearly that name: {listed}. Choose one of these."
        )
    offer = " or ".join(f"`{model_name(key)}`" for key in near)
    guess = f" Did you mean {offer}?" if near else ""
    raise _gate.GateError(f"The model's machine has no such model.{guess} It has {listed}.")


def choices(options: Sequence[str], current: str) -> list[app_commands.Choice[str]]:
    """Return at most 25 choices that contain what was typed, within Discord's lengths.

    A model that is listed by a file's path is shown by the file's name, by which it is found too.
    """
    return matching((_titled_model(option) for option in options), current)


def _titled_model(key: str, mark: str = "") -> tuple[str, str]:
    """Return a choice's name and value for a model."""
    title = shown(key)
    return f"{title}{mark}", key if len(key) <= CHOICE_CHARS else title
