"""Notices as rows of their own: as one list in ``state``, the process that wrote last undid the others'."""

from __future__ import annotations

import json
from contextlib import suppress

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OLD = "notices"


def upgrade() -> None:
    notices = op.create_table(
        "notices",
        sa.Column("message_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_notices"),
    )
    connection = op.get_bind()
    state = sa.table("state", sa.column("key"), sa.column("value"))
    is_old = state.c.key == _OLD
    listed = connection.execute(sa.select(state.c.value).where(is_old)).scalar()
    with suppress(ValueError, TypeError):  # what can't be read isn't worth a start that fails
        ids = {int(each) for each in json.loads(listed or "[]")}
        op.bulk_insert(notices, [{"message_id": i} for i in sorted(ids)])
    connection.execute(sa.delete(state).where(is_old))


def downgrade() -> None:
    op.drop_table("notices")
