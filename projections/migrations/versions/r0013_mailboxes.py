"""Agent mail: messages, mailboxes, deliveries, accounts, threads, and the size of mailboxes."""

import sqlalchemy as sa
from alembic import op

from quorate.projections.migrations.columns import text

revision = "0013"
down_revision = "0012"
FILLED = ("counts", "messages", "mail_entries", "deliveries", "mail_accounts", "mail_threads")


def upgrade() -> None:
    # Replicas of the version before go on writing rows without it.
    added = sa.Column("mailbox_bytes", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("counts", added)
    _create_messages()
    _create_mail_entries()
    _create_deliveries()
    _create_mail_accounts()
    _create_mail_threads()


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("thread_id", text(64), nullable=False),
        sa.Column("sender_id", text(64)),
        sa.Column("from_address", text(), nullable=False),
        sa.Column("subject", text(), nullable=False),
        sa.Column("kind", text(16)),
        sa.Column("task_id", text(128)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("erase_at", sa.BigInteger),
        sa.Column("erased_at", sa.BigInteger),
        sa.Column("rfc_message_id", text()),
        sa.Column("is_deleted_by_sender", sa.Boolean, nullable=False),
        sa.Column("details", text(), nullable=False),
        sqlite_with_rowid=False,
    )
    _index_messages()


def _index_messages() -> None:
    where = sa.text("rfc_message_id IS NOT NULL")
    op.create_index(
        "messages_by_rfc_id",
        "messages",
        ["tenant", "rfc_message_id"],
        sqlite_where=where,
        postgresql_where=where,
        unique=True,
    )
    op.create_index("messages_by_thread", "messages", ["tenant", "thread_id", "sequence"])
    where = sa.text("erase_at IS NOT NULL AND erased_at IS NULL")
    op.create_index(
        "messages_due", "messages", ["erase_at"], sqlite_where=where, postgresql_where=where
    )
    where = sa.text("sender_id IS NOT NULL AND NOT is_deleted_by_sender")
    op.create_index(
        "messages_sent",
        "messages",
        ["tenant", "sender_id", "sequence"],
        sqlite_where=where,
        postgresql_where=where,
    )


def _create_mail_entries() -> None:
    op.create_table(
        "mail_entries",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("agent_id", text(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("message_id", text(64), nullable=False),
        sa.Column("thread_id", text(64), nullable=False),
        sa.Column("address", text(), nullable=False),
        sa.Column("from_address", text(), nullable=False),
        sa.Column("subject", text(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sender_id", text(64)),
        sa.Column("kind", text(16)),
        sa.Column("task_id", text(128)),
        sa.Column("read_at", sa.BigInteger),
        sa.Column("starred", sa.Boolean, nullable=False),
        sa.Column("acked_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("ack_required", sa.Boolean, nullable=False),
        sa.Column("ack_due_at", sa.BigInteger),
        sa.Column("reminded_at", sa.BigInteger),
        sa.Column("id", text(129), nullable=False),
        sqlite_with_rowid=False,
    )
    _index_mail_entries()


def _index_mail_entries() -> None:
    op.create_index("mail_entries_by_id", "mail_entries", ["tenant", "id"], unique=True)
    where = sa.text("deleted_at IS NULL AND kind IS NOT NULL")
    op.create_index(
        "mail_entries_by_kind",
        "mail_entries",
        ["tenant", "agent_id", "kind", "sequence"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("deleted_at IS NULL")
    op.create_index(
        "mail_entries_by_message",
        "mail_entries",
        ["tenant", "message_id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("deleted_at IS NULL")
    op.create_index(
        "mail_entries_by_sender",
        "mail_entries",
        ["tenant", "agent_id", "from_address", "sequence"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("deleted_at IS NULL AND task_id IS NOT NULL")
    op.create_index(
        "mail_entries_by_task",
        "mail_entries",
        ["tenant", "agent_id", "task_id", "sequence"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("deleted_at IS NULL")
    op.create_index(
        "mail_entries_by_thread",
        "mail_entries",
        ["tenant", "agent_id", "thread_id", "sequence"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("ack_due_at IS NOT NULL")
    op.create_index(
        "mail_entries_due",
        "mail_entries",
        ["ack_due_at"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("deleted_at IS NULL AND read_at IS NULL")
    op.create_index(
        "mail_entries_unread",
        "mail_entries",
        ["tenant", "agent_id", "sequence"],
        sqlite_where=where,
        postgresql_where=where,
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(68), primary_key=True),
        sa.Column("message_id", text(64), nullable=False),
        sa.Column("thread_id", text(64), nullable=False),
        sa.Column("agent_id", text(64), nullable=False),
        sa.Column("address", text(), nullable=False),
        sa.Column("contact_key", text(), nullable=False),
        sa.Column("status", text(16), nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("smtp_code", sa.Integer),
        sa.Column("detail", text()),
        sqlite_with_rowid=False,
    )
    _index_deliveries()


def _index_deliveries() -> None:
    where = sa.text("status IN ('dead_lettered', 'held')")
    op.create_index(
        "deliveries_dead",
        "deliveries",
        ["tenant", "status", "id"],
        sqlite_where=where,
        postgresql_where=where,
    )
    where = sa.text("next_attempt_at IS NOT NULL")
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["next_attempt_at"],
        sqlite_where=where,
        postgresql_where=where,
    )


def _create_mail_accounts() -> None:
    op.create_table(
        "mail_accounts",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("tier", text(16), nullable=False),
        sa.Column("hour", sa.Integer, nullable=False),
        sa.Column("hour_used", sa.Integer, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("day_used", sa.Integer, nullable=False),
        sa.Column("total_sent", sa.BigInteger, nullable=False),
        sa.Column("total_received", sa.BigInteger, nullable=False),
        sa.Column("total_bounced", sa.BigInteger, nullable=False),
        sa.Column("total_complaints", sa.BigInteger, nullable=False),
        sa.Column("unread", sa.BigInteger, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("outcomes", text(100), nullable=False),
        sa.Column("frozen_at", sa.BigInteger),
        sa.Column("frozen_reason", text(16)),
        sa.Column("policy", text()),
        sqlite_with_rowid=False,
    )


def _create_mail_threads() -> None:
    op.create_table(
        "mail_threads",
        sa.Column("tenant", text(64), primary_key=True),
        sa.Column("id", text(64), primary_key=True),
        sa.Column("subject", text(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("addresses", text(), nullable=False),
        sa.Column("agent_ids", text(), nullable=False),
        sqlite_with_rowid=False,
    )
