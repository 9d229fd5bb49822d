"""Task lists, their items, and schedules."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0020"
down_revision = "0019"
FILLED = ("task_lists", "list_items", "schedules")


def upgrade() -> None:
    op.create_table(
        "task_lists",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("creator_id", text(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_number", sa.Integer, nullable=False),
        sa.Column("open", text(), nullable=False),
        sa.Column("completed", text(), nullable=False),
        sa.Column("followers", text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "list_items",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("address", text(80), nullable=False),
        sa.Column("list_id", text(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("subject", text(), nullable=False),
        sa.Column("description", text(), nullable=False),
        sa.Column("status", text(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("owner_id", text(64)),
        sa.Column("owner_name", text(64)),
        sa.Column("blocked_by", text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("list_items_by_address", "list_items", ["tenant", "address"], unique=True)
    claimed = sa.text("status = 'in_progress'")
    op.create_index(
        "list_items_claimed",
        "list_items",
        ["owner_id"],
        sqlite_where=claimed,
        postgresql_where=claimed,
    )
    _create_schedules()


def _create_schedules() -> None:
    op.create_table(
        "schedules",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("agent_id", text(64), nullable=False),
        sa.Column("name", text()),
        sa.Column("times", text(), nullable=False),
        sa.Column("tool_controls", text(), nullable=False),
        sa.Column("missed", text(8), nullable=False),
        sa.Column("preset", text(64)),
        sa.Column("session_key", text()),
        sa.Column("preset_names", text(), nullable=False),
        sa.Column("part", text(16), nullable=False),
        sa.Column("sha256", text(64), nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("paused_reason", text(64)),
        sa.Column("fired_count", sa.Integer, nullable=False),
        sa.Column("caught_up", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("schedules_of_agent", "schedules", ["tenant", "agent_id", "id"])
    due = sa.text("next_at IS NOT NULL AND paused_reason IS NULL")
    op.create_index(
        "schedules_due", "schedules", ["next_at"], sqlite_where=due, postgresql_where=due
    )
