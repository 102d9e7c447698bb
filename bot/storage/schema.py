"""The tables. The same for SQLite and PostgreSQL; ``migrations/versions`` builds them step by step.

Times are whole milliseconds since 1970 in UTC, which both databases store and compare alike. JSON
escapes what a database wouldn't take (NUL, lone surrogates; on PostgreSQL, whose encoding is its
owner's choice, everything beyond ASCII), so that any character that a person or a model writes survives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    text,
)

HEAD: Final = "0007"
"""The newest revision in ``migrations/versions``; a test compares the two."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

questions = Table(
    "questions",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("attempts", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("chunks", Text, nullable=False),
    Column("thinking", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    Column("asker_id", BigInteger, nullable=False, server_default=text("0")),
    Column("guild_id", BigInteger, nullable=False, server_default=text("0")),
    Column("size_bytes", Integer, nullable=False, server_default=text("0")),
    Column("prompt_count", Text),
    # All that tidying asks about, so that it need not touch the texts.
    Index(
        "ix_questions_state_updated_at_ms",
        "state",
        "updated_at_ms",
        "asker_id",
        "guild_id",
        "size_bytes",
    ),
)

posted_messages = Table(
    "posted_messages",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "question_id", BigInteger, ForeignKey("questions.id", ondelete="CASCADE"), nullable=False
    ),
    Column("ordinal", Integer, nullable=False),
    Index("ix_posted_messages_question_id", "question_id"),
)

asking_messages = Table(
    "asking_messages",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
    Column(
        "question_id", BigInteger, ForeignKey("questions.id", ondelete="CASCADE"), nullable=False
    ),
    Index("ix_asking_messages_question_id", "question_id"),
)
"""The question that was asked last in a message: by writing it, editing it, or Regenerate."""

channels = Table(
    "channels",
    metadata,
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("layer", String(16), primary_key=True),
    Column("scope_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(64), primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("value", Text, nullable=False),
    Column("changed_by", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

setting_changes = Table(
    "setting_changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("layer", String(16), nullable=False),
    Column("scope_id", BigInteger, nullable=False),
    Column("key", String(64), nullable=False),
    Column("guild_id", BigInteger, nullable=False),
    Column("old_value", Text),
    Column("new_value", Text),
    Column("changed_by", BigInteger, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    Column("undoes_id", Integer),
    Index("ix_setting_changes_guild_id", "guild_id", "id"),
)

state = Table(
    "state",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

opt_outs = Table(
    "opt_outs",
    metadata,
    Column("person_id", BigInteger, primary_key=True, autoincrement=False),
    Column("since_ms", BigInteger, nullable=False),
)
"""People whose messages aren't read when others ask."""

departures = Table(
    "departures",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("left_at_ms", BigInteger, nullable=False),
)
"""Servers that the bot is no member of any more, and whose data isn't deleted yet."""

summaries = Table(
    "summaries",
    metadata,
    Column("digest", String(32), primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("covers", Text, nullable=False),
    Column("quoted", Text, nullable=False),
    Column("people", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Index("ix_summaries_channel_id", "channel_id"),
)
"""What stands in for messages that fell out of a conversation: of which messages it was made, and whose."""

notices = Table(
    "notices",
    metadata,
    Column("message_id", BigInteger, primary_key=True, autoincrement=False),
)
"""The newest messages that the bot posted outside of any question."""


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def dump_json(value: object, connection: Connection) -> str:
    """Return a value as JSON, in the shortest form that this database takes."""
    if connection.dialect.name != "sqlite":
        return json.dumps(value)
    written = json.dumps(value, ensure_ascii=False)
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def to_ms(moment: datetime) -> int:
    """Return a moment as whole milliseconds since 1970, UTC."""
    return round(moment.timestamp() * 1000)


def from_ms(moment_ms: int) -> datetime:
    """Return the moment of so many milliseconds since 1970, UTC."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC)


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, all of the same columns; where the primary key is taken, replace its values."""
    if rows:
        connection.execute(_insert(table, tuple(rows[0]), replaces=True), list(rows))


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Insert a row unless its primary key is taken; return whether it was inserted."""
    statement = _insert(table, tuple(row), replaces=False)
    return connection.execute(statement, row).rowcount == 1


@cache
def _insert(table: Table, columns: tuple[str, ...], *, replaces: bool) -> TextClause:
    """Return an INSERT with ON CONFLICT, which SQLite and PostgreSQL write alike.

    SQLAlchemy's own constructs for it are compiled anew at each use, at a millisecond each.
    """
    keys = [column.name for column in table.primary_key]
    new = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in keys)
    action = f"DO UPDATE SET {new}" if replaces else "DO NOTHING"
    values = ", ".join(f":{name}" for name in columns)
    return text(
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({values}) "  # noqa: S608 - names are this module's own
        f"ON CONFLICT ({', '.join(keys)}) {action}"
    )
