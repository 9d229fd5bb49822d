"""Sessions, their messages and values, and the bytes that they count in a quota."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0017"
down_revision = "0016"
FILLED = ("counts", "sessions", "session_messages", "session_values")


def upgrade() -> None:
    # Replicas of the version before go on writing rows without it.
    added = sa.Column("session_bytes", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("counts", added)
    _create_sessions()
    _create_session_messages()
    _create_session_values()


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("key", text(200), nullable=False),
        sa.Column("owner_id", text(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("label", text()),
        sa.Column("message_count", sa.BigInteger, nullable=False),
        sa.Column("unread", sa.BigInteger, nullable=False),
        sa.Column("value_count", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("source_id", text(64)),
        sa.Column("first_index", sa.BigInteger, nullable=False),
        sa.Column("branch_count", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("erased_at", sa.BigInteger),
        sa.Column("details", text(), nullable=False),
        sqlite_with_rowid=False,
    )
    where = sa.text("deleted_at IS NULL")
    for name, columns in (
        ("sessions_by_key", ["tenant", "key"]),
        ("sessions_by_owner", ["tenant", "owner_id", "updated_at"]),
        ("sessions_by_update", ["tenant", "updated_at"]),
    ):
        op.create_index(name, "sessions", columns, sqlite_where=where, postgresql_where=where)
    where = sa.text("deleted_at IS NOT NULL AND erased_at IS NULL")
    op.create_index(
        "sessions_unerased", "sessions", ["deleted_at"], sqlite_where=where, postgresql_where=where
    )


def _create_session_messages() -> None:
    op.create_table(
        "session_messages",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("session_id", text(64), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True),
        sa.Column("id", text(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("role", text(16), nullable=False),
        sa.Column("part", text(16), nullable=False),
        sa.Column("sha256", text(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("from_agent_id", text(64)),
        sa.Column("context_label", text()),
        sa.Column("in_reply_to", text(64)),
        sa.Column("model", text()),
        sa.Column("reply_id", text(64)),
        sa.Column("read_at", sa.BigInteger),
        sa.Column("erased_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("session_messages_by_id", "session_messages", ["tenant", "id"], unique=True)
    where = sa.text("erased_at IS NULL")
    op.create_index(
        "session_messages_unerased",
        "session_messages",
        ["tenant", "session_id", "position"],
        sqlite_where=where,
        postgresql_where=where,
    )


def _create_session_values() -> None:
    op.create_table(
        "session_values",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("session_id", text(64), nullable=False),
        sa.Column("namespace", text(64), nullable=False),
        sa.Column("name", text(128), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "session_values_by_name",
        "session_values",
        ["tenant", "session_id", "namespace", "name"],
    )
