"""Keeps what is stored within its bounds, in the background and in small steps."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, select

from bot.core.clock import Clock
from bot.core.errors import StoreError
from bot.core.ports import QuestionState
from bot.storage.database import Database
from bot.storage.schema import (
    asking_messages,
    channels,
    posted_messages,
    questions,
    summaries,
    to_ms,
)
from config import defaults
from config.settings import StoreSettings

BATCH: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024
"""What one transaction deletes at most, which keeps it short."""


ALIKE: Final = 200
"""Persons with half as much as the one who has most, or more, who make room together."""

NOBODY: Final = 0
"""Stands for the guild of a direct message, and for whoever asked what can't be read any more."""

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """What questions may occupy, in bytes as stored.

    Attributes:
        total: All together.
        guild: Those of one guild.
        person: Those of one person.
        reserve: What must stay free on the disk.
    """

    total: int = defaults.MAX_STORED_MIB * MIB
    guild: int = defaults.MAX_STORED_GUILD_MIB * MIB
    person: int = defaults.MAX_STORED_PERSON_MIB * MIB
    reserve: int = defaults.RESERVE_MIB * MIB

    @classmethod
    def of(cls, settings: StoreSettings) -> Bounds:
        """Return the bounds that the operator set."""
        return cls(
            settings.max_mib * MIB,
            settings.max_guild_mib * MIB,
            settings.max_person_mib * MIB,
            settings.reserve_mib * MIB,
        )


def tidy(connection: Connection, bounds: Bounds, expired_ms: int, recent_ms: int) -> int:
    """Delete one batch of what is too old or too much; return how many questions.

    Too old comes first; then the oldest of the person, or guild, that is furthest over its bound;
    then, while all together are too much, the oldest of those who have most. Open questions and
    those of the last minutes stay: a message seen twice must be known as answered.

    Args:
        connection: In a transaction.
        bounds: What may be stored.
        expired_ms: What ended before this moment is too old.
        recent_ms: What ended after this moment stays.
    """
    connection.execute(delete(channels).where(channels.c.updated_at_ms < expired_ms))
    connection.execute(delete(summaries).where(summaries.c.made_at_ms < expired_ms))
    expired = list(_ended_before(connection, expired_ms))
    if expired:
        return delete_questions(connection, expired)
    chosen = _choose(_usage(connection, recent_ms), bounds)
    if chosen is None:
        return 0
    condition, excess = chosen
    return delete_questions(
        connection, list(_ended_before(connection, recent_ms, condition, excess))
    )


def stored_bytes(connection: Connection) -> int:
    """Return the bytes of all stored questions."""
    return int(connection.execute(select(func.sum(questions.c.size_bytes))).scalar() or 0)


@dataclass(frozen=True, slots=True)
class _Usage:
    """What one person stores in one guild, and how much of it may be deleted."""

    asker_id: int
    guild_id: int
    held: int
    old: int


def _usage(connection: Connection, recent_ms: int) -> list[_Usage]:
    is_old = and_(
        questions.c.state == QuestionState.CLOSED.value, questions.c.updated_at_ms < recent_ms
    )
    size = questions.c.size_bytes
    query = select(
        questions.c.asker_id,
        questions.c.guild_id,
        func.sum(size),
        func.sum(case((is_old, size), else_=0)),
    ).group_by(questions.c.asker_id, questions.c.guild_id)
    return [_Usage(row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query)]


def _choose(usage: Sequence[_Usage], bounds: Bounds) -> tuple[ColumnElement[bool], int] | None:
    """Return whose old questions are to go, and how many bytes of them; ``None`` if all is well."""
    persons, guilds = Counter[int](), Counter[int]()
    old_of_person, old_of_guild = Counter[int](), Counter[int]()
    for one in usage:
        persons[one.asker_id] += one.held
        guilds[one.guild_id] += one.held
        old_of_person[one.asker_id] += one.old
        old_of_guild[one.guild_id] += one.old
    for column, held, old, bound in (
        (questions.c.asker_id, persons, old_of_person, bounds.person),
        (questions.c.guild_id, guilds, old_of_guild, bounds.guild),
    ):
        over = {key: size - bound for key, size in held.items() if old[key] and size > bound}
        over.pop(NOBODY, None)
        if over:
            worst = max(over, key=over.__getitem__)
            return column == worst, over[worst]
    excess = persons.total() - bounds.total
    most = max(old_of_person.values(), default=0)
    if excess <= 0 or not most:
        return None
    alike = [key for key, size in old_of_person.most_common(ALIKE) if 2 * size >= most]
    return questions.c.asker_id.in_(alike), excess


