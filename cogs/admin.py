"""Settings by slash command: who may change what, and what holds here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import discord
from discord import app_commands
from discord.ext import commands

from bot.core.domain import GuildId
from bot.gateway.client import ClawbotClient, Interaction
from bot.prompt.render import PRESETS
from bot.storage.setting_types import (
    SETTING_TYPES,
    Layer,
    Scope,
    ShownSetting,
    setting_type,
)
from cogs import (
    _change,
    _confirm,
    _convert,
    _forms,
    _gate,
    _options,
    _persona,
    _respond,
    _setup,
    _tree,
)
from cogs._settings import (
    SCOPE_CHOICES,
    block,
    choices,
    describe_change,
    describe_setting,
    held_here,
    may_set,
    scope_choices,
    scope_for,
    setting_choices,
    source_words,
    value_choices,
    value_words,
)
from config import values

HISTORY_LINES = 15
OVERVIEW_CHARS = 30
PERSONA_CHARS: Final = 1600


_FORMS: Final = {_setup.FORM: _setup.submitted, _persona.FORM: _persona.submitted}


class AdminCog(commands.Cog):
    """Thin: each command checks, acts, and answers in one ephemeral message."""

    config = app_commands.Group(
        name="config",
        description="Settings of this server or channel",
        allowed_contexts=_gate.IN_SERVERS,
        default_permissions=discord.Permissions(manage_guild=True),
    )
    persona = app_commands.Group(
        name="persona",
        description="Who I am here",
        allowed_contexts=_gate.IN_SERVERS,
        default_permissions=discord.Permissions(manage_guild=True),
    )

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services
        self._store = bot.services.overrides
        for command in _options.commands():
            self.config.add_command(command)

    async def cog_load(self) -> None:
        """Let what was shown in earlier runs be pressed."""
        self.bot.add_dynamic_items(_setup.SetupItem)
        self.bot.add_view(_confirm.Over())

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        """Take a form that was sent off."""
        form = _forms.sent(interaction)
        take = _FORMS.get(form.name) if form is not None else None
        if form is None or take is None:
            return
        try:
            await take(interaction, form)
        except Exception as exc:  # noqa: BLE001 - the seam to Discord's forms
            await _respond.failure(interaction, exc)

    @app_commands.command()
    @app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)
    @app_commands.default_permissions(manage_guild=True)
    async def setup(self, interaction: Interaction) -> None:
        """Set me up for this server: model, channels, who may ask, persona, and a test question."""
        await _setup.open_page(interaction)

    @config.command(name="show")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def show(
        self, interaction: Interaction, setting: str | None = None, scope: str | None = None
    ) -> None:
        """Show the settings in force here, and who set them.

        Args:
            setting: Only this one
            scope: Only what is set at exactly this level; what holds here when left out
        """
        one = setting_type(setting) if setting else None
        if scope is None:
            _gate.require_manager(interaction)
            if one is not None:
                held = held_here(interaction, one.name)
                lines = [describe_setting(held, interaction.channel_id, is_whole=True)]
            else:
                shown = self._store.show(_convert.interaction_place(interaction))
                lines = _overview(interaction, shown)
        else:
            where = scope_for(interaction, scope)
            set_there = self._shown_at(where, [one.name] if one else list(SETTING_TYPES))
            lines = [describe_setting(each, interaction.channel_id) for each in set_there]
            lines = lines or ["Nothing is set at that level."]
        if one is not None:
            lines.append(f"{one.description}. It may be {one.allowed}.")
        if _gate.is_owner(interaction):
            troubles = [*self._services.storage.state, *self._store.file_state]
            lines = [*(f"⚠️ {each}" for each in troubles), *lines]
        await _respond.say_lines(interaction, lines)

    def _shown_at(self, scope: Scope, keys: Sequence[str]) -> list[ShownSetting]:
        stored = [self._store.stored(scope, key) for key in keys]
        return [
            ShownSetting(s.key, s.value, scope.layer, s.changed_by, s.changed_at, scope.scope_id)
            for s in stored
            if s is not None
        ]

    @config.command(name="set")
    async def set_(
        self, interaction: Interaction, setting: str, value: str, scope: str | None = None
    ) -> None:
        """Change a setting; it holds from the next message on.

        Args:
            setting: Which one
            value: The new value
            scope: Where it shall hold; this server when left out
        """
        kind = setting_type(setting)
        where = scope_for(interaction, scope, kind)
        await _change.change(interaction, {kind.name: value}, where)

    @config.command(name="reset")
    async def reset(self, interaction: Interaction, setting: str, scope: str | None = None) -> None:
        """Remove what was set, so that the level below holds again.

        Args:
            setting: Which one
            scope: Where; this server when left out
        """
        kind = setting_type(setting)
        where = scope_for(interaction, scope, kind)
        await _change.change(interaction, {kind.name: None}, where)

    @config.command(name="undo")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def undo(self, interaction: Interaction, scope: str = "guild") -> None:
        """Take back the newest change; again goes further back.

        Args:
            scope: Where; this server with its channels when left out
        """
        await _change.undo(interaction, scope_for(interaction, scope))

    @config.command(name="history")
    async def history(self, interaction: Interaction, setting: str | None = None) -> None:
        """Show who changed what, newest first.

        Args:
            setting: Only this one
        """
        _gate.require_manager(interaction)
        scope = Scope.in_guild(GuildId(interaction.guild_id or 0))
        changes = await self._store.history(setting, HISTORY_LINES, scope)
        lines = [describe_change(each, interaction.channel_id) for each in changes]
        await _respond.say_lines(interaction, lines or ["Nothing was changed yet."])

    @show.autocomplete("setting")
    @set_.autocomplete("setting")
    @reset.autocomplete("setting")
    @history.autocomplete("setting")
    async def complete_setting(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer the settings that this person may set, each with what holds here."""
        return setting_choices(interaction, current)

    @set_.autocomplete("scope")
    @reset.autocomplete("scope")
    async def complete_scope(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer where the chosen setting can hold, to those who may set it there."""
        del current  # three at most
        return scope_choices(interaction, str(interaction.namespace.setting))

    @set_.autocomplete("value")
    async def complete_value(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer values that the chosen setting allows, to those who may set it."""
        return value_choices(interaction, str(interaction.namespace.setting), current)

    @persona.command(name="show")
    async def persona_show(self, interaction: Interaction) -> None:
        """Show the persona in force here, and who set it."""
        _gate.require_manager(interaction)
        line = held_here(interaction, "system_prompt")
        text = block(str(line.value), PERSONA_CHARS, "; /persona export gives all")
        await _respond.say(
            interaction, f"{describe_setting(line, interaction.channel_id)[:250]}\n{text}"
        )

    @persona.command(name="edit", extras=_respond.OTHERWISE)
    @app_commands.choices(
        scope=SCOPE_CHOICES, preset=[app_commands.Choice(name=each, value=each) for each in PRESETS]
    )
    async def persona_edit(
        self, interaction: Interaction, preset: str | None = None, scope: str = "guild"
    ) -> None:
        """Write my persona in a form, and see what the model gets before it holds.

        Args:
            preset: Begin with this one instead of what holds now
            scope: Where it shall hold; this server when left out
        """
        where = scope_for(interaction, scope)
        text = PRESETS.get(preset or "") or _persona.held_at(interaction, where)
        await _persona.open_form(interaction, where, text)

    @persona.command(name="import")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def persona_import(
        self, interaction: Interaction, file: discord.Attachment, scope: str = "guild"
    ) -> None:
        """Take a persona from a text file, and see what the model gets before it holds.

        Args:
            file: Plain text, as /persona export gives it
            scope: Where it shall hold; this server when left out
        """
        where = scope_for(interaction, scope)
        await _persona.preview(interaction, where, await _persona.read_file(interaction, file))

    @persona.command(name="export")
    @app_commands.choices(scope=SCOPE_CHOICES)
    async def persona_export(self, interaction: Interaction, scope: str = "guild") -> None:
        """Get my persona as a text file.

        Args:
            scope: Whose; this server's when left out
        """
        await _persona.export(interaction, scope_for(interaction, scope))

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
        prompt = PRESETS.get(values.bare(text).lower(), text)
        where = scope_for(interaction, scope)
        await _change.change(interaction, {"system_prompt": prompt}, where)

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
        await _change.change(interaction, {"system_prompt": None}, where)


def _overview(interaction: Interaction, shown: Sequence[ShownSetting]) -> list[str]:
    """Return what was set by command, a line each, and all else that this person may set, in short."""
    kinds = {kind.name: kind for kind in may_set(interaction)}
    here = interaction.channel_id
    lines = [describe_setting(line, here) for line in shown if line.layer is not Layer.FILE]
    rest = [
        f"{line.key} {value_words(line.key, line.value, OVERVIEW_CHARS)}{_from_file(line)}"
        for line in shown
        if line.layer is Layer.FILE and line.key in kinds
    ]
    return [*lines, f"Not changed: {' · '.join(rest)}"]


def _from_file(line: ShownSetting) -> str:
    source = source_words(line, None)
    return "" if source == "the default" else f" (from {source})"


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    _tree.require_tree(bot)
    await bot.add_cog(AdminCog(bot))
