"""Whose a question is and how much room it takes, so that both can be bounded."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = (("asker_id", sa.BigInteger), ("guild_id", sa.BigInteger), ("size_bytes", sa.Integer))

_INDEX = "ix_questions_state_updated_at_ms"

_QUESTIONS = sa.table("questions", *(sa.column(name) for name in ("id", "question", "size_bytes")))
_BATCH = 500


def upgrade() -> None:
    for name, kind in _COLUMNS:
        op.add_column(
            "questions", sa.Column(name, kind, nullable=False, server_default=sa.text("0"))
        )
    op.execute(
        "UPDATE questions SET size_bytes = length(question) + length(chunks) + length(thinking) "
        "+ length(details)"
    )
    _note_owners(op.get_bind())
    op.drop_index(_INDEX, "questions")
    op.create_index(_INDEX, "questions", ["state", "updated_at_ms", *(n for n, _ in _COLUMNS)])


def _note_owners(connection: sa.Connection) -> None:
    """Read whose each question is, here and not in SQL: databases refuse some of what JSON escapes."""
    update = sa.text("UPDATE questions SET asker_id = :asker, guild_id = :guild WHERE id = :id")
    last = -1
    while True:
        query = sa.select(_QUESTIONS.c.id, _QUESTIONS.c.question).where(_QUESTIONS.c.id > last)
        rows = connection.execute(query.order_by(_QUESTIONS.c.id).limit(_BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        found = [{"id": row.id, **_owners(row.question)} for row in rows]
        connection.execute(update, found)


def _owners(stored: str) -> dict[str, int]:
    try:
        question = json.loads(stored)
        asker, guild = question["asker"]["id"], question["place"].get("guild_id") or 0
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"asker": 0, "guild": 0}
    return {"asker": int(asker), "guild": int(guild)}


def downgrade() -> None:
    op.drop_index(_INDEX, "questions")
    op.create_index(_INDEX, "questions", ["state", "updated_at_ms"])
    for name, _ in _COLUMNS:
        op.drop_column("questions", name)
