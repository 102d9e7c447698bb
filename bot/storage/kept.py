"""All that is kept of one person or one server: looked through, and deleted for good."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select

from bot.core.clock import Clock
from bot.core.concerns import Subject, holds_words_of
from bot.core.domain import GuildId, UserId
from bot.core.errors import StoreError
from bot.core.ports import JournalEntry
from bot.storage import kept_sql
from bot.storage.database import Database
from bot.storage.journal import SqlJournal
from bot.storage.postgres import News, announce
from bot.storage.schema import departures, from_ms, opt_outs, to_ms, upsert

_log = logging.getLogger(__name__)

Look = Callable[[Connection, int], kept_sql.Batch]

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

    async def of_person(self, person_id: UserId) -> AsyncGenerator[Sequence[JournalEntry], None]:
        """Yield the stored questions that hold a person's words, some at a time, oldest first.

        Raises:
            StoreError: The database failed.
        """
        async for entries in self._walk(
            lambda c, after_id: kept_sql.entries_of_person(c, person_id, after_id)
        ):
            yield entries

    async def of_guild(self, guild_id: GuildId) -> AsyncGenerator[Sequence[JournalEntry], None]:
        """Yield the stored questions of a server, as ``of_person``.

        Raises:
            StoreError: The database failed.
        """
        async for entries in self._walk(
            lambda c, after_id: kept_sql.entries_of_guild(c, guild_id, after_id)
        ):
            yield entries

    async def _walk(self, look: Look) -> AsyncGenerator[Sequence[JournalEntry], None]:
        after_id: int | None = 0
        while after_id is not None:
            step = await self._database.read(_at(look, after_id))
            if step.entries:
                yield step.entries
            after_id = step.last_id

    def forget_open(self, who: Subject) -> None:
        """Forget open questions in memory, which another process deletes."""
        person_id = who.person_id
        if person_id is None:
            self._journal.forget(lambda question: question.place.guild_id == who.guild_id)
        else:
            self._journal.forget(lambda question: holds_words_of(question, person_id))

    async def reload(self) -> None:
        """Take over what other processes have stored since.

        Raises:
            StoreError: The database failed.
        """
        await self._database.read(self._load)

    async def forget_person(self, person_id: UserId) -> int:
        """Delete a person's questions, and their name in those of others; return how many.

        Raises:
            StoreError: The database failed; some may be deleted.
        """
        return await self._forget(
            lambda c, after_id: kept_sql.forget_person(c, person_id, after_id),
            lambda question: holds_words_of(question, person_id),
        )

    async def forget_guild(self, guild_id: GuildId) -> int:
        """Delete a server's questions; return how many.

        Raises:
            StoreError: The database failed; some may be deleted.
        """
        return await self._forget(
            lambda c, after_id: kept_sql.forget_guild(c, guild_id, after_id),
            lambda question: question.place.guild_id == guild_id,
        )

    async def _forget(self, step: Look, concerns: Callable[..., bool]) -> int:
        if self._database.is_degraded:
            raise StoreError(FAILING)
        self._journal.forget(concerns)
        deleted, after_id = 0, 0
        while True:
            done = await self._database.write(_at(step, after_id))
            deleted += done.deleted
            if done.last_id is None:
                return deleted
            after_id = done.last_id

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


def _at(look: Look, after_id: int) -> Callable[[Connection], kept_sql.Batch]:
    return lambda connection: look(connection, after_id)
