"""Read model of API keys."""

from collections.abc import Sequence

from sqlalchemy import BigInteger, Column, Index, Table, and_, bindparam, or_, select

from quorate.domain.identity.api_keys import API_KEYS as AGGREGATE
from quorate.domain.identity.api_keys import KEYS_OF_AGENT, Key
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, LookupPlan, Repository, matching

_USABLE = sql("revoked_at IS NULL AND agent_id IS NOT NULL")
_EXPIRES = sql("revoked_at IS NULL AND expires_at IS NOT NULL")

TABLE = Table(
    "keys",
    metadata,
    Column("id", text(32), primary_key=True),
    Column("tenant", text(64), nullable=False),
    Column("role", text(16), nullable=False),
    Column("secret_hash", text(64), nullable=False),
    Column("agent_id", text(64)),
    Column("agent_name", text(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("preset", text(64)),
    Index("keys_by_tenant", "tenant", "id"),
    Index("keys_by_agent", "agent_id", sqlite_where=_USABLE, postgresql_where=_USABLE),
    Index("keys_by_expiry", "expires_at", sqlite_where=_EXPIRES, postgresql_where=_EXPIRES),
    sqlite_with_rowid=False,
)

# An expression, so that no index matches the tenant: the index by agent has few rows of one agent.
tenant_compared = TABLE.c.tenant.concat("")
is_usable = and_(TABLE.c.revoked_at.is_(None), TABLE.c.agent_id.is_not(None))
is_valid = and_(
    TABLE.c.revoked_at.is_(None),
    or_(TABLE.c.expires_at.is_(None), TABLE.c.expires_at > bindparam("now")),
)


def to_row(tenant: str, _id: str, key: Key) -> Values:
    return (
        key.id,
        tenant,
        key.role,
        key.secret_hash,
        key.agent_id,
        key.agent_name,
        key.created_at,
        key.revoked_at,
        key.expires_at,
        key.preset,
    )


def from_row(row: Row) -> Key:
    return Key(
        id=row.id,
        role=row.role,
        secret_hash=row.secret_hash,
        agent_id=row.agent_id,
        agent_name=row.agent_name,
        created_at=Timestamp(row.created_at),
        revoked_at=None if row.revoked_at is None else Timestamp(row.revoked_at),
        expires_at=None if row.expires_at is None else Timestamp(row.expires_at),
        preset=row.preset,
    )


def _loads(repository: Repository[Key], database: Database) -> Sequence[LookupPlan]:
    by_agent = matching(
        database, TABLE, select(TABLE), (tenant_compared, TABLE.c.agent_id), is_usable
    )
    return (
        LookupPlan(read=KEYS_OF_AGENT, brings=AGGREGATE.name, query=by_agent, put=repository.put),
    )


API_KEYS: Repository[Key] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
)
