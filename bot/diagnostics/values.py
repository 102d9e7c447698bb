"""What a diagnosis is asked and what it finds, as plain values."""

from __future__ import annotations

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
    """What was looked at, in the order it is looked at; the value is its name for people."""

    NAME = "Name"
    CONNECTION = "Connection"
    HTTP = "HTTP"
    SERVER = "LM Studio"
    PATH = "Network path"
    AUTHENTICATION = "API token"
    MODELS = "Models"
    COMPLETION = "Completion"
    GATEWAY = "Discord gateway"
    REST = "Discord REST"
    PERMISSIONS = "Permissions here"
    INTENT = "Message content"
    STORAGE = "Storage"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one step.

    Attributes:
        cause: One plain sentence: what is so. Never an address or a text from the other side.
        advice: One sentence: what to do; empty where nothing is to be done.
        duration_s: How long the step took, in seconds.
        technical: Addresses, numbers and model names, for the operator only; one line.
        is_personal: It holds only for whoever asked, so nobody else is shown it afterwards.
    """

    step: Step
    status: Status
    cause: str
    advice: str = ""
    duration_s: float = 0.0
    technical: str = ""
    is_personal: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """The LM Studio to look at.

    Attributes:
        base_url: As configured, with or without ``/v1``.
        api_token: Bearer token, if one is configured.
        model: Model key, if one is configured.
        tls: Trust for https, as the client's transport takes it.
    """

    base_url: str
    api_token: str | None = field(default=None, repr=False)
    model: str | None = None
    tls: Tls = True


@dataclass(frozen=True, slots=True)
class Limits:
    """How long each step may take, in seconds; together at most 25.

    Attributes:
        http_s: For the greeting; half as much again where that isn't LM Studio's.
    """

    name_s: float = 2.5
    connect_s: float = 3.0
    http_s: float = 3.0
    path_s: float = 1.0
    authentication_s: float = 2.5
    models_s: float = 3.5
    completion_s: float = 8.0


def one_line(text: object, limit_chars: int = 80) -> str:
    """Return text from the other side as one harmless, bounded line for ``technical``."""
    shown = "".join(c for c in str(text)[: limit_chars * 2] if c.isprintable() and c not in "`@<>")
    return shown if len(shown) <= limit_chars else shown[: limit_chars - 1] + "…"
