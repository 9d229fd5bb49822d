"""Counts for quotas: per tenant, and live leases and open tasks per agent.

* A transaction adds its changes to the stored count, so it reads a count only to decide by it.
* A column that a later version added has a default, for replicas of an older version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from sqlalchemy import BigInteger, Column, Table, and_, select

from quorate.domain.shared.quotas import (
    COUNTED,
    COUNTS,
    OPEN_TASK_COUNT,
    OWNED,
    OWNED_COUNT,
    Owned,
)
from quorate.domain.shared.state import OwnedKey, TenantState
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.identity import agents
from quorate.projections.metadata import ADDED, Row, Values, metadata
from quorate.projections.repository import LookupPlan, Put, States, TableRows, matching

OwnedCounts: TypeAlias = tuple[str, Mapping[str, int]]  # An owner's id, and its counts by name.
_OWNED_READS: Mapping[Owned, str] = {"live_leases": OWNED_COUNT, "open_tasks": OPEN_TASK_COUNT}
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
    Column("open_tasks", BigInteger, nullable=False, server_default="0", info={ADDED: True}),
    sqlite_with_rowid=False,
)


def counts_row(tenant: str, counts: Mapping[str, int]) -> Values:
    return (tenant, *(counts.get(counted, 0) for counted in COUNTED))


def counts_of(row: Row) -> Mapping[str, int]:
    return {counted: getattr(row, counted) for counted in COUNTED}


def owned_row(tenant: str, owned: OwnedCounts) -> Values:
    agent_id, counts = owned
    return (tenant, agent_id, *(counts.get(counter, 0) for counter in OWNED))


def owned_of(row: Row) -> OwnedCounts:
    return (row.agent_id, {counter: getattr(row, counter) for counter in OWNED})


def _owned_rows(tenant: str, counts: Mapping[OwnedKey, int]) -> list[Values]:
    """Return one row for each owner: an owner may have several counts."""
    by_owner: dict[str, dict[str, int]] = {}
    for (counter, owner_id), count in counts.items():
        by_owner.setdefault(owner_id, {})[counter] = count
    return [owned_row(tenant, one) for one in by_owner.items()]


def _put_counts(states: States, found: Sequence[Row]) -> None:
    for row in found:
        states[row.tenant].put_counts(counts_of(row))


def _put_owned(counter: Owned) -> Put:
    column = attrgetter(counter)

    def put(states: States, found: Sequence[Row]) -> None:
        for row in found:
            if (count := column(row)) is not None:
                states[row.tenant].put_owned_count(counter, row.agent_id, count)

    return put


def _owned_plans(database: Database, counter: Owned, read: str) -> Sequence[LookupPlan]:
    """Look up a count by the id and by the name of its owner."""
    owned, owners = OWNED_TABLE, agents.TABLE
    same = and_(owned.c.tenant == owners.c.tenant, owned.c.agent_id == owners.c.id)
    # A subquery for each name: with a join, a database may scan all counts of a tenant.
    count = select(owned.c[counter]).where(same).correlate(owners).scalar_subquery()
    by_id = matching(database, owned, select(owned), (owned.c.tenant, owned.c.agent_id))
    by_name = agents.query_by_name(database, count.label(counter))
    return [
        LookupPlan(read=f"{read}.{index}", brings="count", query=query, put=_put_owned(counter))
        for index, query in (("id", by_id), ("name", by_name))
    ]


@dataclass(frozen=True)
class Counters:
    """The read model of the counters that aggregates declare."""

    tables: Sequence[Table] = (COUNTS_TABLE, OWNED_TABLE)

    def plans(self, database: Database) -> Sequence[LookupPlan]:
        counts = COUNTS_TABLE
        query = matching(database, counts, select(counts), (counts.c.tenant,))
        return [
            LookupPlan(read=COUNTS[0], brings="count", query=query, put=_put_counts),
            *(
                plan
                for counter, read in _OWNED_READS.items()
                for plan in _owned_plans(database, counter, read)
            ),
        ]

    def changes(self, tenant: str, state: TenantState) -> TableRows:
        if state.count_changes:
            yield COUNTS_TABLE, [counts_row(tenant, state.count_changes)]
        if state.owned_count_changes:
            yield OWNED_TABLE, _owned_rows(tenant, state.owned_count_changes)

    def final(self, _tenant: str, _state: TenantState) -> TableRows:
        return ()

    def all(self, tenant: str, state: TenantState) -> TableRows:
        if state.counts:
            yield COUNTS_TABLE, [counts_row(tenant, state.counts)]
            yield OWNED_TABLE, _owned_rows(tenant, state.owned_counts)


COUNTERS = Counters()
