"""What each tenant and each agent added to the log in the last day in which it added something.

The lookup of a command also brings its tenant's own limits, and since when it is paused, so that
it takes one query.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Integer, Table, and_, select

from quorate.domain.shared.daily_quotas import USAGE, Usage
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.eventlog.transactions import Query
from quorate.projections.identity import tenants
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import LookupPlan, States, TableRows

TABLE = Table(
    "daily_usage",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("owner", text(64), primary_key=True),  # An agent, or empty: the tenant as a whole.
    Column("day", Integer, nullable=False),
    Column("events", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


def usage_row(tenant: str, owner: str, usage: Usage) -> Values:
    return (tenant, owner, usage.day, usage.events, usage.bytes)


def usage_of(row: Row) -> Usage:
    return Usage(day=row.day, events=row.events, bytes=row.bytes)


def _put(states: States, found: Sequence[Row]) -> None:
    for row in found:
        state = states[row.tenant]
        if row.limits is not None:
            state.limits = tenants.limits_from(row.limits)
        if row.paused_at is not None:
            state.paused_at = Timestamp(row.paused_at)
        if row.day is not None:
            state.usage.put(row.owner, usage_of(row))


def _rows(tenant: str, usage: Iterable[tuple[str, Usage]]) -> list[Values]:
    return [usage_row(tenant, owner, one) for owner, one in usage]


@dataclass(frozen=True)
class DailyUsageModel:
    """The read model of the daily quotas: it is replaced and not added to, day by day."""

    tables: Sequence[Table] = (TABLE,)

    def plans(self, database: Database) -> Sequence[LookupPlan]:
        asked, (tenant, owner) = database.rows("asked", 2)
        known, used = tenants.TABLE, TABLE
        same = and_(used.c.tenant == tenant, used.c.owner == owner)
        statement = select(
            tenant.label("tenant"),
            owner.label("owner"),
            *(used.c.day, used.c.events, used.c.bytes, known.c.limits, known.c.paused_at),
        ).select_from(asked.outerjoin(known, known.c.id == tenant).outerjoin(used, same))
        query = Query(statement, database.dialect)
        return [LookupPlan(read=USAGE, brings="usage", query=query, put=_put)]

    def changes(self, tenant: str, state: TenantState) -> TableRows:
        if state.usage.changed:
            yield TABLE, _rows(tenant, state.usage.changes())

    def final(self, _tenant: str, _state: TenantState) -> TableRows:
        return ()

    def all(self, tenant: str, state: TenantState) -> TableRows:
        yield TABLE, _rows(tenant, state.usage.items())


DAILY_USAGE = DailyUsageModel()
