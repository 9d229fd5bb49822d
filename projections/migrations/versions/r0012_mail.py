"""Agent mail: bodies beside the log."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0012"
down_revision = "0011"
FILLED = ()


def upgrade() -> None:
    op.create_table(
        "message_bodies",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("message_id", text(64), primary_key=True),
        sa.Column("part", text(64), primary_key=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
