"""Messages of Discord kept in memory, bounded, so that most questions cost no request at all.

Of each channel that was asked about, intervals are known in which no message is missing. A live
interval grows with the gateway's events for as long as the session lasts; what lies before is fetched
a hundred messages at a time, which is what makes a long reply chain cheap after a restart.
"""

from __future__ import annotations

import asyncio
import bisect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bot.core.clock import Clock
from bot.core.domain import ChannelId, IncomingMessage, MessageId, Place, UserId
from bot.core.errors import DeliveryError
from bot.core.recent import Recent
from bot.prompt.attachments.files import has_expired

PAGE: Final = 100
"""Most messages of one request (Discord: get channel messages)."""

_END = 2**64
_MAX_BYTES = 12 * 1024 * 1024
_LEAST_MESSAGES = 2 * PAGE
_MAX_CHANNELS = 500
_MAX_STARTERS = 500
_EVICT = 25
_MAX_FETCHES = 4
_NO_STARTER_S = 600.0


class MessageFetcher(Protocol):
    """Messages of Discord by request."""

    async def fetch_message(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message; ``None`` if it is gone or unreadable."""
        ...

    async def fetch_history(
        self, place: Place, *, before: MessageId | None, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage] | None:
        """Return up to ``limit`` messages, oldest first; ``None`` where the bot may not read.

        Raises:
            DeliveryError: Discord can't say at the moment.
        """
        ...

    async def fetch_starter(self, place: Place) -> IncomingMessage | None:
        """Return the message that a thread began with."""
        ...


@dataclass(slots=True)
class _Interval:
    """All messages with ``low <= id < high``; ``_END`` means that it is live."""

    low: int
    high: int
    ids: list[int] = field(default_factory=list)
    messages: dict[int, IncomingMessage] = field(default_factory=dict)

    def put(self, message: IncomingMessage) -> None:
        if message.id not in self.messages:
            bisect.insort(self.ids, message.id)
        self.messages[message.id] = message

    def remove(self, message_id: int) -> IncomingMessage | None:
        message = self.messages.pop(message_id, None)
        if message is not None:
            self.ids.pop(bisect.bisect_left(self.ids, message_id))
        return message


class _Channel:
    """What is known of one channel."""

    def __init__(self) -> None:
        self.intervals: list[_Interval] = []
        self.lock = asyncio.Lock()
        self.pending: list[IncomingMessage] | None = None

    @property
    def live(self) -> _Interval | None:
        return next((s for s in self.intervals if s.high == _END), None)

    def covering(self, before: int) -> _Interval | None:
        """Return the interval that knows what lies directly before an id."""
        return next((s for s in self.intervals if s.low < before <= s.high), None)

    def find(self, message_id: int) -> IncomingMessage | None:
        for interval in self.intervals:
            if message_id in interval.messages:
                return interval.messages[message_id]
        return None

    def last_before(self, before: int, limit: int) -> tuple[list[IncomingMessage], bool]:
        """Return the last messages known before an id, oldest first, and whether none is missing."""
        interval = self.covering(before)
        if interval is None:
            return [], False
        end = bisect.bisect_left(interval.ids, before)
        ids = interval.ids[max(0, end - limit) : end]
        return [interval.messages[i] for i in ids], len(ids) == limit or interval.low == 0

    def first_after(self, after: int, limit: int) -> list[IncomingMessage] | None:
        """Return the first messages after an id, oldest first; ``None`` if some may be missing."""
        interval = next((s for s in self.intervals if s.low <= after + 1 < s.high), None)
        if interval is None:
            return None
        start = bisect.bisect_right(interval.ids, after)
        ids = interval.ids[start : start + limit]
        if len(ids) < limit and interval.high != _END:
            return None
        return [interval.messages[i] for i in ids]

    def merge(self, low: int, high: int, batch: Iterable[IncomingMessage]) -> None:
        """Take in that these are all messages with ``low <= id < high``."""
        merged = _Interval(low, high)
        apart: list[_Interval] = []
        for interval in self.intervals:
            if interval.low > high or interval.high < low:
                apart.append(interval)
                continue
            merged.low, merged.high = min(merged.low, interval.low), max(merged.high, interval.high)
            for message_id, message in interval.messages.items():
                if not low <= message_id < high:
                    merged.messages[message_id] = message
        for message in batch:
            merged.messages[message.id] = message
        merged.ids = sorted(merged.messages)
        self.intervals = [*apart, merged]


class MessageCache:
    """A ``MessageSource`` over another one's requests, with a bounded memory.

    Args:
        fetcher: Reads from Discord.
        most_messages: How many to keep; 0 keeps none.
        clock: Tells when an attachment's signed address has expired.
    """

    def __init__(self, fetcher: MessageFetcher, most_messages: int, clock: Clock) -> None:
        self._fetcher = fetcher
        self._most = max(most_messages, _LEAST_MESSAGES) if most_messages else 0
        self._clock = clock
        self._channels: OrderedDict[ChannelId, _Channel] = OrderedDict()
        self._starters: Recent[ChannelId, tuple[IncomingMessage | None, float]] = Recent(
            _MAX_STARTERS
        )
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    async def fetch(self, place: Place, message_id: MessageId) -> IncomingMessage | None:
        """Return one message of this place; ``None`` if it is gone or unreadable."""
        channel = self._channels.get(place.channel_id)
        known = channel.find(message_id) if channel else None
        if known and not self._has_expired(known):
            return known if known.place.is_same(place) else None
        message = await self._fetcher.fetch_message(place, message_id)
        if message is None or not message.place.is_same(place):
            return None
        self.edited(message)
        return message

    async def history(
        self,
        place: Place,
        *,
        before: MessageId | None = None,
        after: MessageId | None = None,
        limit: int = 50,
    ) -> Sequence[IncomingMessage]:
        """Return up to ``limit`` (1 to 100) messages of this place, oldest first."""
        limit = max(1, min(PAGE, limit))
        if after is not None:
            try:
                return await self.read_after(place, after, limit)
            except DeliveryError:
                return []
        if self._most == 0:
            return await self._fetch(place, before, limit) or []
        channel = self._channels.setdefault(place.channel_id, _Channel())
        self._channels.move_to_end(place.channel_id)
        async with channel.lock:
            found = await self._before(channel, place, before or _END, limit)
        self._evict()
        return [message for message in found if message.place.is_same(place)]

    async def read_after(
        self, place: Place, after: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage]:
        """Return the first messages of this place after an id, or its newest ones; oldest first.

        Raises:
            DeliveryError: Discord can't say at the moment.
        """
        channel = self._channels.get(place.channel_id)
        known = channel.first_after(after, limit) if channel and after is not None else None
        if known is None:
            known = list(
                await self._fetcher.fetch_history(place, before=None, after=after, limit=limit)
                or []
            )
        return [m for m in known if m.place.is_same(place)]

    async def _fetch(
        self, place: Place, before: MessageId | None, limit: int
    ) -> Sequence[IncomingMessage] | None:
        """Return a page; ``None`` where it can't be had."""
        try:
            return await self._fetcher.fetch_history(place, before=before, after=None, limit=limit)
        except DeliveryError:
            return None

    async def _before(
        self, channel: _Channel, place: Place, before: int, limit: int
    ) -> list[IncomingMessage]:
        for _ in range(_MAX_FETCHES):
            known, is_all = channel.last_before(before, limit)
            if is_all:
                return known
            if channel.live is None:
                is_read = await self._open(channel, place)
            else:
                is_read = await self._extend(channel, place, before)
            if not is_read:
                break
        return channel.last_before(before, limit)[0]

    async def _open(self, channel: _Channel, place: Place) -> bool:
        """Begin the live interval: the newest page, and whatever arrives from now on."""
        channel.pending = []
        try:
            batch = await self._fetch(place, None, PAGE)
            if batch is None:
                return False
            low = batch[0].id if len(batch) >= PAGE else 0
            arrived = {m.id: m for m in (*batch, *channel.pending)}
            self._replace(channel, low, _END, list(arrived.values()))
        finally:
            channel.pending = None
        return True

    async def _extend(self, channel: _Channel, place: Place, before: int) -> bool:
        """Fetch the page before an id, or before the interval that reaches up to it."""
        interval = channel.covering(before)
        high = before if interval is None else interval.low
        batch = await self._fetch(place, MessageId(high) if high < _END else None, PAGE)
        if batch is None:
            return False
        low = batch[0].id if len(batch) >= PAGE else 0
        self._replace(channel, low, high, batch)
        return True

    def _replace(
        self, channel: _Channel, low: int, high: int, batch: Sequence[IncomingMessage]
    ) -> None:
        self._account(channel, -1)
        channel.merge(low, high, batch)
        self._account(channel, 1)

    def _account(self, channel: _Channel, sign: int) -> None:
        for interval in channel.intervals:
            self._count += sign * len(interval.ids)
            self._bytes += sign * sum(map(_weight, interval.messages.values()))

    async def starter(self, place: Place) -> IncomingMessage | None:
        """Return the message that a thread or forum post began with."""
        known, until_s = self._starters.get(place.channel_id, (None, 0.0))
        is_fresh = until_s > self._clock.monotonic()
        if not is_fresh or (known is not None and self._has_expired(known)):
            known = await self._fetcher.fetch_starter(place)
            self._keep_starter(place.channel_id, known)
        return known

    def _keep_starter(self, channel_id: ChannelId, message: IncomingMessage | None) -> None:
        """Remember a thread's first message; that there is none only for a while."""
        until_s = self._clock.monotonic() + _NO_STARTER_S if message is None else float("inf")
        self._starters[channel_id] = (message, until_s)

    def observe(self, message: IncomingMessage) -> None:
        """Take in a message that has just been posted."""
        channel = self._channels.get(message.place.channel_id)
        if channel is None:
            return
        if channel.pending is not None:
            channel.pending.append(message)
        live = channel.live
        if live is not None and message.id >= live.low and message.id not in live.messages:
            live.put(message)
            self._count += 1
            self._bytes += _weight(message)
            self._evict()

    def posted(self, message: IncomingMessage) -> None:
        """Take in a message as the reply to posting or editing it says it stands."""
        self.observe(message)
        self.edited(message)

    def edited(self, message: IncomingMessage) -> None:
        """Take in a message as it now is; unknown ones, and earlier forms of it, are ignored."""
        if ChannelId(int(message.id)) in self._starters:
            self._keep_starter(ChannelId(int(message.id)), message)
        channel = self._channels.get(message.place.channel_id)
        for interval in channel.intervals if channel else ():
            old = interval.messages.get(message.id)
            if old is not None and not _is_earlier(message, old):
                interval.messages[message.id] = message
                self._bytes += _weight(message) - _weight(old)
        if channel is not None and channel.pending is not None:
            channel.pending.append(message)

    def deleted(self, channel_id: ChannelId, message_ids: Iterable[MessageId]) -> None:
        """Drop messages that are gone."""
        channel = self._channels.get(channel_id)
        for message_id in message_ids:
            self._starters.pop(ChannelId(int(message_id)), None)
            for interval in channel.intervals if channel else ():
                old = interval.remove(message_id)
                if old is not None:
                    self._count -= 1
                    self._bytes -= _weight(old)
            if channel is not None and channel.pending is not None:
                channel.pending = [m for m in channel.pending if m.id != message_id]

    def writers_of(self, message: IncomingMessage) -> set[UserId]:
        """Return who wrote a message, and what it forwards, as far as that is kept here."""
        found = {message.author.id}
        if message.forward_of is not None:
            for channel in self._channels.values():
                known = channel.find(message.forward_of)
                found |= set() if known is None else {known.author.id}
        return found

    def kept(self, concerns: Callable[[IncomingMessage], bool]) -> list[IncomingMessage]:
        """Return the messages of a kind that are kept, oldest channel first."""
        held = (
            m for c in self._channels.values() for s in c.intervals for m in s.messages.values()
        )
        return [message for message in held if concerns(message)]

    def forget(self, concerns: Callable[[IncomingMessage], bool]) -> None:
        """Drop all of the channels that hold a message of a kind; they are read anew when needed."""
        found = {message.place.channel_id for message in self.kept(concerns)}
        found |= {
            channel_id
            for channel_id, channel in self._channels.items()
            if any(map(concerns, channel.pending or ()))
        }
        found |= {
            channel_id
            for channel_id, (starter, _) in self._starters.items()
            if starter is not None and concerns(starter)
        }
        for channel_id in found:
            self.channel_gone(channel_id)

    def channel_gone(self, channel_id: ChannelId) -> None:
        """Drop all of a channel."""
        channel = self._channels.pop(channel_id, None)
        if channel is not None:
            self._account(channel, -1)
        self._starters.pop(channel_id, None)

    def session_lost(self) -> None:
        """Keep nothing: events may have been missed, and what was deleted meanwhile may not be read."""
        for channel in self._channels.values():
            self._account(channel, -1)
            channel.intervals = []
        self._starters.clear()

    def _has_expired(self, message: IncomingMessage) -> bool:
        now = self._clock.now()
        return any(has_expired(attachment, now) for attachment in message.attachments)

    def _evict(self) -> None:
        while len(self._channels) > _MAX_CHANNELS:
            self.channel_gone(next(iter(self._channels)))
        while self._count > self._most or self._bytes > _MAX_BYTES:
            channel_id, channel = next(iter(self._channels.items()))
            if not any(interval.ids for interval in channel.intervals):
                self.channel_gone(channel_id)
                continue
            self._drop_oldest(channel)

    def _drop_oldest(self, channel: _Channel) -> None:
        interval = min((s for s in channel.intervals if s.ids), key=lambda s: s.low)
        for message_id in interval.ids[:_EVICT]:
            self._bytes -= _weight(interval.messages.pop(message_id))
        self._count -= len(interval.ids[:_EVICT])
        interval.low = interval.ids[:_EVICT][-1] + 1
        interval.ids = interval.ids[_EVICT:]


def _is_earlier(message: IncomingMessage, known: IncomingMessage) -> bool:
    """Return whether a message is an earlier form of what is known of it."""
    if known.edited_at is None:
        return False
    return message.edited_at is None or message.edited_at < known.edited_at


def _weight(message: IncomingMessage) -> int:
    """Estimate a message's size in memory, in bytes."""
    texts = (message.text, message.poll, *message.embed_texts, *message.forwarded_texts)
    return 900 + 2 * sum(map(len, texts)) + 400 * len(message.attachments)
