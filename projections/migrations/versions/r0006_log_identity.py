"""The random id of the log, by which callers notice that their cursors are of another log."""

import sqlalchemy as sa
from alembic import op

from quorate.eventlog.ids import new_log_id
from quorate.projections.migrations.columns import text

revision = "0006"
down_revision = "0005"
FILLED = ()


def upgrade() -> None:
    table = op.create_table(
        "log_identity", sa.Column("id", text(32), primary_key=True), sqlite_with_rowid=False
    )
    op.bulk_insert(table, [{"id": new_log_id()}])
