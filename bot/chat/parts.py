"""What every reply works with, in one value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from bot.chat.account import Account, PromptSizes
from bot.chat.work_gate import WorkGate
from bot.core.clock import Clock
from bot.core.domain import MessageId, Question
from bot.core.ports import ChatBackend, Journal, SettingsReader
from bot.core.record import QuestionRecord
from bot.delivery.pacing import PacerRegistry
from bot.ops.metrics import Metrics
from bot.output.pipeline import ModelMemory
from bot.output.sanitise.policy import OutputPolicy
from bot.output.sanitise.sanitiser import SecretGuard
from bot.prompt.builder import ContextBuilder
from bot.prompt.tokens import TokenEstimator
from bot.queue.scheduler import Scheduler
from config.settings import Settings


async def no_advice(_question: Question, _model: str | None) -> str:
    """Have nothing to add."""
    return ""


@dataclass(frozen=True, slots=True)
class ReplyParts:
    """What a reply works with.

    Attributes:
        records: Each is told how every question went.
        accounts: Each is given the account of every question as work on it begins.
        advice: Returns what the asker of a question can do about a model that can't be loaded or runs out
            of memory, by the model's key; empty for whoever can't change that.
        answered: Told of each question whose answer is delivered, while idle time is used: the
            conversation's key, and the last message of the answer.
    """

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
    records: Sequence[Callable[[QuestionRecord], None]]
    accounts: Sequence[Callable[[Account], None]] = ()
    advice: Callable[[Question, str | None], Awaitable[str]] = no_advice
    answered: Callable[[Question, str, MessageId], None] = lambda *_: None
    gate: WorkGate = field(default_factory=WorkGate)
    sizes: PromptSizes = field(default_factory=PromptSizes)
