"""Read model of agents."""

from collections.abc import Sequence
from operator import attrgetter

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    Label,
    Table,
    literal_column,
    select,
)

from quorate.domain.identity.agents import AGENTS as AGGREGATE
from quorate.domain.identity.agents import Agent, name_key
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.eventlog.transactions import Query
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Due, Find, LookupPlan, Repository, matching

_ACTIVE = sql("status = 'active'")
_INACTIVE = sql("status IN ('lapsed', 'deregistered')")

TABLE = Table(
    "agents",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("name_key", text(64), nullable=False),
    Column("name", text(64), nullable=False),
    Column("role", text(), nullable=False),
    Column("incarnation", Integer, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("last_heartbeat", BigInteger, nullable=False),
    Column("active_until", BigInteger, nullable=False),
    Column("status", text(16), nullable=False),
    Column("heartbeat_window", BigInteger),  # In milliseconds; null in rows of early versions.
    Index("agents_by_name", "tenant", "name_key", unique=True),
    Index("agents_due", "active_until", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    Index("agents_inactive", "active_until", sqlite_where=_INACTIVE, postgresql_where=_INACTIVE),
    # By an expression, so that the planner does not prefer the primary key, which begins with the
    # tenant too: agents that timed out long ago may be many.
    Index("agents_active", sql("(tenant || '')"), sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    sqlite_with_rowid=False,
)

# The tenant of an agent in queries for the active ones; see the index ``agents_active``.
active_tenant: ColumnElement[str] = literal_column("(agents.tenant || '')")
# Written out: a bound status would hide the partial index from the planner.
is_active: ColumnElement[bool] = literal_column("agents.status = 'active'")
is_inactive: ColumnElement[bool] = literal_column("agents.status IN ('lapsed', 'deregistered')")

_TAIL = attrgetter(
    *("name", "role", "incarnation", "registered_at", "last_heartbeat", "active_until", "status"),
    "heartbeat_window",
)


def to_row(tenant: str, _id: str, agent: Agent) -> Values:
    return (tenant, agent.id, name_key(agent.name), *_TAIL(agent))


def from_row(row: Row) -> Agent:
    return Agent(
        id=row.id,
        name=row.name,
        role=row.role,
        incarnation=row.incarnation,
        registered_at=Timestamp(row.registered_at),
        last_heartbeat=Timestamp(row.last_heartbeat),
        active_until=Timestamp(row.active_until),
        status=row.status,
        heartbeat_window=row.heartbeat_window,
    )


def query_by_name(database: Database, value: Label[int]) -> Query:
    """Select a value for each agent in a list of names."""
    found = select(TABLE.c.tenant, TABLE.c.id.label("agent_id"), value)
    return matching(database, TABLE, found, (TABLE.c.tenant, TABLE.c.name_key))


def _loads(repository: Repository[Agent], database: Database) -> Sequence[LookupPlan]:
    every = matching(database, TABLE, select(TABLE), (active_tenant,), is_active)
    return (repository.plan("active", every),)


AGENTS: Repository[Agent] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(
        Find(index="id", columns=(TABLE.c.id,)),
        Find(index="name", columns=(TABLE.c.name_key,)),
    ),
    loads=_loads,
    is_removed=lambda agent: agent.status == "removed",
    due=Due(at=TABLE.c.active_until, where=is_active, is_inclusive=False),
)
