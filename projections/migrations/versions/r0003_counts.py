"""How many agents, live leases, open requests and keys each tenant has, for its quotas."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0003"
down_revision = "0002"
FILLED = ("counts",)


def upgrade() -> None:
    op.create_table(
        "counts",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("agents", sa.BigInteger, nullable=False),
        sa.Column("live_leases", sa.BigInteger, nullable=False),
        sa.Column("open_requests", sa.BigInteger, nullable=False),
        sa.Column("keys", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
