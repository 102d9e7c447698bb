"""One way to change settings: tried first, asked about where it locks somebody out, then said."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import discord

from bot.core.domain import GuildId, UserId
from bot.core.permissions import listed, missing
from bot.gateway.client import Interaction
from bot.gateway.rest import VOICE
from bot.prompt.render import PLACEHOLDERS, PRESETS, not_filled_in
from bot.storage.setting_types import Change, Layer, Scope, SettingType, SettingValue, setting_type
from bot.storage.settings_store import NoPlaceLeftError
from cogs import _confirm, _convert, _gate, _named, _respond, _settings, _silence
from config import names, values

Wanted = Mapping[str, str | None]
"""Settings by name with what they shall be, as typed; ``None`` takes away what is set."""

YES: Final = "Change it"
NOTHING_TO_UNDO: Final = "There is nothing to take back."
CHANGED_MEANWHILE: Final = (
    "Something else was changed meanwhile, so nothing was taken back. /config history shows it."
)

_DEFAULT: Final = ("default", "the default")
_ANY_MODEL: Final = ("auto", "automatic", "any", "none", "loaded", "whichever is loaded")
_PRESET_LIKE: Final = re.compile(r"[A-Za-z_-]{1,24}")
"""A word that may be meant as a preset's name; many languages write whole sentences without a space."""
_MOST_NAMED: Final = 5
"""Placeholders of a persona that a sentence names."""


NEEDS_CONTENT: Final = (
    "Discord gives me no text of messages that don't mention me. Whoever runs me can switch on Message "
    "Content Intent in the Developer Portal."
)
NO_THREADS: Final = (
    "Discord has no threads here: they are opened in text and announcement channels only."
)
_THREADS: Final = {
    "create_public_threads": "Create Public Threads",
    "send_messages_in_threads": "Send Messages in Threads",
}


async def change(interaction: Interaction, wanted: Wanted, scope: Scope) -> None:
    """Change settings and say so; where that affects others greatly, ask first.

    Args:
        interaction: By somebody who may change settings at this scope.
        wanted: What shall hold.
        scope: Where.

    Raises:
        GateError: A model, channel or role isn't there, or isn't to be chosen.
        InvalidSettingError: A value isn't allowed.
        StoreError: It couldn't be kept.
    """
    prepared, warnings = await tried(interaction, wanted, scope)

    async def do(by: Interaction) -> str:
        return await carry_out(by, prepared, scope)

    await _do_or_ask(interaction, do, warnings, scope)


async def tried(interaction: Interaction, wanted: Wanted, scope: Scope) -> tuple[Wanted, list[str]]:
    """Check changes against what there is; return them as the store reads them, and what they do to others.

    Raises:
        GateError: As ``change``.
        InvalidSettingError: As ``change``.
    """
    prepared = dict([await _tried(interaction, *each, scope) for each in wanted.items()])
    found = []
    for name, text in prepared.items():
        old = _stored(interaction, name, scope)
        new = None if text is None else setting_type(name).parse(text, old)
        warning = _consequence(interaction, name, old, new, scope)
        if warning:
            where = _settings.scope_words(scope, interaction.channel_id)
            found.append(f"{_settings.describe_aim(name, old, new, where)} {warning}")
    return prepared, found


async def _do_or_ask(
    interaction: Interaction, do: _confirm.Do, warnings: Sequence[str], scope: Scope
) -> None:
    """Do it and say what was done; where there are warnings, ask first."""
    if warnings:
        check = partial(may_change, scope=scope)
        await _confirm.ask(interaction, question(warnings), YES, do, check)
    else:
        await _respond.say_lines(interaction, (await do(interaction)).splitlines())


def question(warnings: Sequence[str]) -> str:
    """Return what is asked before changes that others feel."""
    return "\n".join(f"⚠️ {each}" for each in warnings)


