"""When a tenant was paused."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
FILLED = ()


def upgrade() -> None:
    # Replicas of the version before go on writing rows without it.
    op.add_column("tenants", sa.Column("paused_at", sa.BigInteger))
