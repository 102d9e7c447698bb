"""Statements of the journal."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    delete,
    func,
    literal_column,
    select,
)

from bot.core.domain import ChannelId, MessageId, Person, PromptCount, QuestionId
from bot.core.ports import JournalEntry, Outcome, QuestionState
from bot.storage.question_codec import encode, load_question
from bot.storage.schema import (
    asking_messages,
    channels,
    dump_json,
    from_ms,
    insert_new,
    notices,
    posted_messages,
    questions,
    to_ms,
    upsert,
)

_log = logging.getLogger(__name__)

ROW_BYTES: Final = 512
"""What a row takes besides its texts: numbers, indexes, the messages posted, pages half full."""

_COUNT: Final = TypeAdapter(PromptCount)


def insert_entry(connection: Connection, entry: JournalEntry) -> bool:
    """Store a new question; ``False`` if its id is stored already.

    A commit whose confirmation was lost is tried again, and then finds what it stored itself.
    """
    if insert_new(connection, questions, _values(connection, entry)):
        upsert(connection, posted_messages, _posted_rows(entry))
        upsert(connection, asking_messages, _asking_rows(entry))
        return True
    return is_same_acceptance(load_entry(connection, entry.question.id), entry)


def is_same_acceptance(stored: JournalEntry | None, entry: JournalEntry) -> bool:
    """Return whether what is stored is this acceptance itself, and not an earlier one."""
    if stored is None or stored.updated_at is None or entry.updated_at is None:
        return False
    is_untouched = stored.state is QuestionState.ACCEPTED and stored.attempts == 0
    return is_untouched and to_ms(stored.updated_at) == to_ms(entry.updated_at)


def save_entries(connection: Connection, entries: Sequence[JournalEntry]) -> int:
    """Write entries whole, replacing what was stored of them; return how many bytes they take."""
    size = save_texts(connection, entries)
    ids = [entry.question.id for entry in entries]
    connection.execute(delete(posted_messages).where(posted_messages.c.question_id.in_(ids)))
    upsert(connection, posted_messages, [row for each in entries for row in _posted_rows(each)])
    return size


def save_texts(connection: Connection, entries: Sequence[JournalEntry]) -> int:
    """Write entries whose posted messages are stored already; return how many bytes they take."""
    rows = [_values(connection, entry) for entry in entries]
    upsert(connection, questions, rows)
    return sum(row["size_bytes"] for row in rows)


def save_with_asking(connection: Connection, entries: Sequence[JournalEntry]) -> int:
    """Write entries whose acceptance may not be stored; of a message's questions the newest counts."""
    size = save_entries(connection, entries)
    for row in (row for entry in entries for row in _asking_rows(entry)):
        is_older = asking_messages.c.question_id < row["question_id"]
        same = asking_messages.c.message_id == row["message_id"]
        connection.execute(delete(asking_messages).where(same, is_older))
        insert_new(connection, asking_messages, row)
    return size


def _posted_rows(entry: JournalEntry) -> list[dict[str, Any]]:
    return [
        {"message_id": message_id, "question_id": entry.question.id, "ordinal": ordinal}
        for ordinal, message_id in enumerate(entry.posted)
    ]


def _asking_rows(entry: JournalEntry) -> list[dict[str, Any]]:
    question = entry.question
    return [{"message_id": each, "question_id": question.id} for each in question.asked_in]


def load_entry(connection: Connection, question_id: QuestionId) -> JournalEntry | None:
    """Return one entry; ``None`` if it isn't stored, or can't be read."""
    row = connection.execute(select(questions).where(questions.c.id == question_id)).first()
    return None if row is None else _entry(connection, row)


def load_entry_of_message(connection: Connection, message_id: MessageId) -> JournalEntry | None:
    """Return the entry that a posted message belongs to."""
    return _entry_by(connection, posted_messages, message_id)


def load_newest_asked_in(connection: Connection, message_id: MessageId) -> JournalEntry | None:
    """Return the entry of the question that was asked last in a message."""
    return _entry_by(connection, asking_messages, message_id)


def _entry_by(connection: Connection, table: Table, message_id: MessageId) -> JournalEntry | None:
    query = select(table.c.question_id).where(table.c.message_id == message_id)
    question_id = connection.execute(query).scalar()
    return None if question_id is None else load_entry(connection, QuestionId(question_id))


def load_own_lines(
    connection: Connection, message_ids: Sequence[MessageId]
) -> dict[MessageId, str | None]:
    """Return the own lines of the entries that posted messages belong to; unknown ones are left out."""
    found = _of_posted(connection, questions.c.chunks, message_ids)
    return {message_id: _texts(chunks)[1] for message_id, chunks in found}


def load_notices(connection: Connection, message_ids: Sequence[MessageId]) -> set[MessageId]:
    """Return which of these messages are notices."""
    query = select(notices.c.message_id).where(notices.c.message_id.in_(message_ids))
    return {MessageId(message_id) for message_id in connection.execute(query).scalars()}


def save_notices(connection: Connection, message_ids: Sequence[MessageId]) -> None:
    """Store messages as notices."""
    for message_id in message_ids:
        insert_new(connection, notices, {"message_id": message_id})


def load_counts(
    connection: Connection, message_ids: Sequence[MessageId]
) -> dict[MessageId, PromptCount]:
    """Return the counts of the entries that posted messages belong to; unknown ones are left out."""
    found = _of_posted(connection, questions.c.prompt_count, message_ids)
    counts = ((message_id, _count(stored)) for message_id, stored in found)
    return {message_id: count for message_id, count in counts if count is not None}


