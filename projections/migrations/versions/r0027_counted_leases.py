"""An index that contains all that a count of an agent's leases compares."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
FILLED = ()


def upgrade() -> None:
    live = sa.text("ended_at IS NULL")
    op.drop_index("leases_held", "leases")
    op.create_index(
        "leases_held",
        "leases",
        ["agent_id", "expires_at", "ended_at"],
        sqlite_where=live,
        postgresql_where=live,
        postgresql_include=["tenant"],
    )
