"""What the cogs need of a discord.py bot: any that is derived from this one can load them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import discord
from discord.ext import commands

from bot.chat.allowed_models import AllowedModels
from bot.chat.backfill import Backfill
from bot.chat.privacy import Privacy
from bot.chat.service import ChatService
from bot.core.clock import Clock
from bot.core.domain import UserId
from bot.core.recent import Recent
from bot.delivery.pacing import PacerRegistry
from bot.gateway.rest import RestWatch
from bot.idle.introductions import Introductions
from bot.idle.owner import IdleTime
from bot.idle.summaries import Summaries
from bot.idle.warm import WarmAhead
from bot.lmstudio import LMStudioBackend
from bot.ops.history import History
from bot.output.sanitise.sanitiser import SecretGuard
from bot.prompt.builder import ContextBuilder
from bot.prompt.cache import MessageCache
from bot.queue.rate_limit import RateLimiter
from bot.queue.scheduler import Scheduler
from bot.storage.database import Database
from bot.storage.journal import SqlJournal
from bot.storage.settings_store import SettingsStore
from bot.storage.state import StateStore
from bot.storage.summaries import SummaryStore
from config.settings import Settings

EXTENSIONS = ("cogs.chat", "cogs.admin", "cogs.models", "cogs.diagnostics", "cogs.privacy")


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that cogs use.

    Attributes:
        settings: What the operator configured.
        overrides: Settings of guilds and channels, and who set them.
        state: Small values kept over restarts.
        storage: The database behind all of these.
        allowed: The models that guilds may choose.
        source: Discord's messages; told of what the gateway brings.
        secrets: What no answer may show.
    """

    settings: Settings
    clock: Clock
    backend: LMStudioBackend
    overrides: SettingsStore
    journal: SqlJournal
    state: StateStore
    storage: Database
    allowed: AllowedModels
    chat: ChatService
    builder: ContextBuilder
    privacy: Privacy
    backfill: Backfill
    limiter: RateLimiter
    scheduler: Scheduler
    source: MessageCache
    pacers: PacerRegistry
    secrets: SecretGuard
    history: History
    introductions: Introductions
    idle: IdleTime
    warm: WarmAhead
    summaries: Summaries
    summary_store: SummaryStore


def intents_for(*, message_content: bool) -> discord.Intents:
    """Return the intents the bot asks for: only what it handles."""
    intents = discord.Intents.none()
    intents.guilds = True
    intents.guild_messages = True
    intents.dm_messages = True
    intents.message_content = message_content
    return intents


def shard_of(guild_id: int | None, count: int) -> int:
    """Return the shard of a server; direct messages come to the first (Discord: gateway, sharding)."""
    return ((guild_id or 0) >> 22) % count


LEFT_THREADS: Final = 1_000
"""Threads that the bot was removed from, of which that is remembered; some are never heard of again."""


class ClawbotClient(commands.Bot):
    """A bot that has what the cogs use.

    Attributes:
        services: Everything the cogs may use.
        rest: What Discord's REST answers.
        left_threads: Threads that the bot was removed from, and hasn't joined again.
    """

    user: discord.ClientUser
    services: Services
    rest: RestWatch

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - discord.py's own
        """Make a bot as discord.py does."""
        super().__init__(*args, **options)
        self.left_threads: Recent[int, None] = Recent(LEFT_THREADS)

    @property
    def me(self) -> UserId:
        """The bot's own user."""
        return UserId(self.user.id)

    def is_online(self) -> bool:
        """Return whether the gateway session is up."""
        return self.is_ready() and not self.is_closed()

    def serves(self, _guild_id: int | None, /) -> bool:
        """Return whether this process has all that Discord tells of a server, or of direct messages."""
        return True

    def knows_all(self) -> bool:
        """Return whether all servers are known that Discord tells this process of."""
        return True

    def heartbeat_pause_s(self) -> float:
        """Return the time between two heartbeats, in seconds; infinite before Discord said it."""
        keeper = getattr(self.ws, "_keep_alive", None)  # nothing public tells it
        return getattr(keeper, "interval", None) or math.inf


Interaction = discord.Interaction[ClawbotClient]
"""What a press or a command brings."""
