"""Statements on all that is kept of one person, or of one server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, select, update

from bot.core.concerns import holds_words_of, without_trace
from bot.core.domain import GuildId, UserId
from bot.core.ports import JournalEntry
from bot.storage.journal_sql import entries_where
from bot.storage.question_codec import encode_question, load_question
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


def entries_of_person(connection: Connection, person_id: UserId, after_id: int) -> Batch:
    """Return the next questions that hold a person's words."""
    window, last_id = _window(connection, after_id)
    found = entries_where(connection, *window, _names(person_id))
    own = [entry for entry in found if holds_words_of(entry.question, person_id)]
    return Batch(last_id, own)


def entries_of_guild(connection: Connection, guild_id: GuildId, after_id: int) -> Batch:
    """Return the next questions that were asked in a server."""
    window, last_id = _window(connection, after_id)
    return Batch(last_id, entries_where(connection, *window, questions.c.guild_id == guild_id))


def forget_person(connection: Connection, person_id: UserId, after_id: int) -> Batch:
    """Delete the next questions that hold a person's words, and their name from those of others.

    One that can't be read and has their number in it is deleted, too.
    """
    window, last_id = _window(connection, after_id)
    query = select(questions.c.id, questions.c.question, questions.c.asker_id)
    own: list[int] = []
    for row in connection.execute(query.where(*window, _names(person_id))).all():
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
            stored = dump_json(encode_question(left), connection)
            values = {"question": stored, "asker_id": left.counts_for}
            connection.execute(update(questions).where(questions.c.id == row.id).values(values))
    delete_questions(connection, own)
    return Batch(last_id, deleted=len(own))


def forget_guild(connection: Connection, guild_id: GuildId, after_id: int) -> Batch:
    """Delete the next questions that were asked in a server."""
    window, last_id = _window(connection, after_id)
    query = select(questions.c.id).where(*window, questions.c.guild_id == guild_id)
    ids = connection.execute(query).scalars().all()
    delete_questions(connection, ids)
    return Batch(last_id, deleted=len(ids))


def guilds_known(connection: Connection) -> set[GuildId]:
    """Return the servers that anything is kept of."""
    found: set[GuildId] = set()
    for table in (questions, settings, setting_changes, summaries):
        column = table.c.guild_id
        rows = connection.execute(select(column).distinct().where(column != 0))
        found |= {GuildId(guild_id) for guild_id in rows.scalars()}
    return found


def _names(person_id: UserId) -> ColumnElement[bool]:
    """Match questions whose stored form has a person's number in it, wherever."""
    return questions.c.question.contains(str(person_id))


def _window(
    connection: Connection, after_id: int
) -> tuple[tuple[ColumnElement[bool], ...], int | None]:
    """Return the conditions of the next stored questions, and the last of them if more follow."""
    is_later = questions.c.id > after_id
    query = select(questions.c.id).where(is_later).order_by(questions.c.id)
    last_id = connection.execute(query.offset(STEP - 1).limit(1)).scalar()
    return (is_later,) if last_id is None else (is_later, questions.c.id <= last_id), last_id
