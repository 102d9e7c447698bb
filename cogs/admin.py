"""Settings by slash command: who may change what, and what holds here."""

from __future__ import annotations

from collections.abc import Sequence

import discord
from discord import app_commands
from discord.ext import commands

from bot.core.domain import GuildId, UserId
from bot.gateway.client import ClawbotClient
from bot.lmstudio.completion import offered
from bot.prompt.render import PRESETS
from bot.storage.setting_types import SETTING_TYPES, Scope, ShownSetting, setting_type
from cogs import _convert, _gate, _respond, _settings
from cogs._settings import (
    SCOPE_CHOICES,
    SETTING_CHOICES,
    choices,
    describe_change,
    describe_setting,
    scope_for,
    scope_words,
)

Interaction = discord.Interaction[ClawbotClient]

HISTORY_LINES = 15


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
        keys = [setting_type(setting).name] if setting else list(SETTING_TYPES)
        if scope is None:
            _gate.require_manager(interaction)
            shown = self._store.show(_convert.interaction_place(interaction))
        else:
            shown = self._shown_at(scope_for(interaction, scope), keys)
        lines = [describe_setting(line) for line in shown if line.key in keys]
        if UserId(interaction.user.id) in _gate.owner_ids(self.bot):
            lines += [f"⚠️ {sentence}" for sentence in self._services.storage.state]
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
        await _settings.change(interaction, setting, value, scope_for(interaction, scope))

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
        chat = self._store.effective(_convert.interaction_place(interaction))
        model = self._services.backend.model(chat.model)
        options = {
            "model": _settings.model_names(interaction),
            "reasoning": offered(model.reasoning_options if model else ()),
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
        await _settings.change(interaction, "system_prompt", prompt, scope_for(interaction, scope))

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


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    await bot.add_cog(AdminCog(bot))
