"""Statements on all that is kept of one person, or of one server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, select, update

from bot.core.concerns import Subject, holds_words_of, without_trace
from bot.core.domain import GuildId, UserId
from bot.core.ports import JournalEntry
from bot.storage.journal_sql import entries_where
from bot.storage.question_codec import encode, load_question
from bot.storage.schema import dump_json, questions, setting_changes, settings, summaries
from bot.storage.tidying_sql import delete_questions

STEP: Final = 2_000
"""Stored questions that one statement looks through, which keeps it short."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How far a walk through the stored questions came.

    Attributes:
        last_id: The last question looked at; ``None`` at the end.
        entries: What was found.
        deleted: How many were deleted.
    """

    last_id: int | None
    entries: Sequence[JournalEntry] = ()
    deleted: int = 0


def entries_of(connection: Connection, who: Subject, after_id: int) -> Batch:
    """Return the next questions that hold a person's words, or were asked in a server."""
    window, last_id = _window(connection, after_id)
    found = entries_where(connection, *window, _may_concern(who))
    return Batch(last_id, [entry for entry in found if who.has_words_in(entry.question)])


def forget(connection: Connection, who: Subject, after_id: int) -> Batch:
    """Delete the next of these questions, and a person's name from those of others."""
    window, last_id = _window(connection, after_id)
    conditions = (*window, _may_concern(who))
    if who.person_id is None:
        ids = connection.execute(select(questions.c.id).where(*conditions)).scalars().all()
    else:
        ids = _without_trace(connection, who.person_id, conditions)
    return Batch(last_id, deleted=delete_questions(connection, ids))


def _without_trace(
    connection: Connection, person_id: UserId, conditions: Sequence[ColumnElement[bool]]
) -> Sequence[int]:
    """Take a person's name from others' questions; return those with words of theirs.

    One that can't be read and has their number in it is among these, too.
    """
    query = select(questions.c.id, questions.c.question, questions.c.asker_id)
    own: list[int] = []
    for row in connection.execute(query.where(*conditions)).all():
        try:
            question = load_question(row.question)
        except ValueError:
            own.append(row.id)
            continue
        if holds_words_of(question, person_id):
            own.append(row.id)
            continue
        left = without_trace(question, person_id)
        if left != question:
            stored = dump_json(encode(left), connection)
            values = {"question": stored, "asker_id": left.counts_for}
            connection.execute(update(questions).where(questions.c.id == row.id).values(values))
    return own


def guilds_known(connection: Connection) -> set[GuildId]:
    """Return the servers that anything is kept of."""
    found: set[GuildId] = set()
    for table in (questions, settings, setting_changes, summaries):
        column = table.c.guild_id
        rows = connection.execute(select(column).distinct().where(column != 0))
        found |= {GuildId(guild_id) for guild_id in rows.scalars()}
    return found


def _may_concern(who: Subject) -> ColumnElement[bool]:
    """Match a server's questions, or those whose stored form has a person's number in it, wherever."""
    if who.person_id is None:
        return questions.c.guild_id == who.guild_id
    return questions.c.question.contains(str(who.person_id))


def _window(
    connection: Connection, after_id: int
) -> tuple[tuple[ColumnElement[bool], ...], int | None]:
    """Return the conditions of the next stored questions, and the last of them if more follow."""
    is_later = questions.c.id > after_id
    query = select(questions.c.id).where(is_later).order_by(questions.c.id)
    last_id = connection.execute(query.offset(STEP - 1).limit(1)).scalar()
    return (is_later,) if last_id is None else (is_later, questions.c.id <= last_id), last_id
