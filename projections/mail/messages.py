"""Read model of messages. The body of a message is in ``message_bodies``, which is no read model.

What is only shown is in one JSON object, ``details``: most of it is absent in most messages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Index, Table, select

from quorate.domain.mail.messages import MESSAGES as AGGREGATE
from quorate.domain.mail.messages import Message, RecipientState
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Due, Find, LookupPlan, Repository, matching

# As in the index: SQLite uses it only for the same words.
is_kept_by_sender = sql("NOT is_deleted_by_sender")
_SENT = sql("sender_id IS NOT NULL AND NOT is_deleted_by_sender")
_FROM_OUTSIDE = sql("rfc_message_id IS NOT NULL")
_EXPIRES = sql("erase_at IS NOT NULL AND erased_at IS NULL")

TABLE = Table(
    "messages",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("thread_id", text(64), nullable=False),
    Column("sender_id", text(64)),
    Column("from_address", text(), nullable=False),
    Column("subject", text(), nullable=False),
    Column("kind", text(16)),
    Column("task_id", text(128)),
    Column("created_at", BigInteger, nullable=False),
    Column("erase_at", BigInteger),
    Column("erased_at", BigInteger),
    Column("rfc_message_id", text()),
    Column("is_deleted_by_sender", Boolean, nullable=False),
    Column("details", text(), nullable=False),
    Index("messages_by_thread", "tenant", "thread_id", "sequence"),
    Index(
        *("messages_sent", "tenant", "sender_id", "sequence"),
        sqlite_where=_SENT,
        postgresql_where=_SENT,
    ),
    Index(
        *("messages_by_rfc_id", "tenant", "rfc_message_id"),
        unique=True,
        sqlite_where=_FROM_OUTSIDE,
        postgresql_where=_FROM_OUTSIDE,
    ),
    Index("messages_due", "erase_at", sqlite_where=_EXPIRES, postgresql_where=_EXPIRES),
    sqlite_with_rowid=False,
)

_PLAIN_DETAILS = (
    *("to", "cc", "level", "in_reply_to", "importance", "ack_required", "fence", "scheduled_at"),
    *("attachments", "is_starred_by_sender"),
)
_DEFAULTS: Mapping[str, Any] = {
    "cc": (),
    "level": None,
    "in_reply_to": None,
    "importance": "normal",
    "ack_required": False,
    "fence": None,
    "scheduled_at": None,
    "attachments": (),
    "is_starred_by_sender": False,
}
_TUPLES = frozenset({"to", "cc", "attachments"})


def to_row(tenant: str, _id: str, message: Message) -> Values:
    details: dict[str, Any] = {}
    for name in _PLAIN_DETAILS:
        value = getattr(message, name)
        if name not in _DEFAULTS or value != _DEFAULTS[name]:
            details[name] = value
    details["contents"] = [(ref.part, ref.sha256, ref.bytes) for ref in message.contents]
    details["recipients"] = [
        (one.address, one.delivery_type, one.status, one.reason) for one in message.recipients
    ]
    return (
        tenant,
        message.id,
        message.sequence,
        message.thread_id,
        message.sender_id,
        message.from_address,
        message.subject,
        message.kind,
        message.task_id,
        message.created_at,
        message.erase_at,
        message.erased_at,
        message.rfc_message_id,
        message.is_deleted_by_sender,
        orjson.dumps(details).decode(),
    )


def from_row(row: Row) -> Message:
    details = {**_DEFAULTS, **orjson.loads(row.details)}
    contents, recipients = details.pop("contents"), details.pop("recipients")
    for name in _TUPLES:
        details[name] = tuple(details[name])
    return Message(
        id=row.id,
        thread_id=row.thread_id,
        sequence=row.sequence,
        created_at=Timestamp(row.created_at),
        from_address=row.from_address,
        subject=row.subject,
        sender_id=row.sender_id,
        kind=row.kind,
        task_id=row.task_id,
        erase_at=row.erase_at,
        erased_at=row.erased_at,
        rfc_message_id=row.rfc_message_id,
        is_deleted_by_sender=bool(row.is_deleted_by_sender),
        contents=tuple(
            [ContentRef(part=part, sha256=sha256, bytes=size) for part, sha256, size in contents]
        ),
        recipients=tuple(
            [
                RecipientState(address=address, delivery_type=type_, status=status, reason=reason)
                for address, type_, status, reason in recipients
            ]
        ),
        **details,
    )


def _loads(repository: Repository[Message], database: Database) -> Sequence[LookupPlan]:
    by_id = matching(database, TABLE, select(TABLE), (TABLE.c.tenant, TABLE.c.id))
    return (repository.plan("header", by_id),)


MESSAGES: Repository[Message] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(
        Find(index="id", columns=(TABLE.c.id,)),
        Find(index="rfc_message_id", columns=(TABLE.c.rfc_message_id,)),
    ),
    loads=_loads,
    due=Due(
        at=TABLE.c.erase_at,
        where=TABLE.c.erase_at.is_not(None) & TABLE.c.erased_at.is_(None),
        is_inclusive=True,
    ),
)
