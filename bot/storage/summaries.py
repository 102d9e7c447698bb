"""Summaries of what fell out of conversations, kept until one of their messages is gone."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Final

from sqlalchemy import Connection, Row, Select, delete, select

from bot.core.clock import Clock
from bot.core.concerns import Subject
from bot.core.domain import Summary, UserId
from bot.core.errors import StoreError
from bot.core.recent import Recent
from bot.storage.database import Database
from bot.storage.schema import dump_json, summaries, to_ms, upsert

_log = logging.getLogger(__name__)

MOST: Final = 2000
"""Summaries that are kept; the oldest go first."""

MOST_OF_A_CHANNEL: Final = 32

MOST_COVERED: Final = 2000
"""Messages of which it is remembered that a summary was made of them; nothing of those before is left
after so many summaries of summaries."""

MOST_UNSAVED: Final = 10_000
"""What is to be forgotten once the database is back; after that all summaries are, which are only a help."""

_REMEMBERED: Final = 512

_CHANNELS: Final = select(summaries.c.channel_id).distinct()


@dataclass(frozen=True, slots=True)
class _Gone:
    """What is to be forgotten: all that is named must hold of a summary."""

    guild_id: int | None
    channel_id: int | None
    person_id: int | None
    message_ids: frozenset[int] | None

    def hits(self, summary: Summary) -> bool:
        return (
            self.guild_id in {None, summary.guild_id}
            and (self.person_id is None or self.person_id in summary.people)
            and (self._hits_thread(summary) or self._hits_words(summary))
        )

    def _hits_thread(self, summary: Summary) -> bool:
        """Whether a message that is gone began the thread: one number names both."""
        return self.message_ids is not None and summary.channel_id in self.message_ids

    def _hits_words(self, summary: Summary) -> bool:
        ids = (*(each for each, _ in summary.covers), *summary.quoted)
        return self.channel_id in {None, summary.channel_id} and (
            self.message_ids is None or not self.message_ids.isdisjoint(ids)
        )


class SummaryStore:
    """Summaries by channel. Made by ``open``.

    While the database fails none is kept, and what is to be forgotten is forgotten once it is back.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        retention_days: int,
        is_withheld: Callable[[UserId], bool],
    ) -> None:
        self._database = database
        self._is_withheld = is_withheld
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self.channels: set[int] = set()
        """Those that may have summaries, as far as is known."""
        self._numbers = count(1)
        self._gone: Recent[int, _Gone] = Recent(_REMEMBERED)
        self._unsaved: list[_Gone] = []
        self._saving = asyncio.Lock()
        self.moment = 0

    @classmethod
    async def open(
        cls,
        database: Database,
        clock: Clock,
        retention_days: int,
        is_withheld: Callable[[UserId], bool] = lambda _: False,
    ) -> SummaryStore:
        """Learn which channels have summaries; with a database that can't be read, none.

        Args:
            database: Open.
            clock: For ages.
            retention_days: How long a summary is kept.
            is_withheld: Whether a person isn't read when others ask.
        """
        store = cls(database, clock, retention_days, is_withheld)
        with suppress(StoreError):
            await store.reload()
        database.on_recovery(lambda _: store._write_back())
        return store

    async def reload(self) -> None:
        """Learn which channels have summaries by now: another process may have made some.

        Raises:
            StoreError: The database failed.
        """
        found = await self._database.read(lambda c: c.execute(_CHANNELS).scalars().all())
        self.channels.update(found)

    def drop_unfinished(self) -> None:
        """Keep nothing that is in the making: what happens to its messages is told elsewhere now."""
        self.moment = next(self._numbers)

    async def of(self, channel_id: int, asker_id: int) -> list[Summary]:
        """Return the summaries of a channel that somebody's question may read, oldest first."""
        try:
            found = await self._database.read(lambda c: _load(c, channel_id))
        except StoreError:
            return []
        return [
            each
            for each in found
            if not any(gone.hits(each) for gone in self._unsaved)
            and not any(self._is_withheld(UserId(who)) for who in each.people - {asker_id})
        ]

    async def held(self, who: Subject) -> list[Summary]:
        """Return the summaries that are kept of somebody, oldest first.

        Raises:
            StoreError: The database failed.
        """
        concerns = _Gone(who.guild_id, None, who.person_id, None)
        return [each for each in await self._database.read(_load) if concerns.hits(each)]

    async def delete(self, who: Subject) -> None:
        """Forget what is kept of somebody, as ``forget``.

        Raises:
            StoreError: The database failed; it is done once it is back, unless the bot ends before.
        """
        self._take_note(_Gone(who.guild_id, None, who.person_id, None))
        await self._write_back()

    async def keep(self, summary: Summary, moment: int) -> bool:
        """Keep a summary, unless what it was made of has been forgotten meanwhile.

        Args:
            summary: What to keep.
            moment: ``moment`` when its messages were read.
        """
        since = [gone for number, gone in self._gone.items() if number > moment]
        if self.moment - moment > len(since) or any(gone.hits(summary) for gone in since):
            return False
        now = self._clock.now()
        try:
            await self._database.write(
                lambda c: _save(c, summary, to_ms(now), to_ms(now - self._retention))
            )
        except StoreError:
            return False
        self.channels.add(summary.channel_id)
        return True

    async def forget(self, *, channel_id: int, message_ids: Collection[int] | None = None) -> None:
        """Forget summaries of a channel or thread; also one being made.

        Args:
            channel_id: Which one.
            message_ids: Only those that were made of one of these messages.
        """
        ids = None if message_ids is None else frozenset(map(int, message_ids))
        self._take_note(_Gone(None, channel_id, None, ids))
        if not self._database.is_degraded:
            with suppress(StoreError):
                await self._write_back()

    def _take_note(self, gone: _Gone) -> None:
        self.moment = next(self._numbers)
        self._gone[self.moment] = gone
        if len(self._unsaved) >= MOST_UNSAVED:
            self._unsaved = [_Gone(None, None, None, None)]
        else:
            self._unsaved.append(gone)

    async def _write_back(self) -> None:
        async with self._saving:
            waiting = list(self._unsaved)
            if waiting:
                await self._database.write(lambda c: _forget(c, waiting))
                written = set(map(id, waiting))
                self._unsaved = [each for each in self._unsaved if id(each) not in written]