async def undo(interaction: Interaction, scope: Scope) -> None:
    """Take back the newest change and say so; where that affects others greatly, ask first.

    Args:
        interaction: By somebody who may change settings at this scope.
        scope: Where, with the channels of a server.

    Raises:
        StoreError: It couldn't be kept.
    """
    last = await interaction.client.services.overrides.undoable(scope)
    if not last:
        await _respond.say(interaction, NOTHING_TO_UNDO)
        return
    warnings = list(filter(None, (_undone(interaction, each) for each in last)))
    if warnings:
        warnings = [*_settings.describe_undo(last, interaction.channel_id), *warnings]

    async def do(by: Interaction) -> str:
        services = by.client.services
        at = services.clock.now()
        done = await services.overrides.undo(scope, UserId(by.user.id), at, expected=last)
        lines = [_settings.describe_change(each, by.channel_id) for each in done]
        return "\n".join(lines) or CHANGED_MEANWHILE

    await _do_or_ask(interaction, do, warnings, scope)


def _undone(interaction: Interaction, change: Change) -> str:
    """Return what taking a change back does to others; empty if it is harmless."""
    now = _stored(interaction, change.key, change.scope)
    return _consequence(interaction, change.key, now, change.old, change.scope)


async def may_change(interaction: Interaction, scope: Scope) -> bool:
    """Return whether somebody who presses may change what holds at a scope, as things are now.

    Raises:
        GateError: They may not.
    """
    if not await _gate.admits(interaction, is_administrative=True):
        return False
    _settings.require_scope(interaction, scope)
    return True


async def carry_out(interaction: Interaction, wanted: Wanted, scope: Scope) -> str:
    """Change settings that were tried; return what was done, a line each."""
    services = interaction.client.services
    by, where = UserId(interaction.user.id), _settings.scope_words(scope, interaction.channel_id)
    at, lines = services.clock.now(), []  # one time for all, so that undo takes them back together
    for name, text in wanted.items():
        if text is None:
            done = await services.overrides.reset(scope, name, by, at)
            held_now = _settings.held_here(interaction, name)
            now = _settings.describe_setting(held_now, interaction.channel_id)
            lines.append(f"{'Removed' if done else f'Nothing was set for {where}'}. {now}")
            continue
        held = _stored(interaction, name, scope)
        if held is not None and held == setting_type(name).parse(text, held):
            lines.append(f"**{name}** is already {_settings.value_words(name, held)} ({where}).")
            continue
        make = partial(services.overrides.set, scope, name, text, by, at)
        made = await _in_place_of_deleted(interaction, make)
        before = "not set there" if made.old is None else _settings.value_words(name, made.old)
        new = _settings.value_words(name, made.new)
        lines.append(f"**{name}** is now {new} ({where}; before: {before}).")
        lines += persona_remarks(str(made.new)) if name == "system_prompt" else []
    return "\n".join(lines)


async def _in_place_of_deleted(
    interaction: Interaction, make: Callable[[], Awaitable[Change]]
) -> Change:
    """Make a change; where a server has no place left for it, those go that are deleted channels'."""
    try:
        return await make()
    except NoPlaceLeftError:
        client, guild_id = interaction.client, GuildId(interaction.guild_id or 0)
        overrides = client.services.overrides
        places = overrides.places_in(guild_id)
        deleted = await _convert.deleted_among(client, guild_id, places)
        if not deleted:
            raise
        await overrides.forget_places(guild_id, deleted)
    return await make()


def persona_remarks(text: str) -> list[str]:
    """Return what somebody who writes a persona may have meant otherwise, a sentence each."""
    filled = listed([f"{{{each}}}" for each in PLACEHOLDERS])
    unknown = not_filled_in(text)[:_MOST_NAMED]
    found = []
    if unknown:
        verb = "isn't" if len(unknown) == 1 else "aren't"
        found.append(
            f"{listed(unknown)} {verb} filled in: the model gets it as it is. I fill in {filled}."
        )
    if _PRESET_LIKE.fullmatch(text):
        found.append(f"That is one word. There are presets of these names: {listed(PRESETS)}.")
    return [f"⚠️ {each}" for each in found]


