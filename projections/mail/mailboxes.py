"""Read model of mailboxes: the entries of each agent, in the order of their messages.

The primary key is the order of an inbox, so a page of it is one range, however large it is. Filters
of the inbox have indexes:

* An index that begins with the agent costs a page of the write-ahead log for each message, because
  each message goes to another mailbox. Only filters without another way have one.
* ``mail_entries_by_task`` begins with the task, whose ids mostly grow: new rows share pages.
* A thread is found by the index of the messages, whose sequence is that of the entry.
* The entries of a message are a range of their ids, which begin with that of the message.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Index,
    Select,
    String,
    Table,
    and_,
    select,
    type_coerce,
)

from quorate.domain.mail.mailbox_entries import ID_SEPARATOR, MailEntry
from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES as AGGREGATE
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.eventlog.transactions import Query
from quorate.projections.mail import accounts
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Due, Find, LookupPlan, Owned, Repository

_AFTER_SEPARATOR = chr(ord(ID_SEPARATOR) + 1)
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
        *("mail_entries_unread", "agent_id", "sequence"),
        sqlite_where=_UNREAD,
        postgresql_where=_UNREAD,
    ),
    Index(
        *("mail_entries_by_sender", "agent_id", "from_address", "sequence"),
        sqlite_where=_KEPT,
        postgresql_where=_KEPT,
    ),
    Index(
        *("mail_entries_by_task", "task_id", "agent_id", "sequence"),
        sqlite_where=_TASKS,
        postgresql_where=_TASKS,
    ),
    Index(
        *("mail_entries_by_kind", "agent_id", "kind", "sequence"),
        sqlite_where=_KINDS,
        postgresql_where=_KINDS,
    ),
    Index("mail_entries_due", "ack_due_at", sqlite_where=_ACK_DUE, postgresql_where=_ACK_DUE),
    sqlite_with_rowid=False,
)

# The tenant in queries by an index without it: an expression, so that no index matches it. With the
# plain column, SQLite scans all entries of the tenant or of the mailbox by the primary key.
tenant_compared = TABLE.c.tenant.concat("")
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


def of_messages(database: Database, statement: Select[Any], source: FromClause = TABLE) -> Query:
    """Select the kept entries of messages, given by tenant and id (parameter ``asked``)."""
    asked, (tenant, message_id) = database.rows("asked", 2)
    same = and_(TABLE.c.tenant == tenant, is_of_message(type_coerce(message_id, String)))
    joined = asked.join(source, same)
    return Query(statement.select_from(joined).where(is_kept), database.dialect)


def is_of_message(message_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether an entry is one of this message: a range of the index of ids."""
    after, end = (message_id.concat(one) for one in (ID_SEPARATOR, _AFTER_SEPARATOR))
    return and_(TABLE.c.id > after, TABLE.c.id < end)


def _loads(repository: Repository[MailEntry], database: Database) -> Sequence[LookupPlan]:
    """Load the entries of a message in all mailboxes, and the accounts of their agents."""
    owners = accounts.TABLE
    of_message = of_messages(database, select(TABLE))
    owns = and_(owners.c.tenant == TABLE.c.tenant, owners.c.id == TABLE.c.agent_id)
    their_accounts = of_messages(database, select(owners), TABLE.join(owners, owns))
    return [
        plan
        for index in ("owner", "message")
        for plan in (
            repository.plan(index, of_message),
            LookupPlan(
                read=f"{AGGREGATE.name}.{index}",
                brings=accounts.MAIL_ACCOUNTS.aggregate.name,
                query=their_accounts,
                put=accounts.MAIL_ACCOUNTS.put,
            ),
        )
    ]


MAIL_ENTRIES: Repository[MailEntry] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
    due=Due(at=TABLE.c.ack_due_at, where=TABLE.c.ack_due_at.is_not(None), is_inclusive=True),
    owned=Owned(is_of=is_of_message, tenant=TABLE.c.tenant, where=is_kept),
)
