"""The expiry of each key, and an index of the keys that expire."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
FILLED = ()


def upgrade() -> None:
    # The keys of older versions have no expiry.
    op.add_column("keys", sa.Column("expires_at", sa.BigInteger))
    expires = sa.text("revoked_at IS NULL AND expires_at IS NOT NULL")
    op.create_index(
        *("keys_by_expiry", "keys", ["expires_at"]),
        sqlite_where=expires,
        postgresql_where=expires,
    )
