"""What a diagnosis is asked and what it finds, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.lmstudio.transport import Tls


class Status(StrEnum):
    """How a step ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Step(StrEnum):
    """What was looked at; the value is its name for people."""

    SETTINGS = "Settings"
    STORAGE = "Storage"
    DATABASE = "Database server"
    METRICS = "Metrics address"
    TOKEN = "Bot token"  # noqa: S105 - the name of a step
    REST = "Discord REST"
    CLOCK = "Clock"
    GATEWAY = "Discord gateway"
    INTENT = "Message content"
    PERMISSIONS = "Permissions here"
    NAME = "Name"
    CONNECTION = "Connection"
    TLS = "Encryption"
    HTTP = "HTTP"
    SERVER = "Server"
    AUTHENTICATION = "API token"
    MODELS = "Models"
    PATH = "Network path"
    COMPLETION = "Completion"
    SPEED = "Speed"
    FILTER = "Thinking"


Fact = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one step.

    Attributes:
        cause: One plain sentence: what is so. Never an address or a text from the other side.
        advice: What to do about it; empty where nothing is to be done.
        facts: What was measured, for everybody; a name ends with its unit.
        duration_s: How long the step took, in seconds.
        technical: Addresses and names, for the operator only; one line.
        is_personal: It holds only for whoever asked, so nobody else is shown it afterwards.
    """

    step: Step
    status: Status
    cause: str
    advice: str = ""
    duration_s: float = 0.0
    technical: str = ""
    is_personal: bool = False
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def is_problem(self) -> bool:
        """Whether there is something to do."""
        return self.status in {Status.WARNING, Status.FAILED}


@dataclass(frozen=True, slots=True)
class Target:
    """The LM Studio to look at.

    Attributes:
        base_url: As configured, with or without ``/v1``.
        api_token: Bearer token, if one is configured.
        model: Model key, if one is configured.
        tls: Trust for https, as the client's transport takes it.
        known: Addresses that the server's name had the last time; empty where that isn't known.
        can_wake: The bot knows how to wake its machine.
        allows: Whether an IP address of it may be used.
    """

    base_url: str
    api_token: str | None = field(default=None, repr=False)
    model: str | None = None
    tls: Tls = True
    known: tuple[str, ...] = ()
    can_wake: bool = False
    allows: Callable[[str], bool] = lambda _address: True


def one_line(text: object, limit_chars: int = 80) -> str:
    """Return text from the other side as one harmless, bounded line for ``technical``."""
    shown = "".join(c for c in str(text)[: limit_chars * 2] if c.isprintable() and c not in "`@<>")
    return shown if len(shown) <= limit_chars else shown[: limit_chars - 1] + "…"
