"""Why is it slow, or silent? ``/diag`` looks and says what to do."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from functools import partial
from typing import Final, Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.reply import model_name
from bot.core.domain import ModelInfo, UserId
from bot.core.errors import ConfigurationError
from bot.core.wording import counted
from bot.diagnostics.chart import Charts
from bot.diagnostics.discord_side import DiscordFacts, discord_findings, judge_clock, judge_rest
from bot.diagnostics.model_report import (
    NO_QUESTIONS,
    RANGES,
    acquaintance_text,
    drawing,
    has_figures,
    history_text,
    in_words,
    read_ahead_text,
)
from bot.diagnostics.probe import together
from bot.diagnostics.queue_report import queue_text
from bot.diagnostics.report import discord_text
from bot.diagnostics.shared import SharedWalks
from bot.diagnostics.silence import silence_text
from bot.diagnostics.storage import storage_findings
from bot.diagnostics.targets import ADDRESSES, TAKEN_OUT, Listed, target_of, titles, with_addresses
from bot.diagnostics.values import Finding
from bot.diagnostics.walk import diagnose, settings_failed
from bot.gateway.client import ClawbotClient, Interaction
from bot.gateway.rest import VOICE
from bot.queue.scheduler import Job
from cogs import _convert, _gate, _probe, _respond, _settings, _silence, _tree

LOOKS, LOOKS_WINDOW_S = 4, 60.0
"""Reports per person, in all guilds together; the walk behind them is shared."""
EDIT_INTERVAL_S = 1.5
"""Seconds in which what is found is gathered for one edit of a report that is still growing."""

OTHERS: Final = "About other people you can ask this with the Manage Server permission only."
UNSEEN: Final = "You can't see that channel, so I can't tell you about it."
ASK_INSIDE: Final = "Ask me that inside the private thread, so that nobody else learns of it."
NO_MEMBER: Final = "They aren't a member of this server, so I don't answer them here."
CHART_FOLDER: Final = "charts"
"""Where the library that draws keeps its list of fonts, in the data folder."""


class DiagnosticsCog(commands.Cog):
    """Read-only; everything it says is for the person who asked alone."""

    diag = app_commands.Group(
        name="diag",
        description="Find out why I'm slow or silent",
        extras={_gate.FOR_MANAGERS: True},
    )

    def __init__(self, bot: ClawbotClient) -> None:
        self.bot = bot
        self._services = bot.services
        self._walks = SharedWalks(bot.services.clock)
        folder = bot.services.settings.store.data_dir / CHART_FOLDER
        self._charts = Charts(bot.services.clock, folder)

    async def cog_unload(self) -> None:
        """End the diagnoses that are under way."""
        await self._walks.cancel()

    @diag.command(name="network")
    @app_commands.checks.cooldown(LOOKS, LOOKS_WINDOW_S, key=lambda i: i.user.id)
    async def network(self, interaction: Interaction) -> None:
        """Walk the way from here to the model, and say where it breaks and what to do."""
        async with _respond.deferred(interaction):
            await self._look(interaction)

    async def _look(self, interaction: Interaction) -> None:
        is_operator = _gate.is_owner(interaction)
        place = _convert.interaction_place(interaction)
        model = self._services.overrides.effective(place).model
        servers = [
            Listed(one.node.index + 1, str(one.endpoint.url("")), one.node.is_drained)
            for one in self._services.backend.roster.members
        ]
        keys = [(server.base_url, model) for server in servers if not server.is_drained]
        if not all(map(self._walks.has, keys)) and (refusal := _probe.refusal(interaction)):
            await _respond.say(interaction, refusal)
            return
        walks = [
            (title, self._server(interaction, server, model))
            for title, server in zip(titles(servers), servers, strict=True)
        ]
        walks.append(("Discord", self._discord(interaction)))
        walks += (
            [("Data", _each(storage_findings(self._services.storage.state)))] if is_operator else []
        )
        await self._report(interaction, walks, is_operator=is_operator)

    async def _report(
        self,
        interaction: Interaction,
        walks: list[tuple[str, AsyncGenerator[Finding, None]]],
        *,
        is_operator: bool,
    ) -> None:
        """Show what the walks find, in one message that grows."""
        walk = together(walks, self._services.clock, EDIT_INTERVAL_S)
        async with aclosing(walk) as grown:
            async for sections in grown:
                is_over = all(section.is_over for section in sections)
                text = discord_text(sections, is_operator=is_operator, is_over=is_over)
                await _respond.say(interaction, text)

    def _server(
        self, interaction: Interaction, server: Listed, model: str | None
    ) -> AsyncGenerator[Finding, None]:
        if server.is_drained:
            return _each([TAKEN_OUT])
        key = (server.base_url, model)
        return self._walks.findings(key, partial(self._walk, interaction, *key))

    def _walk(
        self, interaction: Interaction, base_url: str, model: str | None
    ) -> AsyncGenerator[Finding, None]:
        services = self._services
        try:
            target = target_of(services.settings, base_url, model, services.state.get(ADDRESSES))
        except ConfigurationError as exc:
            return _each([settings_failed(exc)])
        return diagnose(
            target,
            clock=services.clock,
            turn=partial(_probe.turn, interaction),
            on_addresses=partial(self._remember, base_url),
        )

    async def _remember(self, base_url: str, addresses: tuple[str, ...]) -> None:
        """Keep what a server's name leads to, for the next diagnosis."""
        await self._services.state.change(
            ADDRESSES, lambda stored: with_addresses(stored, base_url, addresses)
        )

    async def _discord(self, interaction: Interaction) -> AsyncGenerator[Finding, None]:
        """Look at Discord from here, for the person who asked alone."""
        for finding in discord_findings(self._facts(interaction)):
            yield finding
        answer = await self.bot.rest.ask(self.bot)
        yield judge_rest(answer)
        if (clock := judge_clock(answer.skew_s)) is not None:
            yield clock

    def _facts(self, interaction: Interaction) -> DiscordFacts:
        permissions: frozenset[str] | None = None
        if interaction.guild_id is not None:
            permissions = _silence.held(_gate.own_permissions(interaction))
        return DiscordFacts(
            gateway_latency_s=self.bot.latency,
            heartbeat_pause_s=self.bot.heartbeat_pause_s(),
            permissions=permissions,
            is_thread=isinstance(interaction.channel, discord.Thread),
            is_voice=isinstance(interaction.channel, VOICE),
            has_message_content=self.bot.intents.message_content,
        )

    @diag.command(name="model")
    @app_commands.checks.cooldown(LOOKS, LOOKS_WINDOW_S, key=lambda i: i.user.id)
    async def model(
        self, interaction: Interaction, span: Literal["hour", "day", "week"] = "day"
    ) -> None:
        """Show which model answers here, and how fast it has been, with a chart.

        Args:
            span: What the chart shows: the last hour, day or week
        """
        backend, history = self._services.backend, self._services.history
        chat = self._services.overrides.effective(_convert.interaction_place(interaction))
        known = backend.model(chat.model)
        model = known.key if known else chat.model
        state = "answers" if backend.is_available() else "doesn't answer at the moment"
        lines = (
            f"The model's machine {state}.",
            describe_model(known) if known else _unknown(chat.model, self.bot),
            f"{counted(backend.capacity().slots, 'answer')} at once.",
            acquaintance_text(self._services.introductions.of(model)),
            read_ahead_text(self._services.warm.cost),
            history_text(history, model),
        )
        text = "\n".join(filter(None, lines))
        await _respond.say(interaction, text)
        if has_figures(history, model):
            await self._add_chart(interaction, text, span, model)

    async def _add_chart(
        self, interaction: Interaction, text: str, span: str, model: str | None
    ) -> None:
        """Add the picture to an answer that stands already, or why there is none."""
        history, shown = self._services.history, RANGES[span]
        data = drawing(history, shown, model)
        picture: bytes | str = NO_QUESTIONS.format(title=shown.title)
        if data:
            picture = await self._charts.draw((span, model), data)
        if isinstance(picture, str):
            await _respond.revise(interaction, f"{text}\n{picture}")
            return
        words = in_words(history, shown, model)
        file = discord.File(io.BytesIO(picture), f"{span}.png", description=words)
        await _respond.revise(interaction, text, file=file)

    @diag.command(name="queue")
    async def queue(self, interaction: Interaction) -> None:
        """Show who waits and for how long, what is being answered, and what holds it up."""
        services, asker_id = self._services, UserId(interaction.user.id)
        guild_id = interaction.guild_id if _gate.is_manager(interaction) else None
        sees_all = asker_id in _gate.owner_ids(self.bot)

        def may_name(job: Job) -> bool:
            is_managed = guild_id is not None and job.guild_id == guild_id
            return sees_all or is_managed or job.person_id == asker_id

        chat = services.overrides.effective(_convert.interaction_place(interaction))
        text = queue_text(
            services.scheduler,
            services.backend.servers(),
            is_available=services.backend.is_available(),
            may_name=may_name,
            next_server=services.backend.next_server(chat.model),
            names_models=_gate.is_manager(interaction),
            kept_warm=services.warm.kept() if services.settings.context.warm_ahead else 0,
        )
        await _respond.say(interaction, text)

    @diag.command(name="channel")
    @app_commands.guild_only()
    @app_commands.checks.cooldown(LOOKS, LOOKS_WINDOW_S, key=lambda i: i.user.id)
    async def channel(
        self,
        interaction: Interaction,
        channel: discord.TextChannel
        | discord.VoiceChannel
        | discord.StageChannel
        | discord.Thread
        | None = None,
        person: discord.Member | None = None,
    ) -> None:
        """Say why I didn't answer a person in a channel, and what to change.

        Args:
            channel: Which one; this one when left out
            person: Who; you when left out
        """
        where, who = channel or interaction.channel, person or interaction.user
        if not isinstance(where, discord.abc.GuildChannel | discord.Thread):
            raise _gate.GateError(_gate.NEEDS_GUILD)
        asker = interaction.user
        if not isinstance(who, discord.Member) or not isinstance(asker, discord.Member):
            raise _gate.GateError(NO_MEMBER)
        if who.id != asker.id and not _gate.is_manager(interaction):
            raise _gate.GateError(OTHERS)
        if where != interaction.channel:
            _require_sight(where, asker)
        async with _respond.deferred(interaction):
            case = await _silence.case_of(self.bot, where, who)
        await _respond.say(interaction, silence_text(case))


