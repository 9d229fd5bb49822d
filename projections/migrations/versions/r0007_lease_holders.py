"""Which instance of an agent holds a lease, and the registration under which it was granted."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0007"
down_revision = "0006"
FILLED = ()


def upgrade() -> None:
    # The events of older versions have neither, so null is right for all existing rows.
    op.add_column("leases", sa.Column("holder", text(64)))
    op.add_column("leases", sa.Column("incarnation", sa.BigInteger))
