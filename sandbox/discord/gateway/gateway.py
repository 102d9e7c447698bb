"""The gateway: accepts connections, and does to all of them what a test asks for."""

from __future__ import annotations

from email.utils import formatdate

from aiohttp import web

from sandbox.discord.gateway.connection import Connection, GatewayContext
from sandbox.discord.records import GatewayRecord


class Gateway:
    """All connections of the bot.

    Args:
        context: What the connections share.

    Attributes:
        sessions: The bot's sessions.
        budget: How often the bot may still IDENTIFY.
        dispatch: Sends an event of any form to the sessions.
    """

    def __init__(self, context: GatewayContext) -> None:
        self._context = context
        self._connections: list[Connection] = []
        self.sessions = context.sessions
        self.budget = context.budget
        self.dispatch = context.dispatcher.dispatch

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrade to a WebSocket and serve it."""
        world, options = self._context.world, self._context.options
        connects, changes = self._context.records.connects, world.changes
        now = world.monotonic()
        if not self._context.faults.admits_connection():
            connects.append(GatewayRecord(now, request.path, accepted=False))
            changes.notify()
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        connects.append(GatewayRecord(now, request.path))
        socket = web.WebSocketResponse(max_msg_size=65_536, autoping=True, compress=False)
        socket.headers["Date"] = formatdate(world.now() + options.date_off_s, usegmt=True)
        await socket.prepare(request)
        connection = Connection(self._context, request, socket)
        self._connections.append(connection)
        changes.notify()
        try:
            await connection.run()
        finally:
            self._connections.remove(connection)
        return socket

    def _open(self) -> list[Connection]:
        return [each for each in self._connections if not each.is_closed]

    def close(self, code: int) -> None:
        """Close every connection with a code, as Discord does at times."""
        for connection in self._open():
            connection.close(code)

    def reconnect(self) -> None:
        """Ask every connection to reconnect (op 7)."""
        for connection in self._open():
            connection.send_op(7)

    def invalid_session(self, *, resumable: bool) -> None:
        """Invalidate every session (op 9)."""
        for connection in self._open():
            if connection.session is not None and not resumable:
                self.sessions.remove(connection.session)
            connection.send_op(9, resumable)

    def forget_sessions(self) -> None:
        """Lose all sessions: the next RESUME is answered by op 9."""
        self.sessions.clear()

    def drop(self) -> None:
        """Break every TCP connection without a close frame."""
        for connection in self._open():
            connection.drop()

    def zombie(self) -> None:
        """Leave every connection open but say nothing more on it, not even heartbeat ACKs."""
        for connection in self._open():
            connection.muted = True
