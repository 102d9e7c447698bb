"""The gateway, v10: HELLO, IDENTIFY, heartbeats, RESUME, and Discord's close codes."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.discord import rendering
from sandbox.discord.faults import Faults
from sandbox.discord.gateway.dispatcher import Dispatcher
from sandbox.discord.gateway.identify_budget import IdentifyBudget
from sandbox.discord.gateway.sessions import Session, SessionStore
from sandbox.discord.options import Options
from sandbox.discord.records import CloseRecord, GatewayRecord, Records
from sandbox.discord.state.guilds import Guild
from sandbox.discord.state.token import BotToken
from sandbox.discord.state.world import World
from sandbox.discord.values.addresses import resume_gateway_url
from sandbox.discord.values.intents import (
    GUILD_MEMBERS,
    GUILDS,
    PRIVILEGED,
    VALID_INTENTS,
)
from sandbox.discord.values.json_objects import JsonObject

MAX_PAYLOAD_BYTES = 4096
MAX_EVENTS_PER_MINUTE = 120
_MINUTE_S = 60.0
_ENDS_SESSION = frozenset({4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014})


class CloseConnection(Exception):  # noqa: N818 - it is how a handler ends the connection, no failure of ours
    """Ends the connection with a close code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(str(code))


@dataclass(frozen=True)
class GatewayContext:
    """What all gateway connections share."""

    world: World
    options: Options
    records: Records
    faults: Faults
    token: BotToken
    sessions: SessionStore
    budget: IdentifyBudget
    dispatcher: Dispatcher


