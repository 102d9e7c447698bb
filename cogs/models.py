"""The models on the model's machine: which there are, which one answers, what is in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.reply import model_name
from bot.core.domain import GuildId, LoadOptions
from bot.core.notices import STAGE_PREFIX
from bot.core.wording import counted
from bot.delivery.pacing import stage_line
from bot.gateway.client import ClawbotClient, Interaction
from bot.lmstudio.errors import LoadFailedError, OptionRefusedError
from bot.lmstudio.roster import SERVERS, Roster, merged_servers
from cogs import _change, _gate, _models, _respond, _settings, _tree
from cogs._settings import SCOPE_CHOICES, choices, scope_for
from config import values

NOT_WAKEABLE = (
    "The model's machine doesn't answer, and I don't know how to wake it: write its network card's MAC "
    "address into CLAWBOT_LMSTUDIO__WAKE."
)

NOT_LOADED: Final = "The model's machine couldn't load it, most likely for want of memory."
FOLLOWED_S: Final = 780.0
"""Seconds that a download is followed: an answer can be changed for 15 minutes (Discord: receiving and
responding)."""


class ModelsCog(commands.Cog):
    """Choosing is for who manages a server; loading and unloading for whoever runs the bot."""

    model = app_commands.Group(
        name="model",
        description="The models on the model's machine",
        allowed_contexts=_gate.IN_SERVERS,
        default_permissions=discord.Permissions(manage_guild=True),
    )

    endpoint = app_commands.Group(
        name="endpoint", description="The servers that models run on", parent=model
    )

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services

    @model.command(name="list")
    async def model_list(self, interaction: Interaction) -> None:
        """Show the models there are: size, context, what they can, and whether they fit."""
        _gate.require_manager(interaction)
        async with _respond.deferred(interaction):
            text = await _models.list_answer(interaction)
        await _respond.say_lines(interaction, text.splitlines())

    @model.command(name="info")
    @app_commands.rename(key="model")
    async def model_info(self, interaction: Interaction, key: str) -> None:
        """Show all that is known of a model: quantisations, how it is loaded, whether it fits.

        Args:
            key: As the model list names it
        """
        _gate.require_manager(interaction)
        backend = self._services.backend
        async with _models.reaching(interaction):
            await backend.list_models()
            key = _settings.require_model(self.bot, key)
        info = backend.model(key)
        text = _models.info_text(info, backend) if info else "No such model is listed."
        await _respond.say(interaction, text)

    @model_info.autocomplete("key")
    async def complete_info(
        self, interaction: Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Offer the models there are, to who manages the server."""
        if not _gate.is_manager(interaction):
            return []
        return choices([model.key for model in self._services.backend.known_models()], current)

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
        key = values.bare(key)
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
        if not _gate.is_owner(interaction):
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
        parallel: app_commands.Range[int, 1, 1023] | None = None,
        kv_cache_on_gpu: bool | None = None,
    ) -> None:
        """Load a model into the machine's memory; it stays until it is unloaded.

        Args:
            key: As the model list names it
            context_length: Tokens of context
            eval_batch_size: Prompt tokens read at once (guides say max_batch_size): more is faster, needs memory
            flash_attention: Less memory for the context, usually faster
            parallel: Answers at once, which share the context
            kv_cache_on_gpu: Keep the context's cache in the graphics memory
        """
        _gate.require_owner(interaction)
        backend = self._services.backend
        options = LoadOptions(
            context_length, eval_batch_size, flash_attention, parallel, kv_cache_on_gpu
        )
        async with _models.reaching(interaction):
            key = _settings.require_model(self.bot, key)
            words = partial(_models.loading_text, key, backend.usual_load_s(key))
            work = backend.load_model(key, options)
            try:
                loaded = await _models.watched(interaction, self._services.clock, work, words)
            except OptionRefusedError:
                raise
            except LoadFailedError as exc:
                fitting = _models.would_fit_text(key, backend)
                await _respond.say(interaction, f"{NOT_LOADED} {fitting or exc.admin_hint}")
                return
        await _respond.say(interaction, f"Loaded.\n{_models.info_text(loaded, backend)}")

    @model.command(name="download")
    async def model_download(
        self, interaction: Interaction, model: str, quantisation: str | None = None
    ) -> None:
        """Have LM Studio download a model; used again, it shows how far that is.

        Args:
            model: A name in LM Studio's catalogue, or a page of huggingface.co
            quantisation: Of a page of huggingface.co, such as Q4_K_M
        """
        _gate.require_owner(interaction)
        backend, clock, name = self._services.backend, self._services.clock, model_name(model)
        until_s = clock.monotonic() + FOLLOWED_S
        async with _models.reaching(interaction):
            found = await backend.begin_download(model, quantisation)
            while found.job and not found.is_over and clock.monotonic() < until_s:
                await _respond.say(interaction, _models.download_text(name, found))
                await clock.sleep(_models.STEP_S)
                found = await backend.look_at_download(found.job)
        text = _models.download_text(name, found)
        further = "" if found.is_over else " Use the command again to see how far it is."
        await _respond.say(interaction, text + further)

    @model.command(name="drain")
    async def model_drain(
        self, interaction: Interaction, server: app_commands.Range[int, 1, 999]
    ) -> None:
        """Take a server out: its answers end, and new questions go to the others.

        Args:
            server: Its number in /model endpoint list
        """
        await self._drain(interaction, server, is_drained=True)

    @model.command(name="undrain")
    async def model_undrain(
        self, interaction: Interaction, server: app_commands.Range[int, 1, 999]
    ) -> None:
        """Let a server in again that was taken out.

        Args:
            server: Its number in /model endpoint list
        """
        await self._drain(interaction, server, is_drained=False)

    async def _drain(self, interaction: Interaction, server: int, *, is_drained: bool) -> None:
        _gate.require_owner(interaction)
        backend = self._services.backend
        async with _respond.deferred(interaction), self._changing_servers() as roster:
            node = roster.drain(server - 1, is_drained=is_drained)
        if not is_drained:
            text = f"Server {server} gets questions again."
        elif not backend.is_available():
            text = (
                f"Server {server} is taken out. No other answers, so questions wait until one does."
            )
        else:
            text = f"Server {server} is taken out. New questions go to the others."
        if is_drained and node.in_flight:
            text += f" I still write {counted(node.in_flight, 'answer')} there to the end."
        await _respond.say(interaction, text)

    @asynccontextmanager
    async def _changing_servers(self) -> AsyncGenerator[Roster, None]:
        """Remember which servers were added and taken out within the block, over a restart."""
        roster = self._services.backend.roster
        before = roster.saved()
        yield roster
        after = roster.saved()
        await self._services.state.change(
            SERVERS, lambda stored: merged_servers(stored, before, after)
        )

    @endpoint.command(name="list")
    async def endpoint_list(self, interaction: Interaction) -> None:
        """Show the model's servers with their addresses."""
        _gate.require_owner(interaction)
        backend = self._services.backend
        members = [(m.endpoint.origin, m.is_added) for m in backend.roster.members]
        shown = [(*each, state) for each, state in zip(members, backend.servers(), strict=True)]
        await _respond.say(interaction, _models.servers_text(shown))

    @endpoint.command(name="add")
    async def endpoint_add(self, interaction: Interaction, address: str) -> None:
        """Use one more server, in a network that the settings allow; it is tried first.

        Args:
            address: Such as 192.168.1.20:1234; it is asked without a token
        """
        _gate.require_owner(interaction)
        async with _respond.deferred(interaction), self._changing_servers() as roster:
            node = await roster.add(address)
            self._services.secrets.learn(roster.hosts)
        await _respond.say(interaction, f"Server {node.index + 1} answers, and is in use now.")

    @endpoint.command(name="remove")
    async def endpoint_remove(
        self, interaction: Interaction, server: app_commands.Range[int, 1, 999]
    ) -> None:
        """Stop using a server that was added by command; its answers end first.

        Args:
            server: Its number in /model endpoint list
        """
        _gate.require_owner(interaction)
        async with _respond.deferred(interaction), self._changing_servers() as roster:
            roster.remove(server - 1)
        await _respond.say(interaction, f"Server {server} is no longer used.")

    @model.command(name="unload")
    @app_commands.rename(key="model")
    async def model_unload(self, interaction: Interaction, key: str) -> None:
        """Take a model out of the machine's memory.

        Args:
            key: As the model list names it
        """
        _gate.require_owner(interaction)
        async with _models.reaching(interaction):
            key = _settings.require_model(self.bot, key)
            await self._services.backend.unload_model(key)
        await _respond.say(interaction, f"Unloaded `{model_name(key)}`.")

    @model.command(name="wake")
    async def model_wake(self, interaction: Interaction) -> None:
        """Wake the model's machine, where it sleeps."""
        _gate.require_owner(interaction)
        backend = self._services.backend
        stage = await backend.wake_now()
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
        if not _gate.is_owner(interaction):
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


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    _tree.require_tree(bot)
    await bot.add_cog(ModelsCog(bot))
