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
from sqlalchemy import BindParameter, MetaData, Select, and_, bindparam, func, insert, select

from quorate.domain.instants import Instant
from quorate.domain.record import record
from quorate.domain.tenants import TenantCreated
from quorate.eventlog.backend import Backend
from quorate.eventlog.chain import GENESIS, ChainBroken, check
from quorate.eventlog.recorded import Head, Recorded
from quorate.eventlog.schema import events, metadata
from quorate.eventlog.session import Look, Query, Session

TAIL_EVENTS_CHECKED = 10_000
PAGE_EVENTS_MAX = 1_000
SCAN_EVENTS_MAX = 10_000
_CREATED = TenantCreated.__name__


@record
class LogHead:
    """The last event of all: where the next one goes, and the time it must not precede."""

    position: int
    at: Instant


class Heads:
    """Where the log ends, and where those of some tenants do."""

    def __init__(self, tenants: Iterable[str]) -> None:
        self.last = LogHead(position=0, at=Instant(0))
        self.tenants = dict.fromkeys(tenants, GENESIS)

    def take_last(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.last = LogHead(position=row.position, at=Instant(row.at))

    def take_tenants(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.tenants[row.tenant] = Head(sequence=row.sequence, hash=row.hash)


@record
class Filter:
    """Which events a reader wants; None is all."""

    type: str | None = None
    agent_id: str | None = None


@record
class Page:
    """Events of one tenant, oldest first. ``scanned_to`` is where the next page goes on."""

    events: Sequence[Recorded]
    head: int
    scanned_to: int


class EventLog:
    """The log in a database. Opened once per process; ``write`` is for the one writer task."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._queries = _Queries(backend)

    async def open(self, *others: MetaData) -> None:
        """Create what is missing, and check durability."""
        await self.backend.open([metadata, *others], append_only=[events.name])

    async def close(self) -> None:
        await self.backend.close()

    async def reopen(self) -> None:
        """After an I/O error: a new connection, and another look at the end of the chain."""
        await self.backend.reopen()
        await self.check_tail()

    # -- Writing -------------------------------------------------------------

    def write(self) -> AbstractAsyncContextManager[Session]:
        """One transaction that holds the log's lock from its first statement."""
        return self.backend.write()

    async def head(self, session: Session) -> LogHead:
        heads = Heads(())
        await session.look(self.looks(heads))
        return heads.last

    async def last_sequence(self, session: Session, tenant: str) -> int:
        heads = Heads((tenant,))
        await session.look(self.looks(heads))
        return heads.tenants[tenant].sequence

    def looks(self, heads: "Heads") -> Sequence[Look]:
        """What to ask in order to know ``heads``."""
        names = {"tenants": orjson.dumps([[tenant] for tenant in heads.tenants]).decode()}
        return [
            Look(query=self._queries.head, values={}, take=heads.take_last),
            Look(query=self._queries.tenant_heads, values=names, take=heads.take_tenants),
        ]

    async def append(self, session: Session, rows: Sequence[Recorded]) -> None:
        await session.write(self._queries.append, [_as_row(row) for row in rows])

    # -- Reading -------------------------------------------------------------

    def read(self) -> AbstractAsyncContextManager[Session]:
        """One consistent snapshot of everything that is committed."""
        return self.backend.read()

    async def committed_head(self) -> int:
        """The last committed position."""
        async with self.read() as session:
            return (await self.head(session)).position

    async def after(self, position: int, limit: int) -> Sequence[Recorded]:
        """Committed events of all tenants that follow ``position``, in order."""
        values = {"position": position, "limit": limit}
        async with self.read() as session:
            return [recorded(row) for row in await session.fetch(self._queries.after, values)]

    async def page(self, tenant: str, after: int, limit: int, wanted: Filter) -> Page:
        """Up to ``limit`` events of a tenant that follow ``after``.

        A filter that matches seldom looks at no more than SCAN_EVENTS_MAX events a page.
        """
        values = {"tenant": tenant, "after": after, "until": after + SCAN_EVENTS_MAX}
        query = self._queries.page
        if wanted != Filter():
            query = Query(_filtered(self._queries.page_statement, wanted), self.backend.dialect)
        heads = Heads((tenant,))
        rows: list[Any] = []
        events_asked = Look(query=query, values={**values, "limit": limit}, take=rows.extend)
        async with self.read() as session:
            await session.look([*self.looks(heads), events_asked])
        head = heads.tenants[tenant].sequence
        found = [recorded(row) for row in rows]
        full = len(found) == limit
        scanned_to = found[-1].sequence if full else min(head, after + SCAN_EVENTS_MAX)
        return Page(events=found, head=head, scanned_to=max(scanned_to, after))

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

        ``pause_seconds`` after each page leave the processor to others.
        """
        heads: dict[str, Head] = {}
        before = GENESIS if after == 0 else None
        while after < until:
            try:
                events_read = await self.after(after, min(PAGE_EVENTS_MAX, until - after))
                _check_page(events_read, after, heads, before)
            except (AttributeError, OverflowError, TypeError, ValueError) as error:
                message = f"a value after position {after} cannot be one of ours: {error}"
                raise LogDamaged(message) from error
            after += len(events_read)
            progress(len(events_read))
            await asyncio.sleep(pause_seconds)


class LogDamaged(Exception):
    """The log is not what was written."""


def _check_page(
    page: Sequence[Recorded], after: int, heads: dict[str, Head], before: Head | None
) -> None:
    """A tenant's first event follows ``before``; where that is unknown, because the range begins
    in the middle of the log, it vouches for those that follow it.
    """
    for offset, event in enumerate(page, start=1):
        if event.position != after + offset:
            message = f"position {after + offset} is missing from the log"
            raise LogDamaged(message)
        if event.type == _CREATED and event.stream != f"tenant-{event.tenant}":
            raise LogDamaged(f"{event.stream} was created in the log of tenant {event.tenant}")
        known = heads.get(event.tenant, GENESIS if event.sequence == 1 else before)
        try:
            heads[event.tenant] = (
                check([event], known) if known else Head(sequence=event.sequence, hash=event.hash)
            )
        except ChainBroken as broken:
            raise LogDamaged(f"tenant {event.tenant}: {broken}") from broken
    if not page:
        message = f"the log ends at position {after}, before its own head"
        raise LogDamaged(message)


class _Queries:
    """Built once, so that nothing is compiled while commands wait."""

    def __init__(self, backend: Backend) -> None:
        last = select(events.c.position, events.c.at).order_by(events.c.position.desc()).limit(1)
        by_position = select(events).where(events.c.position > bindparam("position"))
        by_sequence = select(events).where(
            events.c.tenant == bindparam("tenant"),
            events.c.sequence > bindparam("after"),
            events.c.sequence <= bindparam("until"),
        )
        limit: BindParameter[int] = bindparam("limit")
        self.page_statement = by_sequence.order_by(events.c.sequence).limit(limit)
        self.append = Query(insert(events), backend.dialect)
        self.head = Query(last, backend.dialect)
        self.tenant_heads = Query(_tenant_heads(backend), backend.dialect)
        self.after = Query(by_position.order_by(events.c.position).limit(limit), backend.dialect)
        self.page = Query(self.page_statement, backend.dialect)


def _tenant_heads(backend: Backend) -> Select[Any]:
    names, (tenant,) = backend.rows("tenants", 1)
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


def _as_row(event: Recorded) -> tuple[Any, ...]:
    return (*_BEFORE_DATA(event), event.data.decode(), event.hash)


def recorded(row: Any) -> Recorded:  # noqa: ANN401 - a row of ``events``.
    return Recorded(
        position=row.position,
        tenant=row.tenant,
        sequence=row.sequence,
        id=row.id,
        stream=row.stream,
        type=row.type,
        version=row.version,
        at=Instant(row.at),
        actor=row.actor,
        command_id=row.command_id,
        data=row.data.encode(),
        hash=row.hash,
    )
