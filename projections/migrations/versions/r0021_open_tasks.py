"""How many open tasks each agent has submitted, for a quota."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
FILLED = ("holdings",)


def upgrade() -> None:
    # Replicas of the version before go on writing rows without it.
    added = sa.Column("open_tasks", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("holdings", added)
