"""Faults on demand, for REST and for the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sandbox.discord.values.errors import RETRY_AFTER_S, usual_answer

When = Literal["before", "after"]
CLOUDFLARE = "<!DOCTYPE html><html><head><title>Access denied | discord.com</title></head></html>"


@dataclass
class Fault:
    """What happens to the next ``times`` requests that match.

    Attributes:
        method: HTTP method; any when ``None``.
        route: Template (``/channels/{channel_id}/messages``) or a part of the real path; any when
            ``None``.
        when: ``before``: Discord did nothing; ``after``: it did, but the answer is lost.
        status: Answer with this instead; 0 lets the request through (``delay_s`` only).
        reset: Break the connection instead of answering.
        hang: Never answer.
        delay_s: Wait this long before anything else; ``after`` on a request that is let through: its
            answer, made at once, comes so much later.
        gate: Wait until it is opened, too; at the same place.
    """

    method: str | None = None
    route: str | None = None
    times: int = 1
    when: When = "before"
    status: int = 0
    body: Any = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    via: bool = True
    reset: bool = False
    hang: bool = False
    delay_s: float = 0.0
    gate: asyncio.Event | None = None
    played: int = 0

    def matches(self, method: str, route: str, path: str) -> bool:
        """Tell whether the fault applies to a request."""
        return (
            self.times > 0
            and (self.method is None or self.method == method)
            and (self.route is None or self.route == route or self.route in path)
        )

    @property
    def lets_through(self) -> bool:
        """Whether nothing but time is lost."""
        return not (self.status or self.reset or self.hang)

    async def wait(self, place: When) -> None:
        """Let a request wait before Discord acts, or its answer after that."""
        is_late = self.when == "after" and self.lets_through
        if is_late == (place == "after"):
            await asyncio.sleep(self.delay_s)
            if self.gate is not None:
                await self.gate.wait()

    def release(self) -> None:
        """Let those go on that ``hold`` keeps waiting."""
        if self.gate is not None:
            self.gate.set()

    @property
    def name(self) -> str:
        """A word for the request record."""
        kind = "reset" if self.reset else "hang" if self.hang else str(self.status or "delay")
        return f"{kind} {self.when}"


class GatewayControls(Protocol):
    """What can be done to all gateway connections at once."""

    def close(self, code: int) -> None:
        """Close them with a code."""
        ...

    def reconnect(self) -> None:
        """Send op 7."""
        ...

    def invalid_session(self, *, resumable: bool) -> None:
        """Send op 9."""
        ...

    def forget_sessions(self) -> None:
        """Lose all sessions."""
        ...

    def drop(self) -> None:
        """Break them without a close frame."""
        ...

    def zombie(self) -> None:
        """Keep them open and silent."""
        ...


class Faults:
    """What shall go wrong; everything here holds until it is used up or switched off.

    Attributes:
        refuse_connections: How many gateway connections to break off from now on, -1 for all
            (aiohttp's client tries a broken handshake twice).
        silent_hello: New connections get no HELLO.
        ack_heartbeats: False: heartbeats stay without ACK.
        refuse_resumes: Every RESUME gets INVALID_SESSION (false).
        invalid_identifies: The next so many IDENTIFYs get INVALID_SESSION (false).
    """

    def __init__(self) -> None:
        self.rest: list[Fault] = []
        self.refuse_connections = 0
        self.silent_hello = False
        self.ack_heartbeats = True
        self.refuse_resumes = False
        self.invalid_identifies = 0
        self._controls: GatewayControls | None = None

    def attach(self, controls: GatewayControls) -> None:
        """Name the gateway on whose connections the gateway's faults act."""
        self._controls = controls

    @property
    def _gateway(self) -> GatewayControls:
        if self._controls is None:
            raise RuntimeError("the faults have no gateway")
        return self._controls

    # REST

    def add(self, fault: Fault) -> Fault:
        """Arm a fault."""
        self.rest.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm everything."""
        self.rest.clear()
        self.refuse_connections = 0
        self.silent_hello = False
        self.ack_heartbeats = True
        self.refuse_resumes = False
        self.invalid_identifies = 0

    def take(self, method: str, route: str, path: str) -> Fault | None:
        """Return the fault for a request, using it up once."""
        for fault in self.rest:
            if fault.matches(method, route, path):
                fault.times -= 1
                fault.played += 1
                if fault.times <= 0:
                    self.rest.remove(fault)
                return fault
        return None

    def fail(
        self,
        method: str | None = None,
        route: str | None = None,
        *,
        status: int,
        times: int = 1,
        when: When = "before",
        body: object = None,
    ) -> Fault:
        """Answer the next requests with a plain status (500, 502, 503, 520, …)."""
        content = {"message": f"{status}: Error", "code": 0} if body is None else body
        kind = "application/json" if isinstance(content, dict | list) else "text/html"
        return self.add(
            Fault(method, route, times, when, status=status, body=content, content_type=kind)
        )

    def refuse(
        self,
        code: int,
        method: str | None = None,
        route: str | None = None,
        *,
        times: int = 1,
        status: int | None = None,
        errors: Mapping[str, Any] | None = None,
    ) -> Fault:
        """Refuse the next requests with one of Discord's JSON codes and its usual status."""
        usual, message = usual_answer(code)
        body: dict[str, Any] = {"message": message, "code": code}
        headers: dict[str, str] = {}
        if code == 50035:
            body["errors"] = errors or {
                "content": {"_errors": [{"code": "BASE_TYPE_INVALID", "message": "Invalid"}]}
            }
        if (status or usual) == 429:
            body |= {"retry_after": RETRY_AFTER_S, "global": False}
            headers["Retry-After"] = str(int(RETRY_AFTER_S))
        return self.add(
            Fault(method, route, times, status=status or usual, body=body, headers=headers)
        )

    def rate_limit(
        self,
        method: str | None = None,
        route: str | None = None,
        *,
        retry_after_s: float,
        scope: Literal["user", "shared", "global"] = "user",
        times: int = 1,
    ) -> Fault:
        """Answer 429 as Discord itself does."""
        body = {
            "message": "You are being rate limited.",
            "code": 0,
            "retry_after": retry_after_s,
            "global": scope == "global",
        }
        headers = {"Retry-After": str(int(retry_after_s) + 1), "X-RateLimit-Scope": scope}
        if scope == "global":
            headers["X-RateLimit-Global"] = "true"
        return self.add(Fault(method, route, times, status=429, body=body, headers=headers))

    def cloudflare(
        self, method: str | None = None, route: str | None = None, *, times: int = 1
    ) -> Fault:
        """Answer 429 as Cloudflare does: HTML, and no ``Via`` header."""
        fault = Fault(method, route, times, status=429, body=CLOUDFLARE, content_type="text/html")
        fault.via = False
        fault.headers = {"Server": "cloudflare", "Retry-After": "600"}
        return self.add(fault)

    def reset(
        self,
        method: str | None = None,
        route: str | None = None,
        *,
        after_commit: bool = False,
        times: int = 1,
    ) -> Fault:
        """Break the connection, before or after Discord has acted."""
        when: When = "after" if after_commit else "before"
        return self.add(Fault(method, route, times, when, reset=True))

    def hang(
        self,
        method: str | None = None,
        route: str | None = None,
        *,
        after_commit: bool = False,
        times: int = 1,
    ) -> Fault:
        """Never answer, before or after Discord has acted."""
        when: When = "after" if after_commit else "before"
        return self.add(Fault(method, route, times, when, hang=True))

    def delay(
        self,
        method: str | None = None,
        route: str | None = None,
        *,
        delay_s: float,
        times: int = 1,
    ) -> Fault:
        """Answer late."""
        return self.add(Fault(method, route, times, delay_s=delay_s))

    def hold(
        self, method: str | None = None, route: str | None = None, *, when: When = "before"
    ) -> Fault:
        """Let the next request, or with ``after`` its answer, wait for the fault's ``release``."""
        return self.add(Fault(method, route, when=when, gate=asyncio.Event()))

    # Gateway

    def admits_connection(self) -> bool:
        """Tell whether a new gateway connection is let in."""
        if self.refuse_connections == 0:
            return True
        self.refuse_connections -= self.refuse_connections > 0
        return False

    def close(self, code: int) -> None:
        """Close the gateway connections with a code."""
        self._gateway.close(code)

    def reconnect(self) -> None:
        """Send op 7."""
        self._gateway.reconnect()

    def invalid_session(self, *, resumable: bool = False) -> None:
        """Send op 9; unless resumable the session is gone."""
        self._gateway.invalid_session(resumable=resumable)

    def forget_sessions(self) -> None:
        """Lose all sessions, so that nothing can be resumed."""
        self._gateway.forget_sessions()

    def drop(self) -> None:
        """Break the gateway connections without a close frame."""
        self._gateway.drop()

    def zombie(self) -> None:
        """Keep the gateway connections open and silent."""
        self._gateway.zombie()
