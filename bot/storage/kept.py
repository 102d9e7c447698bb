"""All that is kept of one person or one server: looked through, and deleted for good."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, select

from bot.core.clock import Clock
from bot.core.concerns import Subject
from bot.core.domain import GuildId, UserId
from bot.core.errors import StoreError
from bot.core.ports import JournalEntry
from bot.storage import kept_sql
from bot.storage.database import Database
from bot.storage.journal import SqlJournal
from bot.storage.postgres import News, announce
from bot.storage.schema import departures, from_ms, opt_outs, to_ms, upsert

_log = logging.getLogger(__name__)

FAILING: Final = "the database can't be written at the moment"


class KeptData:
    """What people and servers may see, take along and have deleted. Made by ``open``."""

    def __init__(self, database: Database, journal: SqlJournal, clock: Clock) -> None:
        self._opted_out: dict[UserId, datetime] | None = None
        self._left: dict[GuildId, datetime] = {}
        self._database = database
        self._journal = journal
        self._clock = clock

    @classmethod
    async def open(cls, database: Database, journal: SqlJournal, clock: Clock) -> KeptData:
        """Load who isn't to be read, and which servers were left.

        Args:
            database: Open.
            journal: Keeps open questions in memory, over this database.
            clock: For timestamps.
        """
        kept = cls(database, journal, clock)
        try:
            await database.read(kept._load)
        except StoreError as exc:
            _log.error(
                "It isn't known who opted out (%s): only a question's own asker is read", exc
            )
        database.on_recovery(kept._write_back)
        return kept

    # Questions

    async def of(self, who: Subject) -> AsyncGenerator[Sequence[JournalEntry], None]:
        """Yield the stored questions that hold a person's words, or were asked in a server.

        Some come at a time, the oldest first.

        Raises:
            StoreError: The database failed.
        """
        after_id: int | None = 0
        while after_id is not None:
            look = partial(kept_sql.entries_of, who=who, after_id=after_id)
            step = await self._database.read(look)
            if step.entries:
                yield step.entries
            after_id = step.last_id

    def forget_open(self, who: Subject) -> None:
        """Forget open questions in memory, which another process deletes."""
        self._journal.forget(who.has_words_in)

    async def reload(self) -> None:
        """Take over what other processes have stored since.

        Raises:
            StoreError: The database failed.
        """
        await self._database.read(self._load)

    async def forget(self, who: Subject) -> int:
        """Delete a person's or server's questions, and a person's name in others'; return how many.

        Raises:
            StoreError: The database failed; some may be deleted.
        """
        if self._database.is_degraded:
            raise StoreError(FAILING)
        self.forget_open(who)
        deleted = 0
        after_id: int | None = 0
        while after_id is not None:
            step = partial(kept_sql.forget, who=who, after_id=after_id)
            done = await self._database.write(step)
            deleted += done.deleted
            after_id = done.last_id
        return deleted

    async def overwrite_deleted(self) -> bool:
        """See to it that nothing of what was deleted is left in files; ``False`` while that isn't done.

        Raises:
            StoreError: It can't be done.
        """
        return await self._database.overwrite_deleted()

    # Who isn't read

    def is_withheld(self, person_id: UserId) -> bool:
        """Return whether a person's messages aren't read when others ask.

        While it isn't known who opted out, nobody's are.
        """
        return self._opted_out is None or person_id in self._opted_out

    def opted_out_at(self, person_id: UserId) -> datetime | None:
        """Return since when a person is opted out."""
        return (self._opted_out or {}).get(person_id)

    async def opt_out(self, person_id: UserId) -> None:
        """Have a person's messages no longer read when others ask.

        Raises:
            StoreError: That couldn't be kept.
        """
        since = self.opted_out_at(person_id) or self._clock.now()
        row = {"person_id": person_id, "since_ms": to_ms(since)}
        await self._write(lambda c: upsert(c, opt_outs, [row]))
        self._opted_out = {**(self._opted_out or {}), person_id: since}

    async def opt_in(self, person_id: UserId) -> None:
        """Take an opt-out back.

        Raises:
            StoreError: That couldn't be kept.
        """
        await self._write(
            lambda c: c.execute(delete(opt_outs).where(opt_outs.c.person_id == person_id))
        )
        self._opted_out = {k: v for k, v in (self._opted_out or {}).items() if k != person_id}

    # Servers that were left

    async def guilds(self) -> set[GuildId]:
        """Return the servers that anything is kept of.

        Raises:
            StoreError: The database failed.
        """
        return await self._database.read(kept_sql.guilds_known)

    def left_before(self, moment: datetime) -> list[GuildId]:
        """Return the servers that were left before a moment."""
        return [guild_id for guild_id, at in self._left.items() if at <= moment]

    async def left(self, guild_id: GuildId) -> None:
        """Note that the bot is no member of a server any more; the first time counts.

        Raises:
            StoreError: That couldn't be kept.
        """
        if guild_id in self._left:
            return
        at = self._clock.now()
        row = {"guild_id": guild_id, "left_at_ms": to_ms(at)}
        await self._write(lambda c: upsert(c, departures, [row]))
        self._left[guild_id] = at

    async def stays(self, guild_id: GuildId) -> None:
        """Note that the bot is a member of a server, or that nothing is kept of it any more.

        Raises:
            StoreError: That couldn't be kept.
        """
        if guild_id not in self._left:
            return
        await self._write(
            lambda c: c.execute(delete(departures).where(departures.c.guild_id == guild_id))
        )
        self._left.pop(guild_id, None)

    async def _write(self, work: Callable[[Connection], object]) -> None:
        if self._database.is_degraded or self._opted_out is None:
            raise StoreError(FAILING)

        def write(connection: Connection) -> None:
            work(connection)
            announce(connection, News.PEOPLE)

        await self._database.write(write)

    def _load(self, connection: Connection) -> None:
        self._opted_out = {
            UserId(row.person_id): from_ms(row.since_ms)
            for row in connection.execute(select(opt_outs))
        }
        self._left = {
            GuildId(row.guild_id): from_ms(row.left_at_ms)
            for row in connection.execute(select(departures))
        }

    async def _write_back(self, is_fresh: bool) -> None:
        """Write everything to a fresh database, which may have brought some of its own."""
        if not is_fresh and self._opted_out is None:
            await self._database.read(self._load)
        if not is_fresh:
            return
        opted_out = [
            {"person_id": person_id, "since_ms": to_ms(since)}
            for person_id, since in (self._opted_out or {}).items()
        ]
        left = [
            {"guild_id": guild_id, "left_at_ms": to_ms(at)} for guild_id, at in self._left.items()
        ]

        def save(connection: Connection) -> None:
            upsert(connection, opt_outs, opted_out)
            upsert(connection, departures, left)
            self._load(connection)

        await self._database.write(save)
