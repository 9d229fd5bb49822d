"""Suspended tenants, the limits of a tenant, and what was added to the log in a day."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0008"
down_revision = "0007"
FILLED = ("daily_usage",)


def upgrade() -> None:
    # Replicas of the version before go on writing rows without them.
    op.add_column("tenants", sa.Column("suspended_at", sa.BigInteger))
    op.add_column("tenants", sa.Column("limits", text()))
    op.create_table(
        "daily_usage",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("owner", text(64), primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
