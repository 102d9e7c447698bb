"""What every turn works with, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.chat.work_gate import WorkGate
from bot.clock import Clock
from bot.context.builder import ContextBuilder
from bot.context.tokens import TokenEstimator
from bot.metrics import Metrics
from bot.ports import ChatBackend, Journal, SettingsReader
from bot.reply.pacing import PacerRegistry
from bot.reply.reasoning_memory import ModelMemory
from bot.reply.sanitise_policy import OutputPolicy
from bot.reply.secret_guard import SecretGuard
from bot.scheduling.scheduler import Scheduler
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class TurnParts:
    """What a turn works with."""

    settings: Settings
    clock: Clock
    backend: ChatBackend
    overrides: SettingsReader
    journal: Journal
    scheduler: Scheduler
    builder: ContextBuilder
    estimator: TokenEstimator
    pacers: PacerRegistry
    secrets: SecretGuard
    policy: OutputPolicy
    memory: ModelMemory
    metrics: Metrics
    gate: WorkGate = field(default_factory=WorkGate)
