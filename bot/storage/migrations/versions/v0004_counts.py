"""How long each prompt and its answer are, as the server counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("questions", sa.Column("prompt_count", sa.Text))


def downgrade() -> None:
    op.drop_column("questions", "prompt_count")
