"""Read model of the values of sessions. The values themselves are in ``message_bodies``."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Index, Table, select

from quorate.domain.sessions.session_values import ERASED_VALUE, VALUES_IN_NAMESPACE, SessionValue
from quorate.domain.sessions.session_values import SESSION_VALUES as AGGREGATE
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import Find, LookupPlan, Repository, matching

TABLE = Table(
    "session_values",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("session_id", text(64), nullable=False),
    Column("namespace", text(64), nullable=False),
    Column("name", text(128), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("session_values_by_name", "tenant", "session_id", "namespace", "name"),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, value: SessionValue) -> Values:
    return (
        tenant,
        value.id,
        value.session_id,
        value.namespace,
        value.name,
        value.bytes,
        value.updated_at,
    )


def from_row(row: Row) -> SessionValue:
    return SessionValue(
        id=row.id,
        session_id=row.session_id,
        namespace=row.namespace,
        name=row.name,
        bytes=row.bytes,
        updated_at=Timestamp(row.updated_at),
    )


def _loads(repository: Repository[SessionValue], database: Database) -> Sequence[LookupPlan]:
    place = (TABLE.c.tenant, TABLE.c.session_id, TABLE.c.namespace)
    query = matching(database, TABLE, select(TABLE), place)
    return (
        LookupPlan(
            read=VALUES_IN_NAMESPACE, brings=AGGREGATE.name, query=query, put=repository.put
        ),
    )


SESSION_VALUES: Repository[SessionValue] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
    is_removed=lambda value: value is ERASED_VALUE,
)
