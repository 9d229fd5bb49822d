"""The append-only log: one table, one order, one way in.

Readers see committed events in the order of their positions, with no gap and nothing slipping in
behind them: positions are assigned under the log's lock, inside the transaction that appends.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import BindParameter, Select, and_, bindparam, func, insert, select

from quorate.domain.identity.tenants import TenantCreated
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database, Schema
from quorate.eventlog.hash_chain import GENESIS, ChainBroken, check
from quorate.eventlog.pages import PageBuilder
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.tables import archives, events
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query

TAIL_EVENTS_CHECKED = 10_000
PAGE_EVENTS_MAX = 1_000
SCAN_EVENTS_MAX = 10_000
_CREATED = TenantCreated.__name__


@record
class LogHead:
    """The last event of all: where the next one goes, and the time it must not precede."""

    position: int
    at: Timestamp


class Heads:
    """Where the log ends, and where those of some tenants do."""

    def __init__(self, tenants: Iterable[str]) -> None:
        self.last = LogHead(position=0, at=Timestamp(0))
        self.now: Timestamp | None = None  # By the database's clock, if it was asked.
        self.tenants = dict.fromkeys(tenants, GENESIS)

    def take_last(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.last = LogHead(position=row.position, at=Timestamp(row.at))

    def take_time(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.now = Timestamp(row.now)

    def take_tenants(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.tenants[row.tenant] = StreamHead(sequence=row.sequence, hash=row.hash)


class OldestEvent:
    """The first event of a tenant that is still in the log's table."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self._first = 1

    def take(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self._first = row.sequence

    @property
    def archived(self) -> int:
        """The last sequence of those that are not."""
        return self._first - 1

    def gap(self, after: int) -> "Gap | None":
        return Gap(after=after, until=self.archived) if after < self.archived else None


@record
class Filter:
    """Which events a reader wants; None is all."""

    type: str | None = None
    agent_id: str | None = None


@record
class Gap:
    """What follows ``after`` is not kept here any more; the last of it was ``until``."""

    after: int
    until: int


@record
class Page:
    """Events of one tenant, oldest first. ``scanned_to`` is where the next page goes on.

    Where events before them were archived, ``gap`` says so.
    """

    events: Sequence[RecordedEvent]
    head: int
    scanned_to: int
    gap: Gap | None


class EventStore:
    """The log in a database. Opened once per process; ``write`` is for the one writer task."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._queries = _Queries(database)

    async def open(self, schema: Schema | None = None) -> None:
        """See to it that the tables are there, and that what is acknowledged is kept."""
        await self.database.open(schema)

    async def close(self) -> None:
        await self.database.close()

    async def reopen(self) -> None:
        """After an I/O error: a new connection, and another look at the end of the chain."""
        await self.database.reopen()
        await self.check_tail()

    # -- Writing -------------------------------------------------------------

    def write(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        """One transaction that holds the log's lock from its first statement."""
        return self.database.write()

    async def head(self, transaction: DatabaseTransaction) -> LogHead:
        heads = Heads(())
        await transaction.look_up(self.head_lookups(heads))
        return heads.last

    async def last_sequence(self, transaction: DatabaseTransaction, tenant: str) -> int:
        heads = Heads((tenant,))
        await transaction.look_up(self.head_lookups(heads))
        return heads.tenants[tenant].sequence

    def head_lookups(self, heads: "Heads") -> Sequence[Lookup]:
        """What to ask in order to know ``heads``."""
        names = {"tenants": orjson.dumps([[tenant] for tenant in heads.tenants]).decode()}
        return [
            Lookup(query=self._queries.head, values={}, take=heads.take_last),
            Lookup(query=self._queries.tenant_heads, values=names, take=heads.take_tenants),
        ]

    def time_lookups(self, heads: "Heads") -> Sequence[Lookup]:
        """What to ask in order to know ``heads.now``: nothing where one's own clock will do."""
        query = self._queries.time
        return [] if query is None else [Lookup(query=query, values={}, take=heads.take_time)]

    async def append(self, transaction: DatabaseTransaction, rows: Sequence[RecordedEvent]) -> None:
        await transaction.write(self._queries.append, [_as_row(row) for row in rows])

    # -- Reading -------------------------------------------------------------

    def read(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        """One consistent snapshot of everything that is committed."""
        return self.database.read()

    async def committed_head(self) -> int:
        """The last committed position."""
        async with self.read() as transaction:
            return (await self.head(transaction)).position

    async def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Committed events of all tenants that follow ``position``, in order."""
        values = {"position": position, "limit": limit}
        async with self.read() as transaction:
            return [
                event_from_row(row) for row in await transaction.fetch(self._queries.after, values)
            ]

    async def page(self, tenant: str, after: int, limit: int, wanted: Filter) -> Page:
        """Up to ``limit`` events of a tenant that follow ``after``.

        A filter that matches seldom looks at no more than SCAN_EVENTS_MAX events a page.
        It has fewer events where they are large.
        """
        query = self._queries.page
        if wanted != Filter():
            query = Query(_filtered(self._queries.page_statement, wanted), self.database.dialect)
        part = PageBuilder(limit)

        def following(after: int, until: int) -> Lookup:
            values = {"tenant": tenant, "after": after, "until": until, "limit": part.asked}
            return Lookup(query=query, values=values, take=part.take)

        heads, oldest = Heads((tenant,)), OldestEvent(tenant)
        until = after + SCAN_EVENTS_MAX
        async with self.read() as transaction:
            first = following(after, until)
            await transaction.look_up(
                [*self.head_lookups(heads), self.oldest_lookup(oldest), first]
            )
            if gap := oldest.gap(after):
                after, part = gap.until, PageBuilder(limit)
                until = after + SCAN_EVENTS_MAX
                await transaction.look_up([following(after, until)])
            while part.goes_on:
                await transaction.look_up([following(part.rows[-1].sequence, until)])
        head = heads.tenants[tenant].sequence
        found = [event_from_row(row) for row in part.rows]
        scanned_to = found[-1].sequence if part.full else min(head, until)
        return Page(events=found, head=head, scanned_to=max(scanned_to, after), gap=gap)

    def oldest_lookup(self, oldest: "OldestEvent") -> Lookup:
        """What to ask in order to know ``oldest``."""
        return Lookup(
            query=self._queries.oldest, values={"tenant": oldest.tenant}, take=oldest.take
        )

    async def archived(self) -> int:
        """The last position of those that were archived; 0 when none were."""
        async with self.read() as transaction:
            ((last,),) = await transaction.fetch(self._queries.archived, {})
        return last or 0

    async def _archived_heads(self, until: int) -> dict[str, StreamHead]:
        """Of each tenant, where the archived part of its chain ends."""
        async with self.read() as transaction:
            rows = await transaction.fetch(self._queries.archived_heads, {"until": until})
        return {row.tenant: StreamHead(sequence=row.sequence, hash=row.hash) for row in rows}

    async def check_tail(self) -> None:
        """Check the chain of the last TAIL_EVENTS_CHECKED events; raises LogDamaged."""
        head = await self.committed_head()
        await self.check_range(max(0, head - TAIL_EVENTS_CHECKED), head)

    async def check_range(
        self,
        after: int,
        until: int,
        *,
        pause_seconds: float = 0.0,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Check positions and every tenant's chain in a range of positions; raises LogDamaged.

        What was archived is not looked at; what follows it must follow from where it ended.
        ``pause_seconds`` after each page leave the processor to others.
        """
        heads: dict[str, StreamHead] = {}
        archived = await self.archived()
        before = GENESIS if after <= archived else None
        if archived > 0 and after <= archived:
            after, heads = archived, await self._archived_heads(archived)
        while after < until:
            try:
                read = await self._checked_page(after, until, heads, before)
            except LogCorrupted:
                if (archived := await self.archived()) <= after:
                    raise
                # What is missing was archived meanwhile: look at what follows.
                after, before, heads = archived, GENESIS, await self._archived_heads(archived)
                continue
            after += read
            progress(read)
            await asyncio.sleep(pause_seconds)

    async def _checked_page(
        self, after: int, until: int, heads: dict[str, StreamHead], before: StreamHead | None
    ) -> int:
        """How many events were read; ``heads`` are those after them. Raises LogDamaged."""
        try:
            events_read = await self.after(after, min(PAGE_EVENTS_MAX, until - after))
            _check_page(events_read, after, heads, before)
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            message = f"a value after position {after} cannot be one of ours: {error}"
            raise LogCorrupted(message) from error
        return len(events_read)


class LogCorrupted(Exception):
    """The log is not what was written."""


def _check_page(
    page: Sequence[RecordedEvent],
    after: int,
    heads: dict[str, StreamHead],
    before: StreamHead | None,
) -> None:
    """A tenant's first event follows ``before``; where that is unknown, because the range begins
    in the middle of the log, it vouches for those that follow it.
    """
    for offset, event in enumerate(page, start=1):
        if event.position != after + offset:
            message = f"position {after + offset} is missing from the log"
            raise LogCorrupted(message)
        if event.type == _CREATED and event.stream != f"tenant-{event.tenant}":
            raise LogCorrupted(f"{event.stream} was created in the log of tenant {event.tenant}")
        known = heads.get(event.tenant, GENESIS if event.sequence == 1 else before)
        try:
            heads[event.tenant] = (
                check([event], known)
                if known
                else StreamHead(sequence=event.sequence, hash=event.hash)
            )
        except ChainBroken as broken:
            raise LogCorrupted(f"tenant {event.tenant}: {broken}") from broken
    if not page:
        message = f"the log ends at position {after}, before its own head"
        raise LogCorrupted(message)


class _Queries:
    """Built once, so that nothing is compiled while commands wait."""

    def __init__(self, database: Database) -> None:
        last = select(events.c.position, events.c.at).order_by(events.c.position.desc()).limit(1)
        by_position = select(events).where(events.c.position > bindparam("position"))
        by_sequence = select(events).where(
            events.c.tenant == bindparam("tenant"),
            events.c.sequence > bindparam("after"),
            events.c.sequence <= bindparam("until"),
        )
        limit: BindParameter[int] = bindparam("limit")
        self.page_statement = by_sequence.order_by(events.c.sequence).limit(limit)
        self.append = Query(insert(events), database.dialect)
        self.head = Query(last, database.dialect)
        time = database.shared_time
        self.time = None if time is None else Query(time, database.dialect)
        self.tenant_heads = Query(_tenant_heads(database), database.dialect)
        self.after = Query(by_position.order_by(events.c.position).limit(limit), database.dialect)
        self.page = Query(self.page_statement, database.dialect)
        of_tenant = select(events.c.sequence).where(events.c.tenant == bindparam("tenant"))
        self.oldest = Query(of_tenant.order_by(events.c.sequence).limit(1), database.dialect)
        last_archived = func.max(archives.c.last_position).label("last")
        self.archived = Query(select(last_archived), database.dialect)
        archived = events.c.position <= bindparam("until")
        heads = select(events.c.tenant, events.c.sequence, events.c.hash).where(archived)
        self.archived_heads = Query(heads.order_by(events.c.position), database.dialect)


def _tenant_heads(database: Database) -> Select[Any]:
    names, (tenant,) = database.rows("tenants", 1)
    earlier = events.alias()
    last = (
        select(func.max(earlier.c.sequence))
        .where(earlier.c.tenant == tenant)
        .correlate(names)
        .scalar_subquery()
    )
    same = and_(events.c.tenant == tenant, events.c.sequence == last)
    return select(events.c.tenant, events.c.sequence, events.c.hash).select_from(
        names.join(events, same)
    )


def _filtered(statement: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.type is not None:
        statement = statement.where(events.c.type == wanted.type)
    if wanted.agent_id is not None:
        # A quoted id in canonical JSON is a whole value: within user text, quotes are escaped.
        named = events.c.data.contains(f'"{wanted.agent_id}"', autoescape=True)
        statement = statement.where(named | (events.c.actor == wanted.agent_id))
    return statement


_BEFORE_DATA = attrgetter(
    "position",
    "tenant",
    "sequence",
    "id",
    "stream",
    "type",
    "version",
    "at",
    "actor",
    "command_id",
)


def _as_row(event: RecordedEvent) -> tuple[Any, ...]:
    return (*_BEFORE_DATA(event), event.data.decode(), event.hash)


def event_from_row(row: Any) -> RecordedEvent:  # noqa: ANN401 - a row of ``events``.
    return RecordedEvent(
        position=row.position,
        tenant=row.tenant,
        sequence=row.sequence,
        id=row.id,
        stream=row.stream,
        type=row.type,
        version=row.version,
        at=Timestamp(row.at),
        actor=row.actor,
        command_id=row.command_id,
        data=row.data.encode(),
        hash=row.hash,
    )
