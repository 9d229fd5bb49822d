"""Presets, and the preset that an API key is bound to."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0016"
down_revision = "0015"
FILLED = ("presets",)


def upgrade() -> None:
    op.add_column("keys", sa.Column("preset", text(64)))
    op.create_table(
        "presets",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("fields", text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
