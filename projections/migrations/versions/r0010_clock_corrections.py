"""How far the time of the log differs from the clock of the database, for all processes."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
FILLED = ()


def upgrade() -> None:
    op.create_table(
        "clock_corrections",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("wall", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
