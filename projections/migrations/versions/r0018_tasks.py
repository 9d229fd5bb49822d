"""Tasks that agents hand to workers."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0018"
down_revision = "0017"
FILLED = ("tasks",)


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("spawner_id", text(64), nullable=False),
        sa.Column("preset", text(64), nullable=False),
        sa.Column("state", text(16), nullable=False),
        sa.Column("is_offered", sa.Boolean, nullable=False),
        sa.Column("is_dead_letter", sa.Boolean, nullable=False),
        sa.Column("worker_id", text(64)),
        sa.Column("fence", sa.BigInteger),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("submitted_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("details", text(), nullable=False),
        sqlite_with_rowid=False,
    )
    for name, columns, where in (
        ("tasks_offered", ["tenant", "preset", "sequence"], "is_offered"),
        ("tasks_of_spawner", ["tenant", "spawner_id", "sequence"], None),
        ("tasks_by_sequence", ["tenant", "sequence"], None),
        ("tasks_claimed", ["worker_id"], "worker_id IS NOT NULL"),
        ("tasks_due", ["due_at"], "due_at IS NOT NULL"),
        ("tasks_dead", ["tenant", "sequence"], "is_dead_letter"),
    ):
        only = None if where is None else sa.text(where)
        op.create_index(name, "tasks", columns, sqlite_where=only, postgresql_where=only)
