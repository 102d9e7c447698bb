"""Gateway sessions: what a bot has subscribed to and what it can have replayed."""

from __future__ import annotations

import json
from collections import deque
from typing import Protocol

from sandbox.discord.messages import JsonObject, Message

BUFFERED_EVENTS = 2000

GUILDS, GUILD_MEMBERS, GUILD_MODERATION = 1 << 0, 1 << 1, 1 << 2
PRESENCES, GUILD_MESSAGES, GUILD_REACTIONS, GUILD_TYPING = 1 << 8, 1 << 9, 1 << 10, 1 << 11
DM_MESSAGES, DM_REACTIONS, DM_TYPING, MESSAGE_CONTENT = 1 << 12, 1 << 13, 1 << 14, 1 << 15
PRIVILEGED = GUILD_MEMBERS | PRESENCES | MESSAGE_CONTENT
VALID_INTENTS = ((1 << 17) - 1) | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25


class Link(Protocol):
    """An open connection."""

    def send(self, text: str) -> None:
        """Queue a text frame."""
        ...


class Session:
    """One IDENTIFY's worth of events.

    Args:
        session_id: Discord's id of it.
        intents: What the bot subscribed to.
        bot_id: The bot's user id.
    """

    def __init__(self, session_id: str, intents: int, bot_id: int) -> None:
        self.id = session_id
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

    def shows(self, message: Message) -> bool:
        """Tell whether this session gets a message's content (Discord: message content intent)."""
        return bool(self.intents & MESSAGE_CONTENT) or always_shown(message, self._bot_id)


def always_shown(message: Message, bot_id: int) -> bool:
    """Tell whether a bot gets content without the intent: its own, in DMs, or where mentioned."""
    return message.channel.is_dm or message.author.id == bot_id or bot_id in message.mention_ids
