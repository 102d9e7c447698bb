"""Mentions that came while the bot was away, found again by a bounded scan.

A resumed gateway session replays what was missed; a new one doesn't. Each channel's newest known
message says where to look on from. What arrives while the scan is still due must not move that mark.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bot.chat.admission import MENTION_BY_EDIT
from bot.core.clock import Clock
from bot.core.domain import ChannelId, IncomingMessage, MessageId, Place, UserId
from bot.core.errors import DeliveryError, MovedError
from bot.core.ports import Journal, MessageSource, State

_log = logging.getLogger(__name__)

ALIVE = "alive_at"
"""State: when the bot was last online, Unix seconds."""
ALIVE_MARGIN_S = 10.0
"""How far before the present ``ALIVE`` is set: longer than any message takes into the journal."""
BEGUN = "missed_begun"
"""State: what the search for missed messages had in hand, and in how many lives of the process."""
MOST_LIVES = 2
"""Lives that may end while one page is read, or one missed message is being taken up; from then on the
journal counts."""
MOST_BEGUN = 50
"""How much of it is remembered; what others ask meanwhile must not hide what ends the process."""
DM_CHANNELS = "dm_channels"
"""State: the direct-message channels of the last people who asked there, the latest last."""
MOST_DM_CHANNELS = 500
"""Far more than people who write within a scan's look back; with ids of 20 digits some 11 kB of state."""
DECLINED_WITHIN = timedelta(hours=24)
"""Missed mentions that are too old to answer are declined up to this age; older ones are let be."""
DISCORD_EPOCH_MS = 1_420_070_400_000
"""Milliseconds of the first second of 2015, where snowflakes begin (Discord: snowflakes)."""
PAGE_MESSAGES = 100
"""Messages per request; Discord's most (Discord: get channel messages)."""
MOST_PAGES = 1000
"""Requests that one scan spends on one guild, or on all direct-message channels together."""
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
        last_message_id: Its newest message as Discord's guild data states it, which may be out of
            date; ``None`` where it states none, and these channels are looked at last.
    """

    place: Place
    last_message_id: MessageId | None


@dataclass(slots=True)
class _Search:
    """A channel that is being looked through, from ``after`` on.

    Attributes:
        known: The newest message that was handled; up to it only edits are news.
    """

    place: Place
    after: MessageId
    known: MessageId


class ScannedSource(MessageSource, Protocol):
    """Messages of Discord, and what was said in a channel meanwhile."""

    async def read_after(
        self, place: Place, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage]:
        """Return the first messages of a place after an id, or its newest ones; oldest first.

        Raises:
            DeliveryError: Discord can't say at the moment.
        """
        ...


Handle = Callable[[IncomingMessage], Awaitable[None]]
"""Takes a message that was missed; raises ``MovedError`` where another process finds it."""

LookUp = Callable[[ChannelId], Awaitable[Candidate | None]]
"""Looks a channel up that Discord didn't list; ``None`` where there is nothing to look through."""


async def _hand_on_unfinished(page: Sequence[IncomingMessage], handle: Handle) -> None:
    with suppress(MovedError):
        for message in page:
            if message.unfinished is not None:
                await handle(message)


def _replied_to(page: Sequence[IncomingMessage], me: UserId) -> set[MessageId]:
    """Return the messages that the bot has replied to on a page, to the end."""
    own = (m for m in page if m.author.id == me and m.unfinished is None)
    return {m.reference_id for m in own if m.reference_id is not None}


