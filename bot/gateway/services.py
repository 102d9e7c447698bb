"""What the Discord surface may use, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from bot.chat.allowed_models import AllowedModels
from bot.chat.backfill import Backfill
from bot.chat.privacy import Privacy
from bot.chat.service import ChatService
from bot.chat.whose_words import OwnWords
from bot.core.clock import Clock
from bot.delivery.pacing import PacerRegistry
from bot.idle.introductions import Introductions
from bot.idle.owner import IdleTime
from bot.idle.summaries import Summaries
from bot.idle.warm import WarmAhead
from bot.lmstudio import LMStudioBackend
from bot.ops.history import History
from bot.ops.metrics import Metrics
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


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that cogs use.

    Attributes:
        settings: What the operator configured.
        overrides: Settings of guilds and channels, and who set them.
        state: Small values kept over restarts.
        storage: The database behind all of these.
        own_words: Knows which of the bot's messages are answers.
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
    own_words: OwnWords
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
    metrics: Metrics
    history: History
    introductions: Introductions
    idle: IdleTime
    warm: WarmAhead
    summaries: Summaries
    summary_store: SummaryStore
