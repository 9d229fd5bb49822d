"""Read model of sessions. What is only shown, and the history of a branch, are in ``details``."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, Index, Table, and_, select

from quorate.domain.sessions.session_commands import SOURCE_BY_ID, SOURCE_BY_KEY
from quorate.domain.sessions.session_messages import SESSION_OF_MESSAGE
from quorate.domain.sessions.sessions import SESSIONS as AGGREGATE
from quorate.domain.sessions.sessions import Session
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.identity import agents
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, LookupPlan, Repository, matching

_LISTED = sql("deleted_at IS NULL")
_UNERASED = sql("deleted_at IS NOT NULL AND erased_at IS NULL")

TABLE = Table(
    "sessions",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("key", text(200), nullable=False),
    Column("owner_id", text(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("label", text()),
    Column("message_count", BigInteger, nullable=False),
    Column("unread", BigInteger, nullable=False),
    Column("value_count", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("source_id", text(64)),
    Column("first_index", BigInteger, nullable=False),
    Column("branch_count", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("erased_at", BigInteger),
    Column("details", text(), nullable=False),
    Index(*("sessions_by_key", "tenant", "key"), sqlite_where=_LISTED, postgresql_where=_LISTED),
    Index(
        *("sessions_by_update", "tenant", "updated_at"),
        sqlite_where=_LISTED,
        postgresql_where=_LISTED,
    ),
    Index(
        *("sessions_by_owner", "tenant", "owner_id", "updated_at"),
        sqlite_where=_LISTED,
        postgresql_where=_LISTED,
    ),
    Index("sessions_unerased", "deleted_at", sqlite_where=_UNERASED, postgresql_where=_UNERASED),
    sqlite_with_rowid=False,
)
is_listed = TABLE.c.deleted_at.is_(None)
has_bodies = TABLE.c.deleted_at.is_not(None) & TABLE.c.erased_at.is_(None)


def to_row(tenant: str, _id: str, session: Session) -> Values:
    details: dict[str, Any] = {}
    if session.model is not None:
        details["model"] = session.model
    if session.project_id is not None:
        details["project_id"] = session.project_id
    if session.history:
        details["history"] = session.history
    return (
        tenant,
        session.id,
        session.key,
        session.owner_id,
        session.created_at,
        session.updated_at,
        session.label,
        session.message_count,
        session.unread,
        session.value_count,
        session.version,
        session.source_id,
        session.first_index,
        session.branch_count,
        session.deleted_at,
        session.erased_at,
        orjson.dumps(details).decode(),
    )


def from_row(row: Row) -> Session:
    details = orjson.loads(row.details)
    return Session(
        id=row.id,
        key=row.key,
        owner_id=row.owner_id,
        created_at=Timestamp(row.created_at),
        updated_at=Timestamp(row.updated_at),
        label=row.label,
        model=details.get("model"),
        project_id=details.get("project_id"),
        message_count=row.message_count,
        unread=row.unread,
        value_count=row.value_count,
        version=row.version,
        source_id=row.source_id,
        first_index=row.first_index,
        history=tuple([(id_, end) for id_, end in details.get("history", ())]),
        branch_count=row.branch_count,
        deleted_at=row.deleted_at,
        erased_at=row.erased_at,
    )


def _loads(repository: Repository[Session], database: Database) -> Sequence[LookupPlan]:
    """Load sessions whose owner exists, the owner, the source of a branch, and by a message."""
    from quorate.projections.sessions import session_messages  # noqa: PLC0415 - defined later.

    owners, messages, sources = agents.TABLE, session_messages.TABLE, TABLE.alias("sources")
    owns = and_(owners.c.tenant == TABLE.c.tenant, owners.c.id == TABLE.c.owner_id)
    owned = TABLE.join(owners, owns)
    by_key, by_id = (TABLE.c.tenant, TABLE.c.key), (TABLE.c.tenant, TABLE.c.id)
    branched = and_(sources.c.tenant == TABLE.c.tenant, sources.c.id == TABLE.c.source_id)
    with_source = TABLE.join(sources, branched)
    holds = and_(messages.c.tenant == TABLE.c.tenant, messages.c.session_id == TABLE.c.id)
    of_message = matching(
        database,
        messages.join(TABLE, holds),
        select(TABLE),
        (messages.c.tenant, messages.c.id),
    )
    return (
        repository.plan("key", matching(database, owned, select(TABLE), by_key, is_listed)),
        *(
            LookupPlan(
                read=f"{AGGREGATE.name}.{index}",
                brings=agents.AGENTS.aggregate.name,
                query=matching(database, owned, select(owners).distinct(), columns, is_listed),
                put=agents.AGENTS.put,
            )
            for index, columns in (("key", by_key), ("id", by_id))
        ),
        *(
            LookupPlan(
                read=read,
                brings=AGGREGATE.name,
                query=matching(database, with_source, select(sources), columns, where),
                put=repository.put,
            )
            for read, columns, where in (
                (SOURCE_BY_KEY, by_key, is_listed),
                (SOURCE_BY_ID, by_id, None),
            )
        ),
        LookupPlan(
            read=SESSION_OF_MESSAGE,
            brings=AGGREGATE.name,
            query=of_message,
            put=repository.put,
        ),
    )


SESSIONS: Repository[Session] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
)
