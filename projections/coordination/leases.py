"""Read model of leases.

A partial unique index enforces the main invariant, one live lease per contact of a tenant, even if
a command handler has a defect.
"""

from collections.abc import Sequence
from operator import attrgetter

import orjson
from sqlalchemy import BigInteger, Column, Index, Table, and_, select

from quorate.domain.coordination.leases import LEASES as AGGREGATE
from quorate.domain.coordination.leases import Lease
from quorate.domain.identity.agents import HELD_LEASES
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.identity import agents
from quorate.projections.metadata import CONTAINED, Row, Values, metadata, sql
from quorate.projections.repository import Due, Find, LookupPlan, Owned, Repository, matching

_LIVE = sql("ended_at IS NULL")

TABLE = Table(
    "leases",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(36), primary_key=True),
    Column("contact_key", text(), nullable=False),
    Column("contact_email", text(), nullable=False),
    Column("agent_id", text(64), nullable=False),
    Column("intent", text(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("status", text(16), nullable=False),
    Column("contenders", text()),  # A JSON array of agent ids; null when there are none.
    Column("ended_at", BigInteger),
    Column("holder", text(64)),
    Column("incarnation", BigInteger),
    Index(
        "leases_live",
        "tenant",
        "contact_key",
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    ),
    # With all that a count compares, so that it reads no rows: an agent may hold thousands. SQLite
    # compares ``ended_at`` too, although the index has live leases only.
    Index(
        "leases_held",
        "agent_id",
        "expires_at",
        "ended_at",
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
        postgresql_include=["tenant"],
        info={CONTAINED: ("expires_at", "ended_at", "tenant")},
    ),
    Index("leases_due", "expires_at", sqlite_where=_LIVE, postgresql_where=_LIVE),
    sqlite_with_rowid=False,
)

_ENDED_AT = list(TABLE.columns).index(TABLE.c.ended_at)

# The tenant of a lease in queries by its holder: an expression, so that no index matches it. With
# the plain column, SQLite scans all leases of the tenant.
tenant_compared = TABLE.c.tenant.concat("")
is_live = TABLE.c.ended_at.is_(None)

_FIELDS = attrgetter(
    *("id", "contact_key", "contact_email", "agent_id", "intent", "created_at", "expires_at"),
    *("fence", "status"),
)


def to_row(tenant: str, _id: str, lease: Lease) -> Values:
    # Contenders as JSON. Nearly always the list is empty, and null needs no encoding.
    contenders = orjson.dumps(lease.contenders).decode() if lease.contenders else None
    return (tenant, *_FIELDS(lease), contenders, lease.ended_at, lease.holder, lease.incarnation)


def from_row(row: Row) -> Lease:
    return Lease(
        id=row.id,
        contact_key=row.contact_key,
        contact_email=row.contact_email,
        agent_id=row.agent_id,
        intent=row.intent,
        created_at=Timestamp(row.created_at),
        expires_at=Timestamp(row.expires_at),
        fence=row.fence,
        status=row.status,
        contenders=() if row.contenders is None else tuple(orjson.loads(row.contenders)),
        ended_at=None if row.ended_at is None else Timestamp(row.ended_at),
        holder=row.holder,
        incarnation=row.incarnation,
    )


def _loads(repository: Repository[Lease], database: Database) -> Sequence[LookupPlan]:
    """Load the holder of each live lease, and the live leases of a holder that ends."""
    holders = agents.TABLE
    holds = and_(holders.c.tenant == TABLE.c.tenant, holders.c.id == TABLE.c.agent_id)
    of_holder = matching(
        database, TABLE, select(TABLE), (tenant_compared, TABLE.c.agent_id), is_live
    )
    same = and_(tenant_compared == holders.c.tenant, TABLE.c.agent_id == holders.c.id)
    of_named = matching(
        database,
        holders.join(TABLE, same),
        select(TABLE),
        (holders.c.tenant, holders.c.name_key),
        is_live,
    )
    return (
        *(
            LookupPlan(
                read=f"{AGGREGATE.name}.{index}",
                brings=agents.AGENTS.aggregate.name,
                query=matching(
                    database,
                    TABLE,
                    select(holders).distinct(),
                    (TABLE.c.tenant, column),
                    and_(is_live, holds),
                ),
                put=agents.AGENTS.put,
            )
            for index, column in (("live_contact", TABLE.c.contact_key), ("id", TABLE.c.id))
        ),
        repository.plan("owner", of_holder),
        *(
            LookupPlan(
                read=f"{HELD_LEASES}.{index}",
                brings=AGGREGATE.name,
                query=query,
                put=repository.put,
            )
            for index, query in (("id", of_holder), ("name", of_named))
        ),
    )


LEASES: Repository[Lease] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(
        Find(index="live_contact", columns=(TABLE.c.contact_key,), where=is_live),
        Find(index="id", columns=(TABLE.c.id,)),
    ),
    loads=_loads,
    # A contact's next lease may be in the same transaction. The unique index requires that the
    # end of the previous lease is stored first.
    store_first=lambda values: values[_ENDED_AT] is not None,
    due=Due(at=TABLE.c.expires_at, where=is_live, is_inclusive=True),
    owned=Owned(
        is_of=lambda agent_id: TABLE.c.agent_id == agent_id,
        # An expression: with the plain column, SQLite scans all rows of the tenant.
        tenant=TABLE.c.tenant.concat(""),
        where=is_live,
    ),
)
