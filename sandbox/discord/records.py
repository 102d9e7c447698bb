"""What the sandbox writes down, with times of the sandbox's ``monotonic`` in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class RequestRecord:
    """One REST request.

    Attributes:
        at: When it had arrived whole.
        route: Its template, as ``/channels/{channel_id}/messages``; the path where unknown.
        path: Below the API base.
        body: Parsed JSON, or the JSON part of a multipart body.
        files: Names of uploaded files.
        headers: Those of note: Authorization's scheme, User-Agent, Content-Type, audit reason.
        status: HTTP status; 0 where no answer was given.
        code: Discord's JSON code of a refusal.
        answered_at: When the answer left; ``None`` where none did.
        fault: The fault that was played on it.
    """

    at: float
    method: str
    route: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    files: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    code: int = 0
    answered_at: float | None = None
    fault: str | None = None


@dataclass(frozen=True)
class GatewayRecord:
    """A connect, an IDENTIFY or a RESUME.

    Attributes:
        detail: The address path of a connect, the intents of an IDENTIFY, the sequence of a RESUME.
        accepted: Whether Discord went along with it.
    """

    at: float
    detail: Any = None
    accepted: bool = True


@dataclass(frozen=True)
class CloseRecord:
    """The end of a gateway connection; ``by_us`` when the sandbox closed it."""

    at: float
    code: int | None
    by_us: bool


class Records:
    """All that a sandbox has written down.

    Attributes:
        requests: Every REST request, in order of arrival.
        connects: Gateway connections, by address path.
        identifies: IDENTIFYs, by intents.
        resumes: RESUMEs, by sequence number.
        closes: Ended gateway connections.
        presences: (time, presence) as the bot set them.
        heartbeats: How many came.
        unexpected: Requests and opcodes that Discord doesn't know: a faithful bot leaves it empty.
    """

    def __init__(self) -> None:
        self.requests: list[RequestRecord] = []
        self.connects: list[GatewayRecord] = []
        self.identifies: list[GatewayRecord] = []
        self.resumes: list[GatewayRecord] = []
        self.closes: list[CloseRecord] = []
        self.presences: list[tuple[float, dict[str, Any]]] = []
        self.heartbeats = 0
        self.unexpected: list[str] = []
