"""Why is it slow, or silent? ``/diag`` looks and says what to do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.closing import model_name
from bot.core.counted import counted
from bot.core.domain import ModelInfo, UserId
from bot.core.errors import ConfigurationError
from bot.core.permissions import listed, missing
from bot.diagnostics import (
    ADDRESSES,
    DiscordFacts,
    Finding,
    Section,
    SharedWalks,
    diagnose,
    discord_findings,
    discord_text,
    judge_clock,
    judge_rest,
    settings_failed,
    storage_findings,
    target_of,
    titles,
    together,
    with_addresses,
)
from bot.gateway.client import ClawbotClient
from cogs import _convert, _gate, _places, _probe, _respond

Interaction = discord.Interaction[ClawbotClient]

LOOKS, LOOKS_WINDOW_S = 4, 60.0
"""Reports per person, in all guilds together; the walk behind them is shared."""
EDIT_INTERVAL_S = 1.5
"""Least time between two edits of a report that is still growing."""


class DiagnosticsCog(commands.Cog):
    """Read-only; everything it says is for the person who asked alone."""

    diag = app_commands.Group(name="diag", description="Find out why I'm slow or silent")

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services
        self._walks = SharedWalks(bot.services.clock)

    async def cog_unload(self) -> None:
        """End the diagnoses that are under way."""
        await self._walks.cancel()

    @diag.command(name="network")
    @app_commands.checks.cooldown(LOOKS, LOOKS_WINDOW_S, key=lambda i: i.user.id)
    async def network(self, interaction: Interaction) -> None:
        """Walk the way from here to the model, and say where it breaks and what to do."""
        await interaction.response.defer(ephemeral=True)
        is_operator = UserId(interaction.user.id) in _gate.owner_ids(self.bot)
        place = _convert.interaction_place(interaction)
        model = self._services.overrides.effective(place).model
        keys = [(url, model) for url in self._services.settings.lmstudio.base_url]
        if not all(map(self._walks.has, keys)) and (refusal := _probe.refusal(interaction)):
            await _respond.say(interaction, refusal)
            return
        walks = [
            (title, self._walks.findings(key, partial(self._walk, interaction, *key)))
            for title, key in zip(titles(len(keys)), keys, strict=True)
        ]
        walks.append(("Discord", self._discord(interaction)))
        walks += [("Data", self._storage())] if is_operator else []
        await self._report(interaction, walks, is_operator=is_operator)

    async def _report(
        self,
        interaction: Interaction,
        walks: list[tuple[str, AsyncGenerator[Finding, None]]],
        *,
        is_operator: bool,
    ) -> None:
        """Show what the walks find, in one message that grows."""
        clock = self._services.clock
        shown_s = clock.monotonic()
        sections: tuple[Section, ...] = ()
        async with aclosing(together(walks)) as grown:
            async for sections in grown:
                if clock.monotonic() - shown_s >= EDIT_INTERVAL_S:
                    shown_s = clock.monotonic()
                    text = discord_text(sections, is_operator=is_operator, is_over=False)
                    await _respond.say(interaction, text)
        await _respond.say(interaction, discord_text(sections, is_operator=is_operator))

    async def _walk(
        self, interaction: Interaction, base_url: str, model: str | None
    ) -> AsyncGenerator[Finding, None]:
        services = self._services
        try:
            target = target_of(services.settings, base_url, model, services.state.get(ADDRESSES))
        except ConfigurationError as exc:
            yield settings_failed(exc)
            return
        walk = diagnose(
            target,
            clock=services.clock,
            turn=partial(_probe.turn, interaction),
            on_addresses=partial(self._remember, base_url),
        )
        async with aclosing(walk) as findings:
            async for finding in findings:
                yield finding

    async def _remember(self, base_url: str, addresses: tuple[str, ...]) -> None:
        """Keep what a server's name leads to, for the next diagnosis."""
        state = self._services.state
        await state.set(ADDRESSES, with_addresses(state.get(ADDRESSES), base_url, addresses))

    async def _discord(self, interaction: Interaction) -> AsyncGenerator[Finding, None]:
        """Look at Discord from here, for the person who asked alone."""
        for finding in discord_findings(self._facts(interaction)):
            yield finding
        answer = await self.bot.rest.ask(self.bot)
        yield judge_rest(answer)
        if (clock := judge_clock(answer.skew_s)) is not None:
            yield clock

    async def _storage(self) -> AsyncGenerator[Finding, None]:
        for finding in storage_findings(self._services.storage.state):
            yield finding

    def _facts(self, interaction: Interaction) -> DiscordFacts:
        permissions: frozenset[str] | None = None
        if interaction.guild_id is not None:
            permissions = _held(_places.own_permissions(interaction))
        return DiscordFacts(
            gateway_latency_s=self.bot.latency,
            heartbeat_pause_s=self.bot.heartbeat_pause_s(),
            permissions=permissions,
            is_thread=isinstance(interaction.channel, discord.Thread),
            has_message_content=self.bot.intents.message_content,
        )

    @diag.command(name="model")
    async def model(self, interaction: Interaction) -> None:
        """Show which model answers here, its context, and how much runs at once."""
        backend = self._services.backend
        chat = self._services.overrides.effective(_convert.interaction_place(interaction))
        known = backend.model(chat.model)
        capacity = backend.capacity()
        state = "answers" if backend.is_available() else "doesn't answer at the moment"
        lines = [
            f"The model's machine {state}.",
            describe_model(known) if known else f"Model: {chat.model or 'none is loaded'}.",
            f"{counted(capacity.slots, 'answer')} at once.",
        ]
        await _respond.say(interaction, "\n".join(lines))

    @diag.command(name="queue")
    async def queue(self, interaction: Interaction) -> None:
        """Show how many questions wait, and how many are being answered."""
        scheduler = self._services.scheduler
        text = (
            f"{scheduler.running} being answered on {counted(scheduler.slots, 'slot')}, "
            f"{scheduler.waiting} waiting."
        )
        if scheduler.mean_answer_s >= 1:
            text += f" An answer takes about {scheduler.mean_answer_s:.0f} s."
        await _respond.say(interaction, text)

    @diag.command(name="channel")
    @app_commands.guild_only()
    async def channel(
        self,
        interaction: Interaction,
        channel: discord.TextChannel | discord.VoiceChannel | discord.Thread | None = None,
        person: discord.Member | None = None,
    ) -> None:
        """Say whether I would answer a person in a channel, and if not, why.

        Args:
            channel: Which one; this one when left out
            person: Who; you when left out
        """
        where = channel or interaction.channel
        who = _convert.person(person or interaction.user)
        place = _convert.place(where) if where else _convert.interaction_place(interaction)
        reason = _gate.admission(self.bot).refusal(who, place)
        lines = [f"❌ {reason}" if reason else "✅ My settings allow it."]
        lines += self._missing(where)
        await _respond.say(interaction, "\n".join(lines))

    def _missing(self, channel: object) -> list[str]:
        if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
            return []
        held = _held(channel.permissions_for(channel.guild.me))
        needed, useful = missing(held, is_thread=isinstance(channel, discord.Thread))
        if needed:
            return [f"❌ I lack {listed(needed)} there. Give my role these permissions."]
        if useful:
            return [f"⚠️ I can answer there, but lack {listed(useful)}."]
        return ["✅ I have the permissions I need there."]


def _held(granted: discord.Permissions) -> frozenset[str]:
    """Return the names of granted permissions; iterating would leave out View Channel's."""
    return frozenset(name for name in granted.VALID_FLAGS if getattr(granted, name))


def describe_model(model: ModelInfo) -> str:
    """Return one line on a model: name, state, context, what it can."""
    parts = [f"Model: `{model_name(model.key)}`", "loaded" if model.is_loaded else "not loaded"]
    if model.context_tokens:
        parts.append(f"{model.context_tokens:,} tokens of context")
    if model.sees_images:
        parts.append("sees images")
    if model.reasoning_options:
        parts.append(f"thinking: {', '.join(model.reasoning_options)}")
    return " · ".join(parts) + "."


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    await bot.add_cog(DiagnosticsCog(bot))
