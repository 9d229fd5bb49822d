"""The mail domains that are assigned to tenants."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0014"
down_revision = "0013"
FILLED = ("mail_domains",)


def upgrade() -> None:
    op.create_table(
        "mail_domains",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("domain", text(253), primary_key=True),
        sa.Column("tenant_id", text(64), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("mail_domains_by_tenant", "mail_domains", ["tenant", "tenant_id"])
