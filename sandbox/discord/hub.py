"""What all gateway connections share: the identify budget, sessions, and faults on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from sandbox.discord.gateway import Connection
from sandbox.discord.messages import JsonObject
from sandbox.discord.records import GatewayRecord
from sandbox.discord.sessions import Session

if TYPE_CHECKING:
    from sandbox.discord.server import DiscordSandbox

_DAY_S = 86_400.0
KEPT_SESSIONS = 3
"""Lost sessions that stay resumable beside each other."""


class GatewayHub:
    """Accepts connections and keeps count.

    Args:
        sandbox: The whole.
        identify_every_s: Least time between two IDENTIFYs; Discord's is 5 s, 0 switches it off.
        resume_window_s: How long a session can be resumed after its connection ended.
    """

    def __init__(
        self, sandbox: DiscordSandbox, *, identify_every_s: float, resume_window_s: float
    ) -> None:
        self._sandbox = sandbox
        self._identify_every_s = identify_every_s
        self._resume_window_s = resume_window_s
        self._last_identify_at: float | None = None
        self._too_soon = False
        self._window_at: float | None = None
        self.connections: list[Connection] = []
        self.identifies_total = 1000
        self.identifies_left = 1000

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrade to a WebSocket and serve it."""
        sandbox = self._sandbox
        now = sandbox.world.monotonic()
        if not sandbox.faults.take_connect():
            sandbox.connects.append(GatewayRecord(now, request.path, accepted=False))
            sandbox.world.touch()
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        sandbox.connects.append(GatewayRecord(now, request.path))
        socket = web.WebSocketResponse(max_msg_size=65_536, autoping=True, compress=False)
        await socket.prepare(request)
        connection = Connection(sandbox, socket, request.path)
        connection.request = request
        self.connections.append(connection)
        sandbox.world.touch()
        await connection.run()
        return socket

    # Identify budget

    def session_start_limit(self) -> JsonObject:
        """Return ``session_start_limit`` of GET /gateway/bot."""
        self._roll()
        since = self._window_at
        left_s = 0.0 if since is None else since + _DAY_S - self._sandbox.world.now()
        return {
            "total": self.identifies_total,
            "remaining": self.identifies_left,
            "reset_after": int(max(0.0, left_s) * 1000),
            "max_concurrency": 1,
        }

    def spend_identify(self) -> bool:
        """Take one IDENTIFY from the day's budget; beyond it Discord resets the token."""
        self._roll()
        if self._window_at is None:
            self._window_at = self._sandbox.world.now()
        if self.identifies_left <= 0:
            self._sandbox.reset_token()
            return False
        self.identifies_left -= 1
        return True

    def _roll(self) -> None:
        now = self._sandbox.world.now()
        if self._window_at is not None and now >= self._window_at + _DAY_S:
            self._window_at = None
            self.identifies_left = self.identifies_total

    def identified(self, intents: object, *, accepted: bool) -> None:
        """Record an IDENTIFY, and whether it came too soon after the one before."""
        now = self._sandbox.world.monotonic()
        last, self._last_identify_at = self._last_identify_at, now
        self._too_soon = last is not None and now - last < self._identify_every_s
        self._sandbox.identifies.append(GatewayRecord(now, intents, accepted=accepted))
        self._drop_old_sessions()
        self._sandbox.world.touch()

    def too_soon(self) -> bool:
        """Tell whether the last IDENTIFY exceeded ``max_concurrency``."""
        return self._too_soon

    # Sessions

    def resumable(self, session_id: str) -> Session | None:
        """Return a session that can still be resumed, cutting off whoever holds it."""
        world = self._sandbox.world
        session = world.sessions.get(session_id)
        if session is None or self._sandbox.faults.refuse_resumes:
            return None
        detached_at = session.detached_at
        if detached_at is not None and world.monotonic() - detached_at > self._resume_window_s:
            del world.sessions[session_id]
            return None
        if isinstance(session.link, Connection):
            session.link.session = None
            session.link.close(4009)
        return session

    def _drop_old_sessions(self) -> None:
        """Forget the oldest sessions that nobody came back for."""
        sessions = self._sandbox.world.sessions
        detached = [each for each in sessions.values() if each.link is None]
        for session in detached[:-KEPT_SESSIONS]:
            del sessions[session.id]

    # On demand

    def each(self) -> list[Connection]:
        """Return the open connections."""
        return list(self.connections)

    def close(self, code: int) -> None:
        """Close every connection with a code, as Discord does at times."""
        for connection in self.each():
            connection.close(code)

    def reconnect(self) -> None:
        """Ask every connection to reconnect (op 7)."""
        for connection in self.each():
            connection.send_op(7)

    def invalid_session(self, *, resumable: bool = False) -> None:
        """Invalidate every session (op 9)."""
        for connection in self.each():
            session = connection.session
            if session is not None and not resumable:
                self._sandbox.world.sessions.pop(session.id, None)
            connection.send_op(9, resumable)

    def forget_sessions(self) -> None:
        """Lose all sessions: the next RESUME is answered by op 9."""
        self._sandbox.world.sessions.clear()

    def drop(self) -> None:
        """Break every TCP connection without a close frame."""
        for connection in self.each():
            connection.drop()

    def zombie(self) -> None:
        """Leave every connection open but say nothing more on it, not even heartbeat ACKs."""
        for connection in self.each():
            connection.muted = True
