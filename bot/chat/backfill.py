"""Mentions that came while the bot was away, found again by a bounded scan.

A resumed gateway session replays what was missed; a new one doesn't. Each channel's newest known
message says where to look on from. What arrives while the scan is still due must not move that mark.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.clock import Clock
from bot.domain import ChannelId, IncomingMessage, MessageId, Place
from bot.ports import Journal, MessageSource

_log = logging.getLogger(__name__)

ALIVE = "alive_at"
"""State: when the bot was last online, Unix seconds."""
ALIVE_MARGIN_S = 10.0
"""How far before the present ``ALIVE`` is set: longer than any message takes into the journal."""
DISCORD_EPOCH_MS = 1_420_070_400_000
"""Milliseconds of the first second of 2015, where snowflakes begin (Discord: snowflakes)."""
MOST_CHANNELS = 50
PAGE_MESSAGES = 100
"""Messages per request; Discord's most (Discord: get channel messages)."""
MOST_PAGES = 10
SPACING_S = 0.25
"""Seconds between requests: at most 4 a second."""


def snowflake_at(moment: datetime) -> MessageId:
    """Return the smallest id that a message of this moment can have."""
    return MessageId(max(0, int(moment.timestamp() * 1000) - DISCORD_EPOCH_MS) << 22)


def alive_at(stored: object) -> datetime | None:
    """Read what the state holds under ``ALIVE``."""
    if not isinstance(stored, int | float):
        return None
    return datetime.fromtimestamp(stored, UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel that may hold missed messages.

    Attributes:
        last_message_id: Its newest message as Discord's guild data states it; ``None`` where it
            doesn't, and these channels are looked at last.
    """

    place: Place
    last_message_id: MessageId | None


class Backfill:
    """Scans channels for messages that nobody has handled, and keeps the marks that it begins at.

    Args:
        source: Where messages are read.
        journal: Knows the newest handled message of each channel.
        clock: Time.
        handle: Called with each message found, oldest first; deduplication is the journal's.
        oldest: Messages before this are not looked for.
        alive_at: When the bot was last known to receive messages; ``None`` on a first start, where
            nothing can have been missed.
    """

    def __init__(
        self,
        source: MessageSource,
        journal: Journal,
        clock: Clock,
        handle: Callable[[IncomingMessage], Awaitable[None]],
        oldest: timedelta,
        *,
        alive_at: datetime | None,
    ) -> None:
        self._source = source
        self._journal = journal
        self._clock = clock
        self._handle = handle
        self._oldest = oldest
        self._alive_at = alive_at
        self._first_live: dict[ChannelId, MessageId] | None = {}
        self._newest_live: dict[ChannelId, MessageId] = {}
        self._sessions = 0
        self._scanning = asyncio.Lock()

    def session_began(self, alive_at: datetime | None) -> None:
        """Note a session that replays nothing: a scan is due for what came before it.

        Args:
            alive_at: When the bot last received messages, before this session.
        """
        if self._first_live is None:
            self._alive_at = alive_at
        self._first_live = {}
        self._newest_live = {}
        self._sessions += 1

    async def arrived(self, channel_id: ChannelId, message_id: MessageId) -> None:
        """Note a message that was received and handled; kept back while a scan is due."""
        if self._first_live is None:
            await self._journal.seen(channel_id, message_id)
            return
        first = self._first_live.get(channel_id, message_id)
        self._first_live[channel_id] = min(first, message_id)
        newest = self._newest_live.get(channel_id, message_id)
        self._newest_live[channel_id] = max(newest, message_id)

    async def run(self, candidates: Iterable[Candidate]) -> int:
        """Scan, and return how many messages were handed on; one scan at a time.

        Args:
            candidates: The channels the bot serves.
        """
        async with self._scanning:
            session = self._sessions
            found = await self._scan_all(candidates)
            if session == self._sessions:
                newest, self._newest_live = self._newest_live, {}
                self._first_live = None
                for channel_id, message_id in newest.items():
                    await self._journal.seen(channel_id, message_id)
            return found

    async def _scan_all(self, candidates: Iterable[Candidate]) -> int:
        seen = await self._journal.last_seen()
        if self._alive_at is None and not seen:
            return 0
        floor = snowflake_at(self._clock.now() - self._oldest)
        since = max(floor, snowflake_at(self._alive_at)) if self._alive_at else floor
        due = [
            (candidate, after)
            for candidate in candidates
            if (after := self._start(candidate, seen, since, floor)) is not None
        ]
        due.sort(key=lambda each: each[0].last_message_id is None)
        if len(due) > MOST_CHANNELS:
            _log.warning(
                "looking for missed mentions in %d of %d channels", MOST_CHANNELS, len(due)
            )
        found = 0
        for candidate, after in due[:MOST_CHANNELS]:
            found += await self._scan(candidate.place, after)
        return found

    @staticmethod
    def _start(
        candidate: Candidate,
        seen: dict[ChannelId, MessageId],
        since: MessageId,
        floor: MessageId,
    ) -> MessageId | None:
        """Return the id to read on from; ``None`` when nothing new can be there."""
        known = seen.get(candidate.place.channel_id)
        after = max(known, floor) if known is not None else since
        newest = candidate.last_message_id
        return after if newest is None or newest > after else None

    async def _scan(self, place: Place, after: MessageId) -> int:
        found = 0
        for _ in range(MOST_PAGES):
            page = await self._source.history(place, after=after, limit=PAGE_MESSAGES)
            for message in page:
                if self._came_live(message):
                    return found
                await self._handle(message)
                await self._journal.seen(place.channel_id, message.id)
                found += 1
            await self._clock.sleep(SPACING_S)
            if len(page) < PAGE_MESSAGES:
                break
            after = page[-1].id
        return found

    def _came_live(self, message: IncomingMessage) -> bool:
        """Return whether the session itself brought this message, and so all later ones."""
        first = (self._first_live or {}).get(message.place.channel_id)
        return first is not None and message.id >= first
