"""Settings by slash command: who may change what, and what holds here."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import ClawbotClient
from bot.context.persona import PRESETS
from bot.domain import ChannelId, GuildId, UserId
from bot.store.setting_types import SETTING_TYPES, format_value, parse_setting, setting_type
from bot.store.setting_values import Change, Layer, Scope, ShownSetting
from cogs import _convert, _gate, _respond

Interaction = discord.Interaction[ClawbotClient]

MOST_CHOICES = 25
"""Choices an autocomplete may return (Discord: application commands)."""
CHOICE_CHARS = 100
"""Longest name and value of a choice (Discord: application commands)."""
SHOWN_VALUE_CHARS = 120
HISTORY_LINES = 15

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
        Layer.FILE: "the settings file",
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


class AdminCog(commands.Cog):
    """Thin: each command checks, acts, and answers in one ephemeral message."""

    config = app_commands.Group(
        name="config",
        description="Settings of this server or channel",
        allowed_contexts=app_commands.AppCommandContext(guild=True),
        default_permissions=discord.Permissions(manage_guild=True),
    )
    persona = app_commands.Group(
        name="persona",
        description="Who I am here",
        allowed_contexts=app_commands.AppCommandContext(guild=True),
        default_permissions=discord.Permissions(manage_guild=True),
    )
    model = app_commands.Group(
        name="model",
        description="The models on the model's machine",
        allowed_contexts=app_commands.AppCommandContext(guild=True),
        default_permissions=discord.Permissions(manage_guild=True),
    )

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services
        self._store = bot.services.overrides

    @config.command(name="show")
    @app_commands.choices(setting=SETTING_CHOICES, scope=SCOPE_CHOICES)
    async def show(
        self, interaction: Interaction, setting: str | None = None, scope: str | None = None
    ) -> None:
        """Show the settings in force here, and who set them.

        Args:
            setting: Only this one
            scope: Only what is set at exactly this level; what holds here when left out
        """
        _gate.require_manager(interaction)
        keys = [setting_type(setting).name] if setting else list(SETTING_TYPES)
        if scope is None:
            shown = self._store.show(_convert.interaction_place(interaction))
        else:
            shown = self._shown_at(scope_for(interaction, scope), keys)
        lines = [describe_setting(line) for line in shown if line.key in keys]
        await _respond.say(interaction, "\n".join(lines) or "Nothing is set at that level.")

    def _shown_at(self, scope: Scope, keys: Sequence[str]) -> list[ShownSetting]:
        stored = [self._store.stored(scope, key) for key in keys]
        return [
            ShownSetting(s.key, s.value, scope.layer, s.changed_by, s.changed_at)
            for s in stored
            if s is not None
        ]

    @config.command(name="set")
    @app_commands.choices(setting=SETTING_CHOICES, scope=SCOPE_CHOICES)
    async def set_(
        self, interaction: Interaction, setting: str, value: str, scope: str = "guild"
    ) -> None:
        """Change a setting; it holds from the next message on.

        Args:
            setting: Which one
            value: The new value
            scope: Where it shall hold; this server when left out
        """
        await self._set(interaction, setting, value, scope_for(interaction, scope))

    async def _set(self, interaction: Interaction, key: str, value: str, scope: Scope) -> None:
        if key == "model":
            self._check_model(str(parse_setting(key, value)))
        by, at = UserId(interaction.user.id), self._services.clock.now()
        change = await self._store.set(scope, key, value, by, at)
        where = scope_words(scope.layer)
        await _respond.say(
            interaction,
            f"**{key}** is now {short(change.new)} ({where}; before: {self._before(change)}).",
        )

    def _before(self, change: Change) -> str:
        return "not set there" if change.old is None else short(change.old)

    def _check_model(self, key: str) -> None:
        known = self._services.backend.known_models()
        if known and key not in {model.key for model in known}:
            names = ", ".join(f"`{model.key}`" for model in known[:8])
            raise _gate.GateError(f"The model's machine has no such model. It has {names}.")

    @config.command(name="reset")
    @app_commands.choices(setting=SETTING_CHOICES, scope=SCOPE_CHOICES)
    async def reset(self, interaction: Interaction, setting: str, scope: str = "guild") -> None:
        """Remove what was set, so that the level below holds again.

        Args:
            setting: Which one
            scope: Where; this server when left out
        """
        where = scope_for(interaction, scope)
        by, at = UserId(interaction.user.id), self._services.clock.now()
        change = await self._store.reset(where, setting, by, at)
        shown = self._store.show(_convert.interaction_place(interaction))
        now = next(line for line in shown if line.key == setting)
        done = "Removed" if change else f"Nothing was set for {scope_words(where.layer)}"
        await _respond.say(interaction, f"{done}. {describe_setting(now)}")

    @config.command(name="undo")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def undo(self, interaction: Interaction, scope: str = "guild") -> None:
        """Take back the newest change; again goes further back.

        Args:
            scope: Where; this server with its channels when left out
        """
        where = scope_for(interaction, scope)
        by, at = UserId(interaction.user.id), self._services.clock.now()
        change = await self._store.undo(where, by, at)
        text = describe_change(change) if change else "There is nothing to take back."
        await _respond.say(interaction, text)

    @config.command(name="history")
    @app_commands.choices(setting=SETTING_CHOICES)
    async def history(self, interaction: Interaction, setting: str | None = None) -> None:
        """Show who changed what, newest first.

        Args:
            setting: Only this one
        """
        _gate.require_manager(interaction)
        scope = Scope.in_guild(GuildId(interaction.guild_id or 0))
        changes = await self._store.history(setting, HISTORY_LINES, scope)
        lines = list(map(describe_change, changes)) or ["Nothing was changed yet."]
        await _respond.say(interaction, "\n".join(lines))

    @set_.autocomplete("value")
    async def complete_value(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer values that the chosen setting allows, to those who may set it."""
        if not _gate.is_manager(interaction):
            return []
        options = {
            "model": [model.key for model in self._services.backend.known_models()],
            "reasoning": ["auto", "off", "low", "medium", "high"],
            "show_footer": ["on", "off"],
            "temperature": ["0", "0.3", "0.7", "1"],
        }.get(str(interaction.namespace.setting), [])
        return choices(options, current)

    @persona.command(name="show")
    async def persona_show(self, interaction: Interaction) -> None:
        """Show the persona in force here, and who set it."""
        _gate.require_manager(interaction)
        place = _convert.interaction_place(interaction)
        line = next(shown for shown in self._store.show(place) if shown.key == "system_prompt")
        text = str(line.value).replace("```", "'''")[:1700]
        await _respond.say(interaction, f"{describe_setting(line)[:250]}\n```text\n{text}\n```")

    @persona.command(name="set")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def persona_set(
        self,
        interaction: Interaction,
        text: app_commands.Range[str, 1, 6000],
        scope: str = "guild",
    ) -> None:
        """Give me a persona here: my instructions, or the name of a preset.

        Args:
            text: Instructions; {bot}, {server}, {channel}, {user}, {date} and {time} are filled in
            scope: Where it shall hold; this server when left out
        """
        prompt = PRESETS.get(text.strip().lower(), text)
        await self._set(interaction, "system_prompt", prompt, scope_for(interaction, scope))

    @persona_set.autocomplete("text")
    async def complete_persona(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer the presets."""
        return choices(list(PRESETS), current) if _gate.is_manager(interaction) else []

    @persona.command(name="clear")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def persona_clear(self, interaction: Interaction, scope: str = "guild") -> None:
        """Go back to the persona of the level below.

        Args:
            scope: Where; this server when left out
        """
        where = scope_for(interaction, scope)
        by, at = UserId(interaction.user.id), self._services.clock.now()
        change = await self._store.reset(where, "system_prompt", by, at)
        await _respond.say(interaction, "Cleared." if change else "No persona was set there.")

    @model.command(name="list")
    async def model_list(self, interaction: Interaction) -> None:
        """Show the models there are, which are loaded, and with which context."""
        _gate.require_manager(interaction)
        await interaction.response.defer(ephemeral=True)
        models = await self._services.backend.list_models()
        lines = [
            f"{'🟢' if m.is_loaded else '⚪'} `{m.key}`"
            + (f" · {m.context_tokens:,} tokens of context" if m.context_tokens else "")
            for m in models[:MOST_CHOICES]
        ]
        await _respond.say(interaction, "\n".join(lines) or "The model's machine lists no model.")

    @model.command(name="use")
    @app_commands.rename(key="model")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def model_use(self, interaction: Interaction, key: str, scope: str = "guild") -> None:
        """Answer with this model from the next message on.

        Args:
            key: As the model list names it
            scope: Where it shall hold; this server when left out
        """
        await self._set(interaction, "model", key, scope_for(interaction, scope))

    @model_use.autocomplete("key")
    async def complete_model(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer the models there are."""
        if not _gate.is_manager(interaction):
            return []
        return choices([model.key for model in self._services.backend.known_models()], current)


def choices(options: Sequence[str], current: str) -> list[app_commands.Choice[str]]:
    """Return at most 25 choices that contain what was typed, within Discord's lengths."""
    typed = current.strip().lower()
    fitting = [o for o in options if typed in o.lower() and len(o) <= CHOICE_CHARS]
    return [app_commands.Choice(name=o, value=o) for o in fitting[:MOST_CHOICES]]


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    await bot.add_cog(AdminCog(bot))
