"""Counts for quotas: per tenant, and live leases per agent.

* A transaction adds its changes to the stored count, so it reads a count only to decide by it.
* A column that a later version added has a default, for replicas of an older version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Table, and_, select

from quorate.domain.shared.quotas import COUNTED, COUNTS, OWNED_COUNT
from quorate.domain.shared.state import TenantState
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.identity import agents
from quorate.projections.metadata import ADDED, Row, Values, metadata
from quorate.projections.repository import LookupPlan, States, TableRows, matching

_ADDED_LATER = frozenset({"settings_bytes", "mailbox_bytes", "session_bytes"})

COUNTS_TABLE = Table(
    "counts",
    metadata,
    Column("tenant", text(64), primary_key=True),
    *(
        Column(
            counted,
            BigInteger,
            nullable=False,
            server_default="0" if counted in _ADDED_LATER else None,
            info={ADDED: True},
        )
        for counted in COUNTED
    ),
    sqlite_with_rowid=False,
)

OWNED_TABLE = Table(
    "holdings",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("agent_id", text(64), primary_key=True),
    Column("live_leases", BigInteger, nullable=False, info={ADDED: True}),
    sqlite_with_rowid=False,
)


def counts_row(tenant: str, counts: Mapping[str, int]) -> Values:
    return (tenant, *(counts.get(counted, 0) for counted in COUNTED))


def counts_of(row: Row) -> Mapping[str, int]:
    return {counted: getattr(row, counted) for counted in COUNTED}


def owned_row(tenant: str, owned: tuple[str, int]) -> Values:
    return (tenant, *owned)


def owned_of(row: Row) -> tuple[str, int]:
    return (row.agent_id, row.live_leases)


def _put_counts(states: States, found: Sequence[Row]) -> None:
    for row in found:
        states[row.tenant].put_counts(counts_of(row))


def _put_owned(states: States, found: Sequence[Row]) -> None:
    for row in found:
        if row.live_leases is not None:
            states[row.tenant].put_owned_count(*owned_of(row))


@dataclass(frozen=True)
class Counters:
    """The read model of the counters that aggregates declare."""

    tables: Sequence[Table] = (COUNTS_TABLE, OWNED_TABLE)

    def plans(self, database: Database) -> Sequence[LookupPlan]:
        counts, owned, owners = COUNTS_TABLE, OWNED_TABLE, agents.TABLE
        same = and_(owned.c.tenant == owners.c.tenant, owned.c.agent_id == owners.c.id)
        # A subquery for each name: with a join, a database may scan all counts of a tenant.
        count = select(owned.c.live_leases).where(same).correlate(owners).scalar_subquery()
        by_id = (owned.c.tenant, owned.c.agent_id)
        queries = (
            (
                COUNTS[0],
                matching(database, counts, select(counts), (counts.c.tenant,)),
                _put_counts,
            ),
            (f"{OWNED_COUNT}.id", matching(database, owned, select(owned), by_id), _put_owned),
            (
                f"{OWNED_COUNT}.name",
                agents.query_by_name(database, count.label("live_leases")),
                _put_owned,
            ),
        )
        return [
            LookupPlan(read=read, brings="count", query=query, put=put)
            for read, query, put in queries
        ]

    def changes(self, tenant: str, state: TenantState) -> TableRows:
        if state.count_changes:
            yield COUNTS_TABLE, [counts_row(tenant, state.count_changes)]
            yield OWNED_TABLE, [owned_row(tenant, o) for o in state.owned_count_changes.items()]

    def final(self, _tenant: str, _state: TenantState) -> TableRows:
        return ()

    def all(self, tenant: str, state: TenantState) -> TableRows:
        if state.counts:
            yield COUNTS_TABLE, [counts_row(tenant, state.counts)]
            yield OWNED_TABLE, [owned_row(tenant, one) for one in state.owned_counts.items()]


COUNTERS = Counters()