class Connection:
    """One WebSocket of a bot.

    Args:
        context: What it shares with the other connections.
        request: The request that became the WebSocket.
        socket: The WebSocket.

    Attributes:
        muted: Nothing is sent or received any more, but the connection stays open.
        closing: The code with which the sandbox closes it.
        is_closed: Either side has ended it.
    """

    def __init__(
        self, context: GatewayContext, request: web.BaseRequest, socket: web.WebSocketResponse
    ) -> None:
        self._context = context
        self._world = context.world
        self._records = context.records
        self._request = request
        self._socket = socket
        self.session: Session | None = None
        self.muted = False
        self.closing: int | None = None
        self.is_closed = False
        self._outgoing: asyncio.Queue[str | int] = asyncio.Queue()
        self._received: deque[float] = deque()
        self._last_beat = asyncio.get_running_loop().time()
        self._handlers: dict[int, Callable[[Any], None]] = {
            1: self._on_heartbeat,
            2: self._on_identify,
            3: self._on_presence,
            4: self._on_voice_state,
            6: self._on_resume,
            8: self._on_request_members,
        }

    # Sending

    def send(self, text: str) -> None:
        """Queue a text frame; a muted connection drops it."""
        if not self.muted:
            self._outgoing.put_nowait(text)

    def send_op(self, op: int, data: object = None) -> None:
        """Queue a frame that is no dispatch."""
        self.send(json.dumps({"t": None, "s": None, "op": op, "d": data}))

    def close(self, code: int) -> None:
        """Close with a code, after what is queued; only the first code counts."""
        if self.closing is None:
            self.closing = code
            self._outgoing.put_nowait(code)

    def drop(self) -> None:
        """Break the TCP connection without a close frame."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def lose_session(self) -> None:
        """Give the session up to another connection, and close."""
        self.session = None
        self.close(4009)

    async def _write(self) -> None:
        while True:
            item = await self._outgoing.get()
            try:
                if isinstance(item, int):
                    self._closed(item, by_us=True)
                    await self._socket.close(code=item)
                    return
                await self._socket.send_str(item)
            except ConnectionError:
                return

    # Serving

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        writer = asyncio.create_task(self._write())
        watcher = asyncio.create_task(self._watch_heartbeats())
        if not self._context.faults.silent_hello:
            interval_ms = self._context.options.heartbeat_interval_ms
            self.send_op(10, {"heartbeat_interval": interval_ms, "_trace": []})
        try:
            await self._read()
        finally:
            self.leave(self._socket.close_code)
            watcher.cancel()
            if self.closing is not None:
                await asyncio.wait([writer], timeout=0.2)
            writer.cancel()
            await asyncio.gather(writer, watcher, return_exceptions=True)

    async def _read(self) -> None:
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                self.close(4002)
                continue
            if self.muted:
                continue
            try:
                self._receive(frame.data)
            except CloseConnection as end:
                self.close(end.code)

    async def _watch_heartbeats(self) -> None:
        options = self._context.options
        interval_s = options.heartbeat_interval_ms / 1000
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(interval_s)
            if loop.time() - self._last_beat > 2 * interval_s + options.heartbeat_grace_s:
                self.close(4009)
                return

    def leave(self, code: int | None) -> None:
        """Detach the session; a bot that closes with 1000 or 1001 gives it up.

        Args:
            code: The bot's close code; ``None`` where the connection broke.
        """
        self._closed(code, by_us=False)
        session, self.session = self.session, None
        if session is None or session.link is not self:
            return
        sessions = self._context.sessions
        sessions.detach(session)
        gone = code in {1000, 1001} if self.closing is None else self.closing in _ENDS_SESSION
        if gone:
            sessions.remove(session)
        self._world.changes.notify()

    def _closed(self, code: int | None, *, by_us: bool) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._records.closes.append(CloseRecord(self._world.monotonic(), code, by_us))
            self._world.changes.notify()

    # Receiving

    def _receive(self, text: str) -> None:
        if len(text.encode()) > MAX_PAYLOAD_BYTES:
            raise CloseConnection(4002)
        try:
            frame = json.loads(text)
            op = frame["op"]
        except (ValueError, KeyError, TypeError):
            raise CloseConnection(4002) from None
        self._limit()
        handler = self._handlers.get(op) if isinstance(op, int) else None
        if handler is None:
            self._records.unexpected.append(f"gateway opcode {op!r}")
            raise CloseConnection(4001)
        if self.session is None and op not in {1, 2, 6}:
            raise CloseConnection(4003)
        handler(frame.get("d"))

    def _limit(self) -> None:
        now = self._world.monotonic()
        while self._received and self._received[0] <= now - _MINUTE_S:
            self._received.popleft()
        self._received.append(now)
        if len(self._received) > MAX_EVENTS_PER_MINUTE:
            raise CloseConnection(4008)

    def _on_heartbeat(self, _seq: object) -> None:
        self._last_beat = asyncio.get_running_loop().time()
        self._records.heartbeats += 1
        self._world.changes.notify()
        if self._context.faults.ack_heartbeats:
            self.send_op(11)

    def _on_presence(self, data: Any) -> None:  # noqa: ANN401 - as parsed
        if not isinstance(data, dict) or data.get("status") not in {
            "online",
            "idle",
            "dnd",
            "invisible",
            "offline",
        }:
            raise CloseConnection(4002)
        self._records.presences.append((self._world.monotonic(), data))
        self._world.changes.notify()

    def _on_voice_state(self, _data: object) -> None:
        """Voice is beyond the sandbox; the request is accepted and nothing follows."""

    def _on_identify(self, data: Any) -> None:  # noqa: ANN401 - as parsed
        if self.session is not None:
            raise CloseConnection(4005)
        if not isinstance(data, dict) or not isinstance(data.get("properties"), dict):
            raise CloseConnection(4002)
        intents = data.get("intents")
        shard = _shard(data.get("shard"))
        refusal = self._refuse_identify(data.get("token"), intents)
        came_too_soon = self._context.budget.note(shard[0] % self._context.options.max_concurrency)
        self._records.identifies.append(
            GatewayRecord(self._world.monotonic(), intents, accepted=refusal is None)
        )
        self._context.sessions.drop_oldest_detached()
        self._world.changes.notify()
        if refusal is not None:
            raise CloseConnection(refusal)
        faults = self._context.faults
        if came_too_soon or faults.invalid_identifies > 0:
            faults.invalid_identifies -= bool(faults.invalid_identifies)
            self.send_op(9, data=False)
            return
        session = Session(secrets.token_hex(16), intents or 0, self._world.bot_user.id, shard)
        self._attach(session)
        presence = data.get("presence")
        if isinstance(presence, dict):
            self._records.presences.append((self._world.monotonic(), presence))
        session.push("READY", self._ready(session, data.get("shard")))
        self._context.sessions.add(session)
        if session.intents & GUILDS:
            create = self._context.dispatcher.guild_create
            for guild in self._guilds_of(session):
                if not guild.unavailable:
                    session.push("GUILD_CREATE", create(guild, session))
        self._world.changes.notify()

    def _refuse_identify(self, token: object, intents: object) -> int | None:
        if not self._context.token.accepts(token):
            return 4004
        if not isinstance(intents, int) or intents < 0 or intents & ~VALID_INTENTS:
            return 4013
        if intents & PRIVILEGED & ~self._world.portal_intents:
            return 4014
        if self._context.budget.spend():
            return None
        self._context.token.invalidate()
        self._context.sessions.clear()
        return 4004

    def _attach(self, session: Session) -> None:
        session.link = self
        session.detached_at = None
        self.session = session

    def _guilds_of(self, session: Session) -> list[Guild]:
        return [guild for guild in self._world.bot_guilds() if session.serves(guild.id)]

    def _ready(self, session: Session, shard: object) -> JsonObject:
        flags = 1 << 19 if self._world.portal_intents & 1 << 15 else 0
        body: JsonObject = {
            "v": 10,
            "user": rendering.own_user_object(self._world.bot_user),
            "guilds": [
                {"id": str(guild.id), "unavailable": True} for guild in self._guilds_of(session)
            ],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": resume_gateway_url(self._world.origin),
            "application": {"id": str(self._world.bot_user.id), "flags": flags},
            "user_settings": {},
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "auth": {},
            "_trace": [],
        }
        if shard is not None:
            body["shard"] = shard
        return body

    def _on_resume(self, data: Any) -> None:  # noqa: ANN401 - as parsed
        if self.session is not None:
            raise CloseConnection(4005)
        if not isinstance(data, dict) or not isinstance(data.get("seq"), int):
            raise CloseConnection(4002)
        if not self._context.token.accepts(data.get("token")):
            raise CloseConnection(4004)
        seq: int = data["seq"]
        session = None
        if not self._context.faults.refuse_resumes:
            session = self._context.sessions.resumable(str(data.get("session_id")))
        missed = session.missed(seq) if session is not None else None
        self._records.resumes.append(
            GatewayRecord(self._world.monotonic(), seq, accepted=missed is not None)
        )
        if session is None or missed is None:
            self.send_op(9, data=False)
            self._world.changes.notify()
            return
        if seq > session.seq:
            raise CloseConnection(4007)
        self._attach(session)
        for text in missed:
            self.send(text)
        session.push("RESUMED", {"_trace": []})
        self._world.changes.notify()

    def _on_request_members(self, data: Any) -> None:  # noqa: ANN401 - as parsed
        session = self.session
        try:
            guild = self._world.guilds[int(data["guild_id"])]
            query, limit = data.get("query"), int(data.get("limit", 0))
            wanted = data.get("user_ids")
            ids = {int(each) for each in ([wanted] if isinstance(wanted, str) else wanted or ())}
        except (KeyError, TypeError, ValueError):
            raise CloseConnection(4002) from None
        if session is None or (query == "" and not session.intents & GUILD_MEMBERS):
            raise CloseConnection(4002)
        found = [
            rendering.member_object(member)
            for member in guild.members.values()
            if member.user.id in ids
            or (query is not None and member.user.username.startswith(query.lower()))
        ]
        body: JsonObject = {
            "guild_id": str(guild.id),
            "members": found[: limit or len(found)],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [],
            "nonce": data.get("nonce"),
        }
        session.push("GUILD_MEMBERS_CHUNK", body)


def _shard(data: object) -> tuple[int, int]:
    """Read IDENTIFY's ``shard``; without one the session is the only shard.

    Raises:
        CloseConnection: 4010, no such shard.
    """
    if data is None:
        return 0, 1
    if isinstance(data, list) and len(data) == 2 and all(isinstance(part, int) for part in data):
        number, count = data
        if 0 <= number < count:
            return number, count
    raise CloseConnection(4010)