async def _each(findings: Iterable[Finding]) -> AsyncGenerator[Finding, None]:
    """Yield what is known without a look."""
    for finding in findings:
        yield finding


def _require_sight(where: discord.abc.GuildChannel | discord.Thread, asker: discord.Member) -> None:
    """Let through only who sees a channel; Discord doesn't tell who is in a private thread.

    Raises:
        GateError: With the sentence for the person.
    """
    granted = where.permissions_for(asker)
    if not granted.view_channel:
        raise _gate.GateError(UNSEEN)
    is_private = isinstance(where, discord.Thread) and where.is_private()
    if is_private and not granted.manage_threads:
        raise _gate.GateError(ASK_INSIDE)


def describe_model(model: ModelInfo) -> str:
    """Return one line on a model: name, state, context, what it can."""
    parts = [f"Model: `{model_name(model.key)}`", "loaded" if model.is_loaded else "not loaded"]
    if model.context_tokens:
        parts.append(f"{counted(model.context_tokens, 'token')} of context")
    if model.sees_images:
        parts.append("sees images")
    if model.reasoning_options:
        parts.append(f"thinking: {', '.join(model.reasoning_options)}")
    return " · ".join(parts) + "."


def _unknown(name: str | None, bot: ClawbotClient) -> str:
    backend = bot.services.backend
    if backend.unlisted() is None and name:
        return f"Model: `{model_name(name)}`, which isn't listed."
    if backend.known_models():
        return "No model is loaded."
    return _settings.no_models(bot) if backend.is_available() else "I have no list of its models."


async def setup(bot: ClawbotClient) -> None:
    """Add the cog; discord.py calls this."""
    _tree.require_tree(bot)
    await bot.add_cog(DiagnosticsCog(bot))