def _load(connection: Connection, channel_id: int | None = None) -> list[Summary]:
    query = select(summaries).order_by(summaries.c.made_at_ms)
    if channel_id is not None:
        query = query.where(summaries.c.channel_id == channel_id)
    found = (_summary(row) for row in connection.execute(query))
    return [summary for summary in found if summary is not None]


def _summary(row: Row[tuple[object, ...]]) -> Summary | None:
    """Return a stored summary; ``None`` where it can't be read: it is only a help."""
    try:
        covers = tuple((int(each), str(mark)) for each, mark in json.loads(row.covers))
        people = frozenset(map(int, json.loads(row.people)))
        text = str(json.loads(row.text))
        quoted = frozenset(map(int, json.loads(row.quoted)))
    except (ValueError, TypeError):
        return None
    if not covers:
        return None
    return Summary(row.guild_id, row.channel_id, covers, people, text, quoted)


def digest(summary: Summary) -> str:
    """Return what tells a summary from all others: of which messages it was made."""
    raw = repr((summary.guild_id, summary.channel_id, summary.covers))
    return hashlib.blake2b(raw.encode(), digest_size=16).hexdigest()


def _save(connection: Connection, summary: Summary, now_ms: int, expired_ms: int) -> None:
    row = {
        "digest": digest(summary),
        "guild_id": summary.guild_id,
        "channel_id": summary.channel_id,
        "covers": json.dumps(summary.covers[-MOST_COVERED:]),
        "quoted": json.dumps(sorted(summary.quoted)),
        "people": json.dumps(sorted(summary.people)),
        "text": dump_json(summary.text, connection),
        "made_at_ms": now_ms,
    }
    upsert(connection, summaries, [row])
    connection.execute(delete(summaries).where(summaries.c.made_at_ms < expired_ms))
    for most, scope in (
        (MOST, summaries.c.digest.is_not(None)),
        (MOST_OF_A_CHANNEL, summaries.c.channel_id == summary.channel_id),
    ):
        newest = select(summaries.c.digest).where(scope).order_by(summaries.c.made_at_ms.desc())
        old = connection.execute(newest.offset(most)).scalars().all()
        connection.execute(delete(summaries).where(summaries.c.digest.in_(old)))


def _forget(connection: Connection, waiting: list[_Gone]) -> None:
    for row in connection.execute(_of_any(waiting)).all():
        summary = _summary(row)
        if summary is None or any(gone.hits(summary) for gone in waiting):
            connection.execute(delete(summaries).where(summaries.c.digest == row.digest))


def _of_any(waiting: list[_Gone]) -> Select[tuple[object, ...]]:
    """Return a query of the summaries that may be meant: of most messages in a server there is none."""
    channels = {each.channel_id for each in waiting}
    channels.update(*(each.message_ids or () for each in waiting))
    if None in channels or len(channels) > MOST:
        return select(summaries)
    return select(summaries).where(summaries.c.channel_id.in_(channels))
