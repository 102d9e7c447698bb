"""The models on the model's machine: which there are, which one answers, what is in memory."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.closing import model_name
from bot.core.domain import GuildId, ModelInfo
from bot.core.notices import STAGE_PREFIX
from bot.core.wording import counted
from bot.delivery.stage_line import stage_line
from bot.gateway.client import ClawbotClient
from cogs import _change, _gate, _respond, _settings
from cogs._settings import MOST_CHOICES, SCOPE_CHOICES, choices, scope_for

Interaction = discord.Interaction[ClawbotClient]

NOT_WAKEABLE = (
    "The model's machine doesn't answer, and I don't know how to wake it: write its network card's MAC "
    "address into CLAWBOT_LMSTUDIO__WAKE."
)


class ModelsCog(commands.Cog):
    """Choosing is for who manages a server; loading and unloading for whoever runs the bot."""

    model = app_commands.Group(
        name="model",
        description="The models on the model's machine",
        allowed_contexts=app_commands.AppCommandContext(guild=True),
        default_permissions=discord.Permissions(manage_guild=True),
    )

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services

    @model.command(name="list")
    async def model_list(self, interaction: Interaction) -> None:
        """Show the models there are, which are loaded, and with which context."""
        _gate.require_manager(interaction)
        async with _respond.deferred(interaction):
            models = await self._services.backend.list_models()
        allowed = self._services.allowed.of(GuildId(interaction.guild_id or 0))
        lines = [
            describe(model) + (" · allowed here" if model.key in allowed else "")
            for model in models[:MOST_CHOICES]
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
        await _change.change(interaction, {"model": key}, scope_for(interaction, scope))

    @model_use.autocomplete("key")
    async def complete_model(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer the models that this person may choose."""
        if not _gate.is_manager(interaction):
            return []
        return choices(_settings.model_names(interaction), current)

    @model.command(name="allow")
    @app_commands.rename(key="model")
    async def model_allow(self, interaction: Interaction, key: str) -> None:
        """Let this server choose a model also when that has to be loaded first.

        Args:
            key: As the model list names it
        """
        guild_id = _owned_guild(interaction)
        key = _settings.require_model(self.bot, key)
        if not await self._services.allowed.allow(guild_id, key):
            raise _gate.GateError(_settings.LIST_FULL)
        await _respond.say(interaction, f"This server may choose {_settings.short(key)}.")

    @model.command(name="forbid")
    @app_commands.rename(key="model")
    async def model_forbid(self, interaction: Interaction, key: str) -> None:
        """Take a model from those that this server may have loaded.

        Args:
            key: As the model list names it
        """
        guild_id = _owned_guild(interaction)
        done = await self._services.allowed.forbid(guild_id, key)
        name = _settings.short(key)
        text = f"This server may use {name} only while it is in memory."
        await _respond.say(
            interaction, text if done else f"{name} isn't in this server's own list."
        )

    @model_forbid.autocomplete("key")
    async def complete_allowed(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer the models that are allowed here, to whoever runs the bot."""
        if interaction.user.id not in _gate.owner_ids(self.bot):
            return []
        return choices(self._services.allowed.of(GuildId(interaction.guild_id or 0)), current)

    @model.command(name="load")
    @app_commands.rename(key="model")
    async def model_load(
        self,
        interaction: Interaction,
        key: str,
        context_length: app_commands.Range[int, 512, 1_048_576] | None = None,
        eval_batch_size: app_commands.Range[int, 32, 16_384] | None = None,
        flash_attention: bool | None = None,
    ) -> None:
        """Load a model into the machine's memory; it stays until it is unloaded.

        Args:
            key: As the model list names it
            context_length: Tokens of context
            eval_batch_size: Prompt tokens computed at once; more is faster and needs more memory
            flash_attention: Less memory for the context, usually faster
        """
        _gate.require_owner(interaction)
        key = _settings.require_model(self.bot, key)
        async with _respond.deferred(interaction):
            loaded = await self._services.backend.load_model(
                key, context_length, eval_batch_size, flash_attention
            )
        await _respond.say(interaction, f"Loaded. {describe(loaded)}")

    @model.command(name="unload")
    @app_commands.rename(key="model")
    async def model_unload(self, interaction: Interaction, key: str) -> None:
        """Take a model out of the machine's memory.

        Args:
            key: As the model list names it
        """
        _gate.require_owner(interaction)
        async with _respond.deferred(interaction):
            await self._services.backend.unload_model(key)
        await _respond.say(interaction, f"Unloaded `{model_name(key)}`.")

    @model.command(name="wake")
    async def model_wake(self, interaction: Interaction) -> None:
        """Wake the model's machine, where it sleeps."""
        _gate.require_owner(interaction)
        backend = self._services.backend
        stage = backend.wake()
        if stage is not None:
            await _respond.say(interaction, stage_line(stage, 0.0).removeprefix(STAGE_PREFIX))
        elif backend.is_available():
            await _respond.say(interaction, "The model's machine is awake.")
        else:
            await _respond.say(interaction, NOT_WAKEABLE)

    @model_allow.autocomplete("key")
    @model_load.autocomplete("key")
    @model_unload.autocomplete("key")
    async def complete_for_owner(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer the models there are, to whoever runs the bot."""
        if interaction.user.id not in _gate.owner_ids(self.bot):
            return []
        return choices([model.key for model in self._services.backend.known_models()], current)


def _owned_guild(interaction: Interaction) -> GuildId:
    """Return the server in which an owner gave a command.

    Raises:
        GateError: It was somebody else, or outside of a server.
    """
    _gate.require_owner(interaction)
    if interaction.guild_id is None:
        raise _gate.GateError(_gate.NEEDS_GUILD)
    return GuildId(interaction.guild_id)


def describe(model: ModelInfo) -> str:
    """Return one line on a model: name, whether it is in memory, with which context."""
    mark = "🟢" if model.is_loaded else "⚪"
    context = (
        f" · {counted(model.context_tokens, 'token')} of context" if model.context_tokens else ""
    )
    return f"{mark} `{model_name(model.key)}`{context}"


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    await bot.add_cog(ModelsCog(bot))
