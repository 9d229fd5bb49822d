"""Read model of schedules, and the queries of those that are due and of one agent's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Index,
    Integer,
    Select,
    Table,
    bindparam,
    func,
    select,
)

from quorate.domain.sessions.schedules import MESSAGE_PART, Schedule
from quorate.domain.sessions.schedules import SCHEDULES as AGGREGATE
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.contents import ContentReader
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.tables import text
from quorate.eventlog.transactions import Query
from quorate.projections.identity.tenants import is_paused
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, Repository
from quorate.projections.snapshots import Listing, QueryResult, Size, open_snapshot

DUE_PER_QUERY_MAX = 200
_DUE = sql("next_at IS NOT NULL AND paused_reason IS NULL")

TABLE = Table(
    "schedules",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("agent_id", text(64), nullable=False),
    Column("name", text()),
    Column("times", text(), nullable=False),  # JSON objects, as in the request.
    Column("tool_controls", text(), nullable=False),
    Column("missed", text(8), nullable=False),
    Column("preset", text(64)),
    Column("session_key", text()),
    Column("preset_names", text(), nullable=False),  # A JSON array.
    Column("part", text(16), nullable=False),
    Column("sha256", text(64), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_at", BigInteger),
    Column("last_at", BigInteger),
    Column("paused_reason", text(64)),
    Column("fired_count", Integer, nullable=False),
    Column("caught_up", Integer, nullable=False),
    Index("schedules_of_agent", "tenant", "agent_id", "id"),
    Index("schedules_due", "next_at", sqlite_where=_DUE, postgresql_where=_DUE),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, schedule: Schedule) -> Values:
    return (
        tenant,
        schedule.id,
        schedule.agent_id,
        schedule.name,
        _json(schedule.times),
        _json(schedule.tool_controls),
        schedule.missed,
        schedule.preset,
        schedule.session_key,
        orjson.dumps(schedule.preset_names).decode(),
        schedule.part,
        schedule.sha256,
        schedule.bytes,
        schedule.created_at,
        schedule.next_at,
        schedule.last_at,
        schedule.paused_reason,
        schedule.fired_count,
        schedule.caught_up,
    )


def _json(fields: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(fields), option=orjson.OPT_SORT_KEYS).decode()


def from_row(row: Row) -> Schedule:
    return Schedule(
        id=row.id,
        agent_id=row.agent_id,
        name=row.name,
        times=orjson.loads(row.times),
        tool_controls=orjson.loads(row.tool_controls),
        missed=row.missed,
        preset=row.preset,
        session_key=row.session_key,
        preset_names=tuple(orjson.loads(row.preset_names)),
        part=row.part,
        sha256=row.sha256,
        bytes=row.bytes,
        created_at=Timestamp(row.created_at),
        next_at=None if row.next_at is None else Timestamp(row.next_at),
        last_at=None if row.last_at is None else Timestamp(row.last_at),
        paused_reason=row.paused_reason,
        fired_count=row.fired_count,
        caught_up=row.caught_up,
    )


SCHEDULES: Repository[Schedule] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    is_removed=lambda schedule: schedule.is_deleted,
)


class ScheduleQueries:
    def __init__(self, log: EventStore, clock: Callable[[], Timestamp]) -> None:
        self._log = log
        self._clock = clock
        self._contents = ContentReader(log)
        tenant: BindParameter[str] = bindparam("tenant")
        of_tenant = select(TABLE).where(TABLE.c.tenant == tenant)
        self._one = self._query(of_tenant.where(TABLE.c.id == bindparam("id")))
        count = select(func.count().label("number")).select_from(TABLE)
        self._count = self._query(count.where(TABLE.c.tenant == tenant))
        limit: BindParameter[int] = bindparam("limit")
        page = of_tenant.where(TABLE.c.id > bindparam("after")).order_by(TABLE.c.id).limit(limit)
        self._page = self._query(page)
        of_agent = page.where(TABLE.c.agent_id == bindparam("agent_id"))
        self._page_of_agent = self._query(of_agent)
        due = select(TABLE).where(
            TABLE.c.next_at.is_not(None),
            TABLE.c.paused_reason.is_(None),
            TABLE.c.next_at <= bindparam("now", type_=BigInteger()),
            ~is_paused(TABLE.c.tenant),
        )
        self._due = self._query(due.order_by(TABLE.c.next_at).limit(DUE_PER_QUERY_MAX))

    async def due(self, now: Timestamp) -> Sequence[tuple[str, Schedule]]:
        """Return schedules that are due, each with its tenant, the oldest first.

        They are of all tenants, except those that are paused.
        """
        async with self._log.read() as transaction:
            rows = await transaction.fetch(self._due, {"now": now})
        return [(row.tenant, from_row(row)) for row in rows]

    async def get(self, tenant: str, schedule_id: str) -> QueryResult[Schedule | None]:
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            found = await snapshot.rows(self._one, {"tenant": tenant, "id": schedule_id})
            return snapshot.result(from_row(found[0]) if found else None)

    async def count(self, tenant: str) -> int:
        async with self._log.read() as transaction:
            found = await transaction.fetch(self._count, {"tenant": tenant})
        return int(found[0].number)

    async def page(
        self, tenant: str, agent_id: str | None, after: str, limit: int, size: Size[Schedule]
    ) -> QueryResult[Sequence[Schedule]]:
        """Return the schedules of one agent, or of all, in the order of their creation."""
        values = {"tenant": tenant, "after": after}
        query = self._page
        if agent_id is not None:
            query = self._page_of_agent
            values["agent_id"] = agent_id
        async with open_snapshot(self._log, self._clock, tenant) as snapshot:
            return await snapshot.page(Listing(query, values, from_row), limit, size)

    async def messages(self, tenant: str, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the messages of schedules by id."""
        texts = await self._contents.texts(tenant, ids)
        return {id_: text for (id_, part), text in texts.items() if part == MESSAGE_PART}

    def _query(self, statement: Select[Any]) -> Query:
        return Query(statement, self._log.database.dialect)