async def _tried(
    interaction: Interaction, name: str, text: str | None, scope: Scope
) -> tuple[str, str | None]:
    """Check what a setting shall be against what there is; return it as the store reads it."""
    kind = setting_type(name)
    if text is None or _means_no_value(interaction, kind, text):
        return kind.name, None
    if names.is_list(kind.target):
        text = await _named.with_ids(interaction, kind, text)
    held = _stored(interaction, kind.name, scope)
    value = kind.parse(text, held)
    if kind.of == "model":
        text = await _settings.choose_model(interaction, str(value), scope)
    elif kind.name in {"answer_to", "answer_in"}:
        _require_possible(interaction, str(value), scope)
    elif isinstance(value, tuple):
        known = held if isinstance(held, tuple) else ()
        for entry in set(value) - set(known):
            _require_there(interaction, kind, entry, scope)
    return kind.name, text


def _means_no_value(interaction: Interaction, kind: SettingType, text: str) -> bool:
    """Return whether a text says to go back to what holds without a value, as it is shown."""
    typed = values.bare(text)
    said = " ".join(typed.casefold().split())
    if kind.of == "model":
        is_a_model = interaction.client.services.backend.model(typed) is not None
        return not is_a_model and said in {*_DEFAULT, *_ANY_MODEL, kind.written(None)}
    return kind.name != "system_prompt" and said in _DEFAULT


def _require_there(interaction: Interaction, kind: SettingType, entry: int, scope: Scope) -> None:
    """Let only what exists into a list, and into the allowed channels only where I can write.

    Raises:
        GateError: It isn't there, or I may not write there.
    """
    client, guild = interaction.client, interaction.guild
    if kind.of == "guild":
        if client.serves(entry) and client.get_guild(entry) is None:
            raise _gate.GateError(f"I'm in no server with the id {entry}. Invite me there first.")
        return
    is_everywhere = scope.layer is Layer.GLOBAL
    if kind.of == "role" and not is_everywhere and (guild is None or guild.get_role(entry) is None):
        raise _gate.GateError("There is no such role in this server. Choose one from the list.")
    if kind.of != "channel":
        return
    channel = (
        client.get_channel(entry) if is_everywhere else guild and guild.get_channel_or_thread(entry)
    )
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        where = "in any server I'm in" if is_everywhere else "in this server"
        raise _gate.GateError(f"There is no such channel {where}. Choose one from the list.")
    if kind.name == "allowed_channel_ids" and not isinstance(channel, discord.CategoryChannel):
        _require_writable(channel)


def _require_possible(interaction: Interaction, value: str, scope: Scope) -> None:
    """Let through only ways of answering for which the bot has what it needs, as far as is known.

    Raises:
        GateError: With what is lacking.
    """
    if value == "every_message" and not interaction.client.intents.message_content:
        raise _gate.GateError(NEEDS_CONTENT)
    channel = interaction.channel
    if value == "thread" and scope.layer is Layer.CHANNEL:
        if not isinstance(channel, discord.TextChannel):
            raise _gate.GateError(NO_THREADS)
        granted = channel.permissions_for(channel.guild.me)
        lacking = [title for name, title in _THREADS.items() if not getattr(granted, name)]
        if lacking:
            raise _gate.GateError(
                f"I can't open threads here: I lack {listed(lacking)}. Give my role these permissions "
                "first."
            )


def _require_writable(channel: discord.abc.GuildChannel | discord.Thread) -> None:
    held = _silence.held(channel.permissions_for(channel.guild.me))
    needed, _ = missing(
        held, is_thread=isinstance(channel, discord.Thread), is_voice=isinstance(channel, VOICE)
    )
    if needed:
        raise _gate.GateError(
            f"I can't answer in {channel.mention}: there I lack {listed(needed)}. Give my role these "
            "permissions first."
        )


# What a change does to others


def _stored(interaction: Interaction, name: str, scope: Scope) -> SettingValue | None:
    held = interaction.client.services.overrides.stored(scope, name)
    return None if held is None else held.value


