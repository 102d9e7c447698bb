"""Mentions that came while the bot was away, found again by a bounded scan.

A resumed gateway session replays what was missed; a new one doesn't. Each channel's newest known
message says where to look on from.
"""

from __future__ import annotations

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
DISCORD_EPOCH_MS = 1_420_070_400_000
"""Milliseconds of the first second of 2015, where snowflakes begin (Discord: snowflakes)."""
MOST_CHANNELS = 50
PAGE_MESSAGES = 100
"""Messages per request; Discord's most (Discord: get channel messages)."""
MOST_PAGES = 3
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
        last_message_id: Its newest message as Discord's guild data states it, where known.
    """

    place: Place
    last_message_id: MessageId | None


class Backfill:
    """Scans channels for messages that nobody has handled.

    Args:
        source: Where messages are read.
        journal: Knows the newest handled message of each channel.
        handle: Called with each message found, oldest first; deduplication is the journal's.
        oldest: Messages before this are not looked for.
    """

    def __init__(
        self,
        source: MessageSource,
        journal: Journal,
        clock: Clock,
        handle: Callable[[IncomingMessage], Awaitable[None]],
        oldest: timedelta,
    ) -> None:
        self._source = source
        self._journal = journal
        self._clock = clock
        self._handle = handle
        self._oldest = oldest

    async def run(self, candidates: Iterable[Candidate], *, alive_at: datetime | None) -> int:
        """Scan, and return how many messages were handed on.

        Args:
            candidates: The channels the bot serves.
            alive_at: When the bot was last known to receive messages; ``None`` on a first start,
                where nothing can have been missed.
        """
        seen = await self._journal.last_seen()
        if alive_at is None and not seen:
            return 0
        floor = snowflake_at(self._clock.now() - self._oldest)
        since = max(floor, snowflake_at(alive_at)) if alive_at else floor
        due = [
            (candidate, after)
            for candidate in candidates
            if (after := self._start(candidate, seen, since, floor)) is not None
        ]
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
                await self._handle(message)
            found += len(page)
            await self._clock.sleep(SPACING_S)
            if len(page) < PAGE_MESSAGES:
                break
            after = page[-1].id
        return found
