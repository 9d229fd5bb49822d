"""Read model of messages of sessions. Bodies are in ``message_bodies``, which is no read model."""

from sqlalchemy import BigInteger, Column, Index, Table

from quorate.domain.sessions.session_messages import SESSION_MESSAGES as AGGREGATE
from quorate.domain.sessions.session_messages import SessionMessage
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, Repository

_UNERASED = sql("erased_at IS NULL")

TABLE = Table(
    "session_messages",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("session_id", text(64), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("id", text(64), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("role", text(16), nullable=False),
    Column("part", text(16), nullable=False),
    Column("sha256", text(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("from_agent_id", text(64)),
    Column("context_label", text()),
    Column("in_reply_to", text(64)),
    Column("model", text()),
    Column("reply_id", text(64)),
    Column("read_at", BigInteger),
    Column("erased_at", BigInteger),
    Index("session_messages_by_id", "tenant", "id", unique=True),
    Index(
        *("session_messages_unerased", "tenant", "session_id", "position"),
        sqlite_where=_UNERASED,
        postgresql_where=_UNERASED,
    ),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, message: SessionMessage) -> Values:
    return (
        tenant,
        message.session_id,
        message.index,
        message.id,
        message.sequence,
        message.role,
        message.part,
        message.sha256,
        message.bytes,
        message.created_at,
        message.from_agent_id,
        message.context_label,
        message.in_reply_to,
        message.model,
        message.reply_id,
        message.read_at,
        message.erased_at,
    )


def from_row(row: Row) -> SessionMessage:
    return SessionMessage(
        id=row.id,
        session_id=row.session_id,
        index=row.position,
        sequence=row.sequence,
        role=row.role,
        part=row.part,
        sha256=row.sha256,
        bytes=row.bytes,
        created_at=Timestamp(row.created_at),
        from_agent_id=row.from_agent_id,
        context_label=row.context_label,
        in_reply_to=row.in_reply_to,
        model=row.model,
        reply_id=row.reply_id,
        read_at=row.read_at,
        erased_at=row.erased_at,
    )


SESSION_MESSAGES: Repository[SessionMessage] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
)
