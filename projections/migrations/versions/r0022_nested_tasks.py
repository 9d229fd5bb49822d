"""The parent of each task, to find the open tasks that were submitted in its run."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import only, text

revision = "0022"
down_revision = "0021"
FILLED = ("tasks",)


def upgrade() -> None:
    # Replicas of the version before go on writing rows without it.
    op.add_column("tasks", sa.Column("parent_id", text(64)))
    nested = "parent_id IS NOT NULL AND ended_at IS NULL"
    op.create_index("tasks_nested", "tasks", ["parent_id"], **only(nested))
