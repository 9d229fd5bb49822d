"""Which agents each event notifies, and which agents contend for a lease."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import only, text

revision = "0002"
down_revision = "0001"
FILLED = ("leases", "notices")


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("agent_id", text(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.add_column("leases", sa.Column("contenders", text()))
    _repair_early_indexes()


def _repair_early_indexes() -> None:
    """Data folders of the first release's first days lack one of them, and have another by a key
    that SQLite passes over.
    """
    op.drop_index("leases_held", "leases")
    op.create_index("leases_held", "leases", ["agent_id"], **only("ended_at IS NULL"))
    by_tenant = [sa.text("(tenant || '')")]
    active = only("status = 'active'")
    op.create_index("agents_active", "agents", by_tenant, if_not_exists=True, **active)
