"""Read model of mailboxes: the entries of each agent, in the order of their messages.

The primary key is the order of an inbox, so a page of it is one range, however large it is. Each
filter of the inbox has an index of its own.
"""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, select

from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES as AGGREGATE
from quorate.domain.mail.mailbox_entries import MailEntry
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Due, Find, LookupPlan, Owned, Repository, matching

_KEPT = sql("deleted_at IS NULL")
_UNREAD = sql("deleted_at IS NULL AND read_at IS NULL")
_TASKS = sql("deleted_at IS NULL AND task_id IS NOT NULL")
_KINDS = sql("deleted_at IS NULL AND kind IS NOT NULL")
_ACK_DUE = sql("ack_due_at IS NOT NULL")

TABLE = Table(
    "mail_entries",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("agent_id", text(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("message_id", text(64), nullable=False),
    Column("thread_id", text(64), nullable=False),
    Column("address", text(), nullable=False),
    Column("from_address", text(), nullable=False),
    Column("subject", text(), nullable=False),
    Column("delivered_at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sender_id", text(64)),
    Column("kind", text(16)),
    Column("task_id", text(128)),
    Column("read_at", BigInteger),
    Column("starred", Boolean, nullable=False),
    Column("acked_at", BigInteger),
    Column("deleted_at", BigInteger),
    Column("ack_required", Boolean, nullable=False),
    Column("ack_due_at", BigInteger),
    Column("reminded_at", BigInteger),
    Column("id", text(129), nullable=False),
    Index("mail_entries_by_id", "tenant", "id", unique=True),
    Index(
        *("mail_entries_by_message", "tenant", "message_id"),
        sqlite_where=_KEPT,
        postgresql_where=_KEPT,
    ),
    Index(
        *("mail_entries_unread", "tenant", "agent_id", "sequence"),
        sqlite_where=_UNREAD,
        postgresql_where=_UNREAD,
    ),
    Index(
        *("mail_entries_by_sender", "tenant", "agent_id", "from_address", "sequence"),
        sqlite_where=_KEPT,
        postgresql_where=_KEPT,
    ),
    Index(
        *("mail_entries_by_thread", "tenant", "agent_id", "thread_id", "sequence"),
        sqlite_where=_KEPT,
        postgresql_where=_KEPT,
    ),
    Index(
        *("mail_entries_by_task", "tenant", "agent_id", "task_id", "sequence"),
        sqlite_where=_TASKS,
        postgresql_where=_TASKS,
    ),
    Index(
        *("mail_entries_by_kind", "tenant", "agent_id", "kind", "sequence"),
        sqlite_where=_KINDS,
        postgresql_where=_KINDS,
    ),
    Index("mail_entries_due", "ack_due_at", sqlite_where=_ACK_DUE, postgresql_where=_ACK_DUE),
    sqlite_with_rowid=False,
)

OF_MESSAGE, OF_OWNER = f"{AGGREGATE.name}.message", f"{AGGREGATE.name}.owner"
is_kept = TABLE.c.deleted_at.is_(None)


def to_row(tenant: str, id_: str, entry: MailEntry) -> Values:
    return (
        tenant,
        entry.agent_id,
        entry.sequence,
        entry.message_id,
        entry.thread_id,
        entry.address,
        entry.from_address,
        entry.subject,
        entry.delivered_at,
        entry.bytes,
        entry.sender_id,
        entry.kind,
        entry.task_id,
        entry.read_at,
        entry.starred,
        entry.acked_at,
        entry.deleted_at,
        entry.ack_required,
        entry.ack_due_at,
        entry.reminded_at,
        id_,
    )


def from_row(row: Row) -> MailEntry:
    return MailEntry(
        id=row.id,
        message_id=row.message_id,
        agent_id=row.agent_id,
        sequence=row.sequence,
        thread_id=row.thread_id,
        address=row.address,
        from_address=row.from_address,
        subject=row.subject,
        delivered_at=Timestamp(row.delivered_at),
        bytes=row.bytes,
        sender_id=row.sender_id,
        kind=row.kind,
        task_id=row.task_id,
        read_at=row.read_at,
        starred=bool(row.starred),
        acked_at=row.acked_at,
        deleted_at=row.deleted_at,
        ack_required=bool(row.ack_required),
        ack_due_at=row.ack_due_at,
        reminded_at=row.reminded_at,
    )


def _loads(repository: Repository[MailEntry], database: Database) -> Sequence[LookupPlan]:
    """Load the entries of a message in all mailboxes."""
    of_message = matching(
        database, TABLE, select(TABLE), (TABLE.c.tenant, TABLE.c.message_id), is_kept
    )
    return (repository.plan("owner", of_message), repository.plan("message", of_message))


MAIL_ENTRIES: Repository[MailEntry] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
    due=Due(at=TABLE.c.ack_due_at, where=TABLE.c.ack_due_at.is_not(None), is_inclusive=True),
    owned=Owned(owner=TABLE.c.message_id, where=is_kept),
)
