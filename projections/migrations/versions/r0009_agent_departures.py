"""The heartbeat window of each agent, and indexes of agents that left and of agents' keys."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
FILLED = ()


def upgrade() -> None:
    # Null for agents that registered before: their events contain no window.
    op.add_column("agents", sa.Column("heartbeat_window", sa.BigInteger))
    inactive = sa.text("status IN ('lapsed', 'deregistered')")
    op.create_index(
        *("agents_inactive", "agents", ["active_until"]),
        sqlite_where=inactive,
        postgresql_where=inactive,
    )
    usable = sa.text("revoked_at IS NULL AND agent_id IS NOT NULL")
    op.create_index(
        *("keys_by_agent", "keys", ["agent_id"]),
        sqlite_where=usable,
        postgresql_where=usable,
    )
