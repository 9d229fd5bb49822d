"""How large a tenant's settings are, and how many live leases each agent has, for quotas."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0005"
down_revision = "0004"
FILLED = ("counts", "holdings")


def upgrade() -> None:
    # Replicas of the version before go on writing rows without it.
    added = sa.Column("settings_bytes", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("counts", added)
    op.create_table(
        "holdings",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("agent_id", text(64), primary_key=True),
        sa.Column("live_leases", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
