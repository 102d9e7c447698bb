"""In which messages each question was asked, so that a message leads to its newest question."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_QUESTIONS = sa.table("questions", sa.column("id"), sa.column("question"))
_BATCH = 500


def upgrade() -> None:
    op.create_table(
        "asking_messages",
        sa.Column("message_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("question_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_asking_messages"),
        sa.ForeignKeyConstraint(
            ["question_id"],
            ["questions.id"],
            name="fk_asking_messages_question_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_asking_messages_question_id", "asking_messages", ["question_id"])
    _note_messages(op.get_bind())


def _note_messages(connection: sa.Connection) -> None:
    """Read the messages of each question, oldest first, so that the newest question stays."""
    insert = sa.text(
        "INSERT INTO asking_messages (message_id, question_id) VALUES (:message, :question) "
        "ON CONFLICT (message_id) DO UPDATE SET question_id = excluded.question_id"
    )
    last = -1
    while True:
        query = sa.select(_QUESTIONS).where(_QUESTIONS.c.id > last)
        rows = connection.execute(query.order_by(_QUESTIONS.c.id).limit(_BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        found = [
            {"message": each, "question": row.id}
            for row in rows
            for each in _messages(row.question)
        ]
        if found:
            connection.execute(insert, found)


def _messages(stored: str) -> list[int]:
    try:
        question = json.loads(stored)
        messages = [*question.get("joined", ()), question.get("message")]
        return [int(each["id"]) for each in messages if each is not None]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def downgrade() -> None:
    op.drop_table("asking_messages")
