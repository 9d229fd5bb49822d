"""Find open tasks whose parent has ended without a result, as commands that cancel them."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import and_, exists, select

from quorate.domain.sessions.task_nesting import NESTED_PER_COMMAND_MAX, CancelNestedTasks
from quorate.domain.shared.records import record
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.repository import matching
from quorate.projections.sessions.tasks import TABLE, is_open_nested, tenant_compared


@record
class Cancellation:
    tenant: str
    command: CancelNestedTasks


class NestedTasks:
    """Each search returns at most NESTED_PER_COMMAND_MAX tasks."""

    def __init__(self, log: EventStore) -> None:
        self._log = log
        parents = TABLE.alias("parents")
        same = and_(parents.c.tenant == TABLE.c.tenant, parents.c.id == TABLE.c.parent_id)
        ends_nested = exists(
            select(parents.c.id).where(
                same, parents.c.ended_at.is_not(None), parents.c.state != "completed"
            )
        )
        is_found = and_(is_open_nested, ends_nested)
        found = select(TABLE.c.tenant, TABLE.c.parent_id, TABLE.c.id).limit(NESTED_PER_COMMAND_MAX)
        self._all = Query(found.where(is_found), log.database.dialect)
        of_parent = (tenant_compared, TABLE.c.parent_id)
        self._of_parents = matching(log.database, TABLE, found, of_parent, is_found)

    async def find(self, parents: Sequence[tuple[str, str]]) -> Sequence[Cancellation]:
        """Return some of the tasks to cancel of these parents: tenants, and ids of tasks."""
        return await self._fetch(self._of_parents, {"asked": orjson.dumps(parents).decode()})

    async def search(self) -> Sequence[Cancellation]:
        """Return some of all tasks to cancel. It reads all open nested tasks."""
        return await self._fetch(self._all, {})

    async def _fetch(self, query: Query, values: dict[str, Any]) -> Sequence[Cancellation]:
        async with self._log.read() as transaction:
            rows = await transaction.fetch(query, values)
        nested: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            nested.setdefault((row.tenant, row.parent_id), []).append(row.id)
        return [
            Cancellation(
                tenant=tenant, command=CancelNestedTasks(parent_id=parent, task_ids=tuple(ids))
            )
            for (tenant, parent), ids in nested.items()
        ]
