"""The first schema: questions, their posts, channels, settings with their history, state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _questions()
    _settings()
    op.create_table(
        "state",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_state"),
    )


def _questions() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("chunks", sa.Text, nullable=False),
        sa.Column("thinking", sa.Text, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_questions"),
    )
    op.create_index("ix_questions_state_updated_at_ms", "questions", ["state", "updated_at_ms"])
    op.create_table(
        "posted_messages",
        sa.Column("message_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("question_id", sa.BigInteger, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_posted_messages"),
        sa.ForeignKeyConstraint(
            ["question_id"],
            ["questions.id"],
            name="fk_posted_messages_question_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_posted_messages_question_id", "posted_messages", ["question_id"])
    op.create_table(
        "channels",
        sa.Column("channel_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("channel_id", name="pk_channels"),
    )


def _settings() -> None:
    op.create_table(
        "settings",
        sa.Column("layer", sa.String(16), nullable=False),
        sa.Column("scope_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("guild_id", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("changed_by", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("layer", "scope_id", "key", name="pk_settings"),
    )
    op.create_table(
        "setting_changes",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("layer", sa.String(16), nullable=False),
        sa.Column("scope_id", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("guild_id", sa.BigInteger, nullable=False),
        sa.Column("old_value", sa.Text),
        sa.Column("new_value", sa.Text),
        sa.Column("changed_by", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("undoes_id", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_setting_changes"),
    )
    op.create_index("ix_setting_changes_guild_id", "setting_changes", ["guild_id", "id"])


def downgrade() -> None:
    for table in (
        "state",
        "setting_changes",
        "settings",
        "channels",
        "posted_messages",
        "questions",
    ):
        op.drop_table(table)