def _ended_before(
    connection: Connection,
    moment_ms: int,
    owner: ColumnElement[bool] | None = None,
    excess: int = BATCH_BYTES,
) -> Iterator[int]:
    """Yield the oldest ended questions, as many as are worth the excess, or one batch."""
    query = (
        select(questions.c.id, questions.c.size_bytes)
        .where(
            questions.c.state == QuestionState.CLOSED.value,
            questions.c.updated_at_ms < moment_ms,
        )
        .order_by(questions.c.updated_at_ms)
        .limit(BATCH)
    )
    if owner is not None:
        query = query.where(owner)
    left = min(excess, BATCH_BYTES)
    for question_id, size in connection.execute(query):
        if left <= 0:
            return
        left -= size
        yield question_id


def delete_questions(connection: Connection, ids: Sequence[int]) -> int:
    """Delete questions with all that belongs to them; return how many."""
    for table in (posted_messages, asking_messages):
        connection.execute(delete(table).where(table.c.question_id.in_(ids)))
    connection.execute(delete(questions).where(questions.c.id.in_(ids)))
    return len(ids)


_log = logging.getLogger(__name__)

EVERY_S: Final = 300.0
"""Seconds between looks while little is written."""

EVERY_BYTES: Final = 4 * 1024 * 1024
"""Bytes written between looks; what is stored may exceed a bound by so much."""

RECENT: Final = timedelta(minutes=10)
"""Ended questions that stay in any case: Discord may send their messages again."""

LEAST_BYTES: Final = 8 * 1024 * 1024
"""What ended questions may keep although the disk is nearly full: it isn't they who fill it."""


class Tidying:
    """Deletes ended questions that are too old, or too many for a person, a guild or the disk.

    Args:
        database: Open.
        clock: For ages and intervals.
        retention_days: How long ended questions are kept.
        bounds: How much of them.
    """

    def __init__(
        self, database: Database, clock: Clock, retention_days: int, bounds: Bounds
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._bounds = bounds
        self._written = 0
        self._looked_s: float | None = None
        self._is_running = False

    def wrote(self, size_bytes: int) -> None:
        """Count what was written, and begin to tidy in the background when it is time."""
        self._written += size_bytes
        now_s = self._clock.monotonic()
        is_due = self._looked_s is None or now_s - self._looked_s >= EVERY_S
        if self._is_running or not (is_due or self._written >= EVERY_BYTES):
            return
        self._looked_s, self._written, self._is_running = now_s, 0, True
        self._database.spawn(self._tidy())

    async def _tidy(self) -> None:
        try:
            count = await self._delete()
            if count:
                _log.info("%d ended questions were deleted to make room", count)
            await self._database.reclaim()
        except StoreError as exc:
            _log.debug("tidying was given up: %s", exc)
        finally:
            self._is_running = False

    async def _delete(self) -> int:
        now = self._clock.now()
        expired_ms, recent_ms = to_ms(now - self._retention), to_ms(now - RECENT)
        bounds = await self._bounds_now()
        count = 0
        while step := await self._database.write(lambda c: tidy(c, bounds, expired_ms, recent_ms)):
            count += step
        return count

    async def _bounds_now(self) -> Bounds:
        """Return the bounds in force; where the disk is short of room, less than is stored."""
        bounds = self._bounds
        missing = await self._database.missing_room(bounds.reserve)
        if not missing:
            return bounds
        stored = await self._database.read(stored_bytes)
        return replace(bounds, total=max(LEAST_BYTES, min(bounds.total, stored - missing)))