def _of_posted(
    connection: Connection, column: Column[Any], message_ids: Sequence[MessageId]
) -> Iterator[tuple[MessageId, Any]]:
    """Yield posted messages with a column of the question that each answers."""
    query = select(posted_messages.c.message_id, column).join(
        questions, questions.c.id == posted_messages.c.question_id
    )
    for row in connection.execute(query.where(posted_messages.c.message_id.in_(message_ids))):
        yield MessageId(row[0]), row[1]


def load_askers(
    connection: Connection, message_ids: Sequence[MessageId]
) -> dict[MessageId, Person]:
    """Return who asked the questions with the ids of these messages; unknown ones are left out."""
    query = select(questions.c.id, questions.c.question).where(questions.c.id.in_(message_ids))
    found: dict[MessageId, Person] = {}
    for row in connection.execute(query):
        with suppress(ValueError):
            found[MessageId(row.id)] = load_question(row.question).asker
    return found


def load_pending(connection: Connection, *conditions: ColumnElement[bool]) -> list[JournalEntry]:
    """Return the entries without an outcome, oldest first; unreadable ones are logged."""
    unfinished = [state.value for state in QuestionState if state is not QuestionState.CLOSED]
    return entries_where(connection, questions.c.state.in_(unfinished), *conditions)


def is_of_shard(shard: int, count: int) -> ColumnElement[bool]:
    """Return the condition that a question came by one of so many shards (Discord: gateway, sharding)."""
    return questions.c.guild_id.op(">>")(literal_column("22")) % count == shard


def entries_where(connection: Connection, *conditions: ColumnElement[bool]) -> list[JournalEntry]:
    """Return the entries that meet conditions, oldest first; unreadable ones are logged."""
    query = select(questions).where(*conditions).order_by(questions.c.id)
    entries = (_entry(connection, row) for row in connection.execute(query).all())
    return [entry for entry in entries if entry is not None]


def load_newest(connection: Connection) -> QuestionId:
    """Return the highest id stored; 0 if there is none."""
    return QuestionId(connection.execute(select(func.max(questions.c.id))).scalar() or 0)


def save_channels(
    connection: Connection, newest: Mapping[ChannelId, MessageId], now: datetime
) -> None:
    """Note the newest message of channels."""
    rows = [
        {"channel_id": channel_id, "message_id": message_id, "updated_at_ms": to_ms(now)}
        for channel_id, message_id in newest.items()
    ]
    upsert(connection, channels, rows)


def load_channels(connection: Connection, limit: int) -> dict[ChannelId, MessageId]:
    """Return the newest noted messages of the ``limit`` channels that were active last."""
    query = select(channels).order_by(channels.c.message_id.desc()).limit(limit)
    return {
        ChannelId(row.channel_id): MessageId(row.message_id) for row in connection.execute(query)
    }


def _values(connection: Connection, entry: JournalEntry) -> dict[str, Any]:
    question = entry.question
    texts = {
        "question": dump_json(encode(question), connection),
        "chunks": dump_json({"texts": entry.chunks, "chrome": entry.own_lines}, connection),
        "thinking": dump_json(entry.thinking, connection),
        "details": dump_json(entry.details, connection),
    }
    count = None if entry.count is None else dump_json(asdict(entry.count), connection)
    return {
        **texts,
        "id": question.id,
        "channel_id": question.place.channel_id,
        "state": entry.state.value,
        "outcome": None if entry.outcome is None else entry.outcome.value,
        "attempts": entry.attempts,
        "updated_at_ms": to_ms(entry.updated_at or question.asked_at),
        "asker_id": question.counts_for,
        "guild_id": question.place.guild_id or 0,
        "size_bytes": ROW_BYTES
        + sum(len(text.encode()) for text in (*texts.values(), count or "")),
        "prompt_count": count,
    }


def _entry(connection: Connection, row: Row[Any]) -> JournalEntry | None:
    try:
        chunks, own_lines = _texts(row.chunks)
        return JournalEntry(
            question=load_question(row.question),
            state=QuestionState(row.state),
            attempts=row.attempts,
            posted=_posted(connection, row.id),
            chunks=chunks,
            own_lines=own_lines,
            thinking=str(json.loads(row.thinking)),
            details=str(json.loads(row.details)),
            outcome=None if row.outcome is None else Outcome(row.outcome),
            updated_at=from_ms(row.updated_at_ms),
            count=_count(row.prompt_count),
        )
    except ValueError as exc:
        _log.error("Stored question %d can't be read and is left alone (%s)", row.id, exc)
        return None


def _texts(stored: str) -> tuple[tuple[str, ...], str | None]:
    """Return final texts and own lines, stored as ``chrome``; a plain list of texts has none recorded.

    Raises:
        ValueError: It is neither.
    """
    value = json.loads(stored)
    texts, own_lines = value, None
    if isinstance(value, dict):
        texts, own_lines = value.get("texts"), value.get("chrome")
    if not isinstance(texts, list):
        raise ValueError("no stored texts")  # noqa: TRY004 - the content is wrong, not a type
    return tuple(map(str, texts)), None if own_lines is None else str(own_lines)


def _count(stored: str | None) -> PromptCount | None:
    """Read a stored count; ``None`` for none, and for what can't be read: it is only worth time."""
    if stored is None:
        return None
    try:
        return _COUNT.validate_json(stored)
    except ValidationError:
        return None


def _posted(connection: Connection, question_id: int) -> tuple[MessageId, ...]:
    query = (
        select(posted_messages.c.message_id)
        .where(posted_messages.c.question_id == question_id)
        .order_by(posted_messages.c.ordinal)
    )
    found: Sequence[int] = connection.execute(query).scalars().all()
    return tuple(MessageId(message_id) for message_id in found)
