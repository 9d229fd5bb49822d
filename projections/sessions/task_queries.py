"""Queries of tasks: one, those of an agent, and those of the tenant by their state."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, literal_column, select, union_all

from quorate.domain.sessions.task_states import OUTWARD, State, Task
from quorate.domain.sessions.tasks import TASK_PART
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import ContentStore
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import Query
from quorate.projections.sessions import tasks as rows
from quorate.projections.snapshots import QueryResult, Size, open_snapshot
from quorate.projections.tables import tasks

SEQUENCE_MAX = 2**63 - 1
ENDED = "ended"
# What a list of open tasks selects; another one selects dead letters, and tasks that ended.
OPEN_STATES: Mapping[str, Sequence[State]] = {
    "open": tuple(state for state, outward in OUTWARD.items() if outward == "running"),
    "submitted": ("submitted",),
    "working": ("working",),
    "input_required": ("input_required", "auth_required"),
}


@record
class ListedTask:
    """A task, and the beginning of its text, which is None if it was erased."""

    task: Task
    beginning: str | None

    @property
    def id(self) -> str:
        return self.task.id


class TaskQueries:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._contents = ContentStore(log.database)
        of_tenant = select(tasks).where(tasks.c.tenant == bindparam("tenant"))
        limit = bindparam("limit", type_=tasks.c.sequence.type)
        self._one = self._query(of_tenant.where(tasks.c.id == bindparam("id")))
        page = (
            of_tenant.where(tasks.c.sequence < bindparam("before"))
            .order_by(tasks.c.sequence.desc())
            .limit(limit)
        )
        of_agent = page.where(tasks.c.spawner_id == bindparam("agent_id"))
        self._pages: dict[tuple[bool, str | None], Query] = {
            (is_of_agent, status): self._query(
                statement if status is None else statement.where(_is_in(status))
            )
            for is_of_agent, statement in ((False, page), (True, of_agent))
            for status in (None, *OUTWARD, *OUTWARD.values())
        }
        ended = (
            of_tenant.where(tasks.c.ended_at.is_not(None), tasks.c.sequence < bindparam("after"))
            .order_by(tasks.c.sequence.desc())
            .limit(limit)
        )
        following = (
            of_tenant.where(tasks.c.sequence > bindparam("after"))
            .order_by(tasks.c.sequence)
            .limit(limit)
        )
        self._selections: Mapping[str, Query] = {
            "dead": self._query(following.where(rows.is_dead_letter)),
            ENDED: self._query(ended),
            **{name: self._query(_merged(following, of)) for name, of in OPEN_STATES.items()},
        }

    async def one(self, tenant: str, task_id: str) -> QueryResult[Task | None]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await snapshot.rows(self._one, {"tenant": tenant, "id": task_id})
            return snapshot.result(rows.from_row(found[0]) if found else None)

    async def page(
        self, tenant: str, agent_id: str | None, status: str | None, before: int | None, limit: int
    ) -> QueryResult[Sequence[Task]]:
        """Return tasks of an agent, or of all agents, the newest first.

        ``status`` is a state, or one of the outward ones.
        """
        values: dict[str, Any] = {
            "tenant": tenant,
            "before": SEQUENCE_MAX if before is None else before,
            "limit": limit,
        }
        if agent_id is not None:
            values["agent_id"] = agent_id
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await snapshot.rows(self._pages[agent_id is not None, status], values)
            return snapshot.result([rows.from_row(row) for row in found])

    async def selection(
        self, tenant: str, name: str, after: str, limit: int, size: Size[ListedTask]
    ) -> QueryResult[Sequence[ListedTask]]:
        """Return the tasks of ``dead`` or OPEN_STATES, the oldest first, or the newest of ENDED.

        ``after`` is a sequence.
        """
        last = int(after or (SEQUENCE_MAX if name == ENDED else 0))
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:

            async def read(_after: str, length: int) -> Sequence[ListedTask]:
                nonlocal last
                values = {"tenant": tenant, "after": last, "limit": length}
                found = [
                    rows.from_row(row)
                    for row in await snapshot.rows(self._selections[name], values)
                ]
                if found:
                    last = found[-1].sequence
                keys = [(one.id, TASK_PART) for one in found]
                texts = await self._contents.read_beginnings(snapshot.transaction, tenant, keys)
                return [
                    ListedTask(task=one, beginning=texts.get((one.id, TASK_PART))) for one in found
                ]

            return await snapshot.collect(read, "", limit, size)

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._log.database.dialect)


def _merged(following: Select[Any], states: Sequence[State]) -> Select[Any]:
    """Read one page of each state by the index of open tasks, and merge the pages."""
    pages = [
        following.where(
            # Written out: a bound value would hide the partial index from the planner.
            literal_column(f"tasks.state = '{state}'"),
            tasks.c.ended_at.is_(None),
        ).subquery()
        for state in states
    ]
    if len(pages) == 1:
        merged = pages[0]
    else:
        merged = union_all(*(select(page) for page in pages)).subquery()
    limit = bindparam("limit", type_=tasks.c.sequence.type)
    return select(merged).order_by(merged.c.sequence).limit(limit)


def _is_in(status: str) -> ColumnElement[bool]:
    """Compare with a state, or with those that an outward status stands for."""
    states = [state for state, outward in OUTWARD.items() if status in {state, outward}]
    if status in OUTWARD:
        states = [state for state in states if state == status]
    names = ", ".join(f"'{state}'" for state in states)
    return literal_column(f"tasks.state IN ({names})")
