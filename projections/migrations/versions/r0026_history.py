"""The history of the read models, and an index of the mailboxes with unread messages.

The tables of the history are not written here: they have the columns of the read models, which
later revisions change. ``upgrade.py`` creates them after the last revision, from the current read
models, and the service fills them in the background.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
FILLED = ()


def upgrade() -> None:
    unread = sa.text("unread > 0")
    op.create_index(
        "mail_accounts_unread",
        "mail_accounts",
        ["tenant"],
        sqlite_where=unread,
        postgresql_where=unread,
    )
