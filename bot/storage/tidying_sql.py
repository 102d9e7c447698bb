"""Statements of tidying: which ended questions have to go, one batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, case, delete, func, select

from bot.core.ports import QuestionState
from bot.storage.schema import (
    asking_messages,
    channels,
    notices,
    posted_messages,
    questions,
    summaries,
)
from config.settings import StoreSettings

BATCH: Final = 500
BATCH_BYTES: Final = 8 * 1024 * 1024
"""What one transaction deletes at most, which keeps it short."""


ALIKE: Final = 200
"""Persons with half as much as the one who has most, or more, who make room together."""

NOBODY: Final = 0
"""Stands for the guild of a direct message, and for whoever asked what can't be read any more."""

NOTICES: Final = 1_000
"""Notices that are kept, whatever their age: they say nothing of anybody."""

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

    total: int
    guild: int
    person: int
    reserve: int

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
    newest = select(notices.c.message_id).order_by(notices.c.message_id.desc())
    too_many = newest.offset(NOTICES).limit(1).scalar_subquery()
    connection.execute(delete(notices).where(notices.c.message_id <= too_many))
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
