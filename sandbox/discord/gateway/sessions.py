"""Gateway sessions: what a bot has subscribed to and what it can have replayed."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Protocol

from sandbox.discord.state.guilds import Message
from sandbox.discord.state.visibility import is_always_shown
from sandbox.discord.values.intents import MESSAGE_CONTENT
from sandbox.discord.values.json_objects import JsonObject

BUFFERED_EVENTS = 2000
KEPT_SESSIONS = 3
"""Lost sessions that stay resumable beside each other."""


class Link(Protocol):
    """An open connection."""

    def send(self, text: str) -> None:
        """Queue a text frame."""
        ...

    def lose_session(self) -> None:
        """Give the session up to another connection."""
        ...


class Session:
    """One IDENTIFY's worth of events.

    Args:
        session_id: Discord's id of it.
        intents: What the bot subscribed to.
        bot_id: The bot's user id.
        shard: The number of its shard, and how many shards there are.
    """

    def __init__(
        self, session_id: str, intents: int, bot_id: int, shard: tuple[int, int] = (0, 1)
    ) -> None:
        self.id = session_id
        self.shard = shard
        self.intents = intents
        self.seq = 0
        self.link: Link | None = None
        self.detached_at: float | None = None
        self._bot_id = bot_id
        self._buffer: deque[tuple[int, str]] = deque(maxlen=BUFFERED_EVENTS)

    def push(self, name: str, data: JsonObject) -> None:
        """Dispatch an event: at once where connected, and again on resume."""
        self.seq += 1
        text = json.dumps({"t": name, "s": self.seq, "op": 0, "d": data}, separators=(",", ":"))
        self._buffer.append((self.seq, text))
        if self.link is not None:
            self.link.send(text)

    def missed(self, seq: int) -> list[str] | None:
        """Return the frames after ``seq``; ``None`` where they are no longer kept."""
        if self._buffer and self._buffer[0][0] > seq + 1:
            return None
        return [text for number, text in self._buffer if number > seq]

    def serves(self, guild_id: int | None) -> bool:
        """Tell whether its shard gets what happens in a guild; ``None`` for what is in none."""
        number, count = self.shard
        return number == (0 if guild_id is None else (guild_id >> 22) % count)

    def shows(self, message: Message) -> bool:
        """Tell whether this session gets a message's content (Discord: message content intent)."""
        return bool(self.intents & MESSAGE_CONTENT) or is_always_shown(message, self._bot_id)


class SessionStore:
    """The bot's sessions by id.

    Args:
        monotonic: Time in seconds.
        resume_window_s: How long a session can be resumed after its connection ended.
    """

    def __init__(self, monotonic: Callable[[], float], resume_window_s: float) -> None:
        self._monotonic = monotonic
        self._resume_window_s = resume_window_s
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def all(self) -> list[Session]:
        """Return every session, oldest first."""
        return list(self._sessions.values())

    def add(self, session: Session) -> None:
        """Keep a session."""
        self._sessions[session.id] = session

    def remove(self, session: Session) -> None:
        """Forget a session: it can't be resumed."""
        self._sessions.pop(session.id, None)

    def clear(self) -> None:
        """Forget every session."""
        self._sessions.clear()

    def detach(self, session: Session) -> None:
        """Note that a session's connection has ended."""
        session.link = None
        session.detached_at = self._monotonic()

    def resumable(self, session_id: str) -> Session | None:
        """Return a session that can still be resumed, and take it from whoever holds it."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        at = session.detached_at
        if at is not None and self._monotonic() - at > self._resume_window_s:
            self.remove(session)
            return None
        if session.link is not None:
            session.link.lose_session()
        return session

    def drop_oldest_detached(self) -> None:
        """Forget the sessions that nobody has come back to for longest."""
        detached = [each for each in self.all() if each.link is None]
        detached.sort(key=lambda each: each.detached_at or 0.0)
        shards = max((each.shard[1] for each in detached), default=1)
        for session in detached[: -KEPT_SESSIONS * shards]:
            self.remove(session)
