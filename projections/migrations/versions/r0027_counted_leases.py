"""An index that contains all that a count of an agent's leases compares."""

from alembic import op

from quorate.projections.migrations.columns import only

revision = "0027"
down_revision = "0026"
FILLED = ()


def upgrade() -> None:
    op.drop_index("leases_held", "leases")
    op.create_index(
        "leases_held",
        "leases",
        ["agent_id", "expires_at", "ended_at"],
        postgresql_include=["tenant"],
        **only("ended_at IS NULL"),
    )
