"""Find the tasks of one state, and those that have ended."""

from alembic import op

from quorate.projections.migrations.columns import only

revision = "0024"
down_revision = "0023"
FILLED = ()


def upgrade() -> None:
    for name, columns, condition in (
        ("tasks_open", ["tenant", "state", "sequence"], "ended_at IS NULL"),
        ("tasks_ended", ["tenant", "sequence"], "ended_at IS NOT NULL"),
    ):
        op.create_index(name, "tasks", columns, **only(condition))