class _Begun:
    """Counts the lives of the process that ended in the middle of something, by its name.

    What was done is taken off the list by the next write: one write does for a page and the next.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._done: set[str] = set()

    @asynccontextmanager
    async def begin(self, name: str) -> AsyncGenerator[bool, None]:
        """Do something inside the ``async with`` block, counted before it begins.

        Yields:
            Whether it may be done: not once ``MOST_LIVES`` ended in the middle of it.
        """
        lives = 0 if name in self._done else _lives(self._state.get(BEGUN)).get(name, 0)
        if lives >= MOST_LIVES:
            _log.warning("%s ended the process each time, so it isn't looked at", name)
            yield False
            return
        try:
            await self._note(name, lives + 1)  # it may be written although this is cut off
            yield True
        except asyncio.CancelledError:
            await self._note(name, lives)
            raise
        self._done.add(name)

    async def forget(self) -> None:
        """Write that what was done is done."""
        if self._done:
            await self._note()

    async def _note(self, name: str = "", lives: int = 0) -> None:
        done = frozenset(self._done)

        def note(stored: object) -> object:
            known = _lives(stored)
            known = {each: count for each, count in known.items() if each not in {name, *done}}
            if lives:
                known[name] = lives
            return dict(list(known.items())[-MOST_BEGUN:]) or None

        await self._state.change(BEGUN, note)
        self._done -= done


def _lives(stored: object) -> dict[str, int]:
    known = stored.items() if isinstance(stored, dict) else ()
    return {str(name): int(lives) for name, lives in known}


class Backfill:
    """Scans channels for messages that nobody has handled, and keeps the marks that it begins at.

    Args:
        source: Where messages are read.
        journal: Knows the newest handled message of each channel.
        state: Knows when the bot last received messages, which a first start can't have missed.
        clock: Time.
        oldest: Messages before this are not looked for.
    """

    def __init__(
        self,
        source: ScannedSource,
        journal: Journal,
        state: State,
        clock: Clock,
        oldest: timedelta,
    ) -> None:
        self._source = source
        self._journal = journal
        self._state = state
        self._clock = clock
        self._oldest = oldest
        self._marks: tuple[str, ...] = (ALIVE,)
        self._alive_at = self._last_alive()
        self.is_caught_up = False
        """No scan is due."""
        self._first_live: dict[ChannelId, MessageId] = {}
        self._newest_live: dict[ChannelId, MessageId] = {}
        self._sessions = 0
        self._is_given_up = False
        self._has_failed = False
        self._scanning = asyncio.Lock()
        self._begun = _Begun(state)

    def _last_alive(self) -> datetime | None:
        """Return when the bot last received messages.

        What a clock that was ahead has noted says nothing: then it is as long ago as may matter.
        """
        noted_of = [alive_at(self._state.get(mark)) for mark in self._marks]
        now = self._clock.now()
        noted = min(filter(None, noted_of), default=alive_at(self._state.get(ALIVE)))
        return noted if noted is None or noted <= now else now - self._oldest

    async def note_alive(self) -> None:
        """Remember that messages are being received, for the next start's look at what it missed.

        A little in the past: what came in the last seconds may not be in the journal yet.
        """
        for mark in self._marks:
            await self._state.set(mark, self._clock.now().timestamp() - ALIVE_MARGIN_S)

    def share(self, shards: Collection[int]) -> None:
        """Receive the messages of some shards only from now on, and remember of each since when.

        Where one comes, a scan that is under way is given up: the one that looks at the new shard, too,
        looks at everything, and what people wait for there is taken up first.
        """
        is_due = not self.is_caught_up and self._marks != (ALIVE,)
        before = self._alive_at if is_due else None
        marks = tuple(f"{ALIVE}:{shard}" for shard in sorted(shards))
        self._is_given_up = self._is_given_up or not set(marks) <= set(self._marks)
        self._marks = marks
        self._alive_at = min(filter(None, (before, self._last_alive())), default=None)

    @property
    def dm_channels(self) -> list[ChannelId]:
        """The direct-message channels of the last people who asked there, the latest last."""
        stored = self._state.get(DM_CHANNELS)
        return [ChannelId(int(i)) for i in stored] if isinstance(stored, list) else []

    async def remember_dms(self, *newest: ChannelId) -> None:
        """Remember direct-message channels, since Discord doesn't list them at a start."""
        kept = [i for i in self.dm_channels if i not in newest] + [*newest]
        await self._keep_dms(kept[-MOST_DM_CHANNELS:])

    async def forget_dms(self, channel_ids: Collection[ChannelId]) -> None:
        """Forget direct-message channels: a message that is missed there isn't found any more."""
        await self._keep_dms([i for i in self.dm_channels if i not in channel_ids])

    async def _keep_dms(self, channel_ids: list[ChannelId]) -> None:
        """Keep a list, if this process is told of direct messages: what others know of them is old."""
        is_told = self._marks == (ALIVE,) or f"{ALIVE}:0" in self._marks
        if is_told and channel_ids != self.dm_channels:
            await self._state.set(DM_CHANNELS, channel_ids)

    @asynccontextmanager
    async def taking(self, message_id: MessageId) -> AsyncGenerator[bool, None]:
        """Take up a missed message inside the ``async with`` block, counted until it is stored.

        Yields:
            Whether it may be: the process has not died in the middle of that time and again.
        """
        async with self._begun.begin(f"message {message_id}") as may_take:
            yield may_take
        await self._begun.forget()

    async def session_began(self) -> None:
        """Note a session that replays nothing: a scan is due for what came before it."""
        alive = self._last_alive()
        if self.is_caught_up:
            self._alive_at = alive
        self._first_live, self._newest_live = {}, {}
        self.server_returned()
        if alive is None:
            await self.note_alive()

    def server_returned(self) -> None:
        """Note a server of which nothing was told for a while: a scan is due, and until then no mark moves."""
        self.is_caught_up = False
        self._sessions += 1

    def keep_back(self, channel_id: ChannelId, message_id: MessageId) -> None:
        """Note a message that was received and handled while a scan is due: the mark moves after that."""
        first = self._first_live.get(channel_id, message_id)
        self._first_live[channel_id] = min(first, message_id)
        newest = self._newest_live.get(channel_id, message_id)
        self._newest_live[channel_id] = max(newest, message_id)

    async def run(
        self,
        candidates: Iterable[Candidate],
        handle: Handle,
        me: UserId,
        look_up: LookUp | None = None,
    ) -> int:
        """Scan, and return how many messages were handed on; one scan at a time.

        Args:
            candidates: The channels the bot serves.
            handle: Called with each message found, oldest first; deduplication is the journal's.
            me: The bot's own user: what it has replied to is answered, although an older database
                that was put back doesn't know it.
            look_up: Finds those of other channels, active lately, that can be looked into, too.
        """
        async with self._scanning:
            session, listed = self._sessions, list(candidates)
            self._is_given_up = self._has_failed = False
            try:
                found = await self._scan_all(listed, handle, me)
                if look_up is not None:
                    others = await self._look_up(await self._others(listed), look_up)
                    found += await self._scan_all(others, handle, me)
            finally:  # an end in order between two pages is no death over either
                await self._begun.forget()
            is_whole = not (self._is_given_up or self._has_failed)
            if is_whole and session == self._sessions:
                newest, self._first_live, self._newest_live = self._newest_live, {}, {}
                self.is_caught_up = True
                for channel_id, message_id in newest.items():
                    await self._journal.seen(channel_id, message_id)
                await self.note_alive()
            return found

    async def _others(self, listed: Iterable[Candidate]) -> list[ChannelId]:
        """Return further channels with a known message not too old to look on from, latest first."""
        known = {each.place.channel_id for each in listed}
        floor = snowflake_at(self._clock.now() - self._oldest)
        seen = await self._journal.last_seen()
        others = (i for i, newest in seen.items() if newest >= floor and i not in known)
        return sorted(others, key=lambda i: -seen[i])

    async def _look_up(self, channel_ids: Iterable[ChannelId], look_up: LookUp) -> list[Candidate]:
        found: list[Candidate] = []
        for channel_id in channel_ids:
            if self._is_given_up:
                break
            candidate = await look_up(channel_id)
            if candidate is not None:
                found.append(candidate)
        return found

    async def _scan_all(self, candidates: Iterable[Candidate], handle: Handle, me: UserId) -> int:
        """Look through all channels due, one page of each guild in turn.

        So a guild with much to read delays the others by its share only, and nobody's mentions are
        given up because of it.
        """
        seen = await self._journal.last_seen()
        if self._alive_at is None and not seen:
            await self._look_for_unfinished(candidates, handle)
            return 0
        turns = deque(self._due(candidates, seen).values())
        pages = dict.fromkeys(map(id, turns), 0)
        found = 0
        while turns and not self._is_given_up:
            searches = turns.popleft()
            search = searches.popleft()
            pages[id(searches)] += 1
            page = await self._read(search.place, search.after)
            count, is_over = await self._take(search, page, handle, me)
            found += count
            if not is_over:
                searches.append(search)
            if pages[id(searches)] >= MOST_PAGES and searches:
                where = (
                    f"server {search.place.guild_id}"
                    if search.place.guild_id
                    else "direct messages"
                )
                _log.warning("too much to look through for missed mentions in %s", where)
            elif searches:
                turns.append(searches)
            if turns:
                await self._clock.sleep(SPACING_S)
        return found

    async def _look_for_unfinished(self, candidates: Iterable[Candidate], handle: Handle) -> None:
        """Look for answers that a life before was writing: a first start may follow a lost database."""
        floor = snowflake_at(self._clock.now() - self._oldest)
        active = [each for each in candidates if (each.last_message_id or 0) >= floor]
        for each in sorted(active, key=lambda each: -(each.last_message_id or 0)):
            await self.hand_on_unfinished(each.place, handle)
            await self._clock.sleep(SPACING_S)

    async def hand_on_unfinished(self, place: Place, handle: Handle) -> None:
        """Hand on the messages among a channel's newest that look as if they were being written."""
        await _hand_on_unfinished(await self._read(place, None), handle)

    async def _read(self, place: Place, after: MessageId | None) -> Sequence[IncomingMessage]:
        """Return the next page of a channel, or its newest; nothing of one that the process died over twice.

        Nor of one that Discord can't show at the moment: then a scan stays due.
        """
        async with self._begun.begin(f"page {place.channel_id} {after or 'newest'}") as may_read:
            if not may_read:
                return ()
            try:
                return await self._source.read_after(place, after, PAGE_MESSAGES)
            except DeliveryError:
                self._has_failed = True
                return ()

    def _due(
        self, candidates: Iterable[Candidate], seen: dict[ChannelId, MessageId]
    ) -> dict[int, deque[_Search]]:
        """Return what to look through, by guild: first where Discord states news, last where nothing.

        All direct messages are one group: however many people write, no guild waits longer for it.
        """
        floor = snowflake_at(self._clock.now() - self._oldest)
        since = max(floor, snowflake_at(self._alive_at)) if self._alive_at else floor
        edited = snowflake_at(self._alive_at - MENTION_BY_EDIT) if self._alive_at else since
        due: dict[int, deque[_Search]] = {}
        for each in sorted(candidates, key=lambda each: -(each.last_message_id or 0)):
            after = self._start(each, seen.get(each.place.channel_id), since, floor)
            if after is not None:
                key = each.place.guild_id or 0
                due.setdefault(key, deque()).append(_Search(each.place, min(after, edited), after))
        return due

    @staticmethod
    def _start(
        candidate: Candidate, known: MessageId | None, since: MessageId, floor: MessageId
    ) -> MessageId | None:
        """Return the id to read on from; ``None`` when nothing new can be there.

        What Discord states as the newest message may be out of date, so a channel that was active
        lately is looked at whatever is stated.
        """
        after = max(known, floor) if known is not None else since
        newest = candidate.last_message_id
        if newest is None:
            return after
        return after if max(newest, known or newest) >= floor else None

    async def _take(
        self, search: _Search, page: Sequence[IncomingMessage], handle: Handle, me: UserId
    ) -> tuple[int, bool]:
        """Hand on a page's messages; return how many, and whether the channel is done.

        What was being written for a question comes before that question, which is then asked anew.
        """
        await _hand_on_unfinished(page, handle)
        answered = _replied_to(page, me)
        for count, message in enumerate(page):
            if self._came_live(message):
                return count, True
            is_new = message.id > search.known and message.id not in answered
            is_news = is_new or self._is_edited_since(message)
            if is_news and message.unfinished is None:
                try:
                    await handle(message)
                except MovedError:  # seen here, it would be missed there
                    return count, True
            await self._journal.seen(search.place.channel_id, message.id)
            search.after = message.id
        return len(page), len(page) < PAGE_MESSAGES

    def _is_edited_since(self, message: IncomingMessage) -> bool:
        """Return whether a message that was seen was edited while nobody listened, and soon enough."""
        edited_at, alive_at = message.edited_at, self._alive_at
        if edited_at is None or alive_at is None:
            return False
        return alive_at <= edited_at <= message.created_at + MENTION_BY_EDIT

    def _came_live(self, message: IncomingMessage) -> bool:
        """Return whether the session itself brought this message, and so all later ones."""
        first = self._first_live.get(message.place.channel_id)
        return first is not None and message.id >= first