def _consequence(
    interaction: Interaction,
    name: str,
    old: SettingValue | None,
    new: SettingValue | None,
    scope: Scope,
) -> str:
    """Return what a change does that somebody may not have meant; empty if it is harmless."""
    tell = _CONSEQUENCES.get(name)
    return "" if tell is None else tell(interaction, old or (), new or (), scope)


def _guilds(interaction: Interaction, old: SettingValue, new: SettingValue, _: Scope) -> str:
    everywhere = "Then I answer in every server that I'm in, no longer in the chosen ones only."
    only_there = "Then I answer in the chosen servers only, and nobody in any other."
    return _places(old, new, interaction.client.get_guild, everywhere, only_there)


def _channels(interaction: Interaction, old: SettingValue, new: SettingValue, scope: Scope) -> str:
    everywhere = (
        "Then I answer in every channel that I can write in, no longer in the chosen ones only."
    )
    only_there = f"Then I answer in the chosen channels only, and nowhere else in {_where(scope)}."
    return _places(old, new, interaction.client.get_channel, everywhere, only_there)


def _places(
    old: SettingValue,
    new: SettingValue,
    find: Callable[[int], object],
    everywhere: str,
    only_there: str,
) -> str:
    if old and not new:
        return everywhere
    if new and not old:
        return only_there
    return "Then I answer nobody any more in what is taken out." if _gone(old, new, find) else ""


def _roles(interaction: Interaction, old: SettingValue, new: SettingValue, scope: Scope) -> str:
    if old and not new:
        return "Then everybody may ask me, no longer only people with the chosen roles."
    told, guild = "", interaction.guild
    if new and not old:
        where = "" if scope.layer is not Layer.GLOBAL else f", in {_where(scope)}"
        told = f"Then only people with one of the chosen roles may ask me{where}."
    elif guild is not None and _gone(old, new, guild.get_role):
        told = "Then people with none of the other roles can't ask me any more."
    own = {role.id for role in getattr(interaction.user, "roles", ())}
    if told and isinstance(new, tuple) and not own & set(new):
        told += " You have none of these roles yourself, so I won't answer you either."
    return told


def _gone(old: SettingValue, new: SettingValue, find: Callable[[int], object]) -> bool:
    """Return whether a list loses something that is there still."""
    if not isinstance(old, tuple) or not isinstance(new, tuple):
        return False
    return any(find(each) is not None for each in old if each not in new)


def _where(scope: Scope) -> str:
    return "any server" if scope.layer is Layer.GLOBAL else "the server"


def _blocked(interaction: Interaction, _: SettingValue, new: SettingValue, scope: Scope) -> str:
    if not isinstance(new, tuple) or interaction.user.id not in new:
        return ""
    if scope.layer is Layer.GLOBAL:
        return (
            "You are on that list yourself: then you no longer run me, and only another owner can "
            "take that back."
        )
    return "You are on that list yourself: then I no longer answer you."


def _admins(interaction: Interaction, old: SettingValue, new: SettingValue, _: Scope) -> str:
    if not isinstance(old, tuple) or not isinstance(new, tuple) or not set(old) - set(new):
        return ""
    permissions = interaction.permissions
    if permissions.manage_guild or permissions.administrator:
        return "Then people with the removed roles can't change my settings any more."
    return "Then you can't change my settings any more, unless another role of yours lets you."


def _answers(_: Interaction, old: SettingValue, new: SettingValue, scope: Scope) -> str:
    del old
    wide = {Layer.GLOBAL: "in any server", Layer.GUILD: "in this server"}
    where = wide.get(scope.layer, "in this channel")
    return {
        "never": f"Then I answer nobody {where}.",
        "every_message": (
            f"Then I answer every message {where} that isn't for somebody else, and read them all as "
            "one conversation."
        ),
    }.get(str(new), "")


_CONSEQUENCES: Final = {
    "answer_to": _answers,
    "allowed_guild_ids": _guilds,
    "allowed_channel_ids": _channels,
    "allowed_role_ids": _roles,
    "blocked_user_ids": _blocked,
    "admin_role_ids": _admins,
}
