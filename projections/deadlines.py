"""Find passed deadlines that are not recorded yet, by index, for the deadline scheduler."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, literal, select

from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.registry import REPOSITORIES
from quorate.projections.repository import Due, Repository

OVERDUE_PER_QUERY_MAX = 500


@record
class OverdueInstance:
    """An instance with a passed deadline, and the command that records about ``events`` events."""

    tenant: str
    command: RecordDue
    events: int = 1


class DueAggregates:
    def __init__(self, log: EventStore) -> None:
        self._log = log
        self._queries = [
            (one.aggregate.name, _query(one, one.due, log.database))
            for one in REPOSITORIES
            if one.due is not None
        ]

    async def find(self, now: Timestamp) -> Sequence[OverdueInstance]:
        """Return at most OVERDUE_PER_QUERY_MAX of each aggregate, the oldest deadline first."""
        found: list[OverdueInstance] = []
        async with self._log.read() as transaction:
            for name, query in self._queries:
                found += [
                    OverdueInstance(
                        tenant=row.tenant,
                        command=RecordDue(aggregate=name, id=row.id),
                        events=row.events,
                    )
                    for row in await transaction.fetch(query, {"now": now})
                ]
        return found


def _query(repository: Repository[Any], due: Due, database: Database) -> Query:
    """Select instances with a passed deadline, and how many events the end of each records."""
    table = repository.table
    events: ColumnElement[int] = literal(1)
    for owned in REPOSITORIES:
        owner = owned.aggregate.owner
        if owner is not None and owner.aggregate is repository.aggregate and owned.owned:
            same_tenant = owned.owned.tenant == table.c.tenant
            its_own = owned.owned.is_of(table.c.id)
            held = select(func.count()).where(same_tenant, its_own, owned.owned.where)
            events = events + held.scalar_subquery()
    now = bindparam("now", type_=due.at.type)
    passed = due.at <= now if due.is_inclusive else due.at < now
    statement = select(table.c.tenant, table.c.id, events.label("events"))
    ordered = statement.where(due.where, passed).order_by(due.at).limit(OVERDUE_PER_QUERY_MAX)
    return Query(ordered, database.dialect)
