"""Sessions and login links of the console."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0023"
down_revision = "0022"
FILLED = ()


def upgrade() -> None:
    op.create_table(
        "console_sessions",
        sa.Column("secret_hash", text(64), primary_key=True),
        sa.Column("kind", text(16), nullable=False),
        sa.Column("key_id", text(64), nullable=False),
        sa.Column("tenant", text(64), nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("console_sessions_by_end", "console_sessions", ["ends_at"])
    op.create_index("console_sessions_of_key", "console_sessions", ["key_id", "ends_at"])
