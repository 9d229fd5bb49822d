"""The append-only event store: one table with one global order.

Positions are assigned under the log's lock, inside the transaction that appends. Readers therefore
see committed events in the order of their positions, without gaps, and no event appears later at
a position that was already read.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from operator import attrgetter
from typing import Any

import orjson

from quorate.domain.identity.tenants import TenantCreated
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog import pages
from quorate.eventlog.database import Database, Schema
from quorate.eventlog.event_filter import Filter, add_conditions
from quorate.eventlog.event_queries import EventQueries
from quorate.eventlog.event_times import EventTimes
from quorate.eventlog.hash_chain import GENESIS, ChainBroken, verify_chain
from quorate.eventlog.moments import Moment, current_moment
from quorate.eventlog.pages import PageBuilder
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.transactions import DatabaseTransaction, Lookup, Query

TAIL_EVENTS_VERIFIED = 10_000
PAGE_EVENTS_MAX = 1_000
SCAN_EVENTS_MAX = 10_000
_CREATED = TenantCreated.__name__


@record
class LogHead:
    """Position and time of the last event; the next event must not have an earlier time."""

    position: int
    at: Timestamp


class Heads:
    """The head of the log and the heads of some tenants' chains."""

    def __init__(self, tenants: Iterable[str]) -> None:
        self.last = LogHead(position=0, at=Timestamp(0))
        self.tenants = dict.fromkeys(tenants, GENESIS)

    def take_last(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.last = LogHead(position=row.position, at=Timestamp(row.at))

    def take_tenants(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self.tenants[row.tenant] = StreamHead(sequence=row.sequence, hash=row.hash)


class OldestEvent:
    """The sequence of a tenant's first event that is still in the events table."""

    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self._first = 1

    def take(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self._first = row.sequence

    @property
    def archived(self) -> int:
        """The last archived sequence; 0 when none is archived."""
        return self._first - 1

    def gap(self, after: int) -> "Gap | None":
        return Gap(after=after, until=self.archived) if after < self.archived else None


@record
class Gap:
    """A truncated range: events after ``after`` up to ``until`` are archived."""

    after: int
    until: int


@record
class Page:
    """Events of one tenant, oldest first; the next page starts after ``scanned_to``.

    ``gap`` is the archived range before them, if the requested page began in it. ``scanned`` is how
    many events were read: those before ``since`` and archived ones are skipped.
    """

    events: Sequence[RecordedEvent]
    head: int
    scanned_to: int
    scanned: int
    gap: Gap | None


class EventStore:
    """The log in a database, opened once per process; only the writer task calls ``write``."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.id = ""  # Until ``load_id``.
        self._queries = EventQueries(database)
        self._times = EventTimes(database)
        self._is_writing = False

    async def open(self, schema: Schema | None = None) -> None:
        """Open the database, and check the tables and the durability of commits."""
        await self.database.open(schema)

    async def close(self) -> None:
        await self.database.close()

    async def reopen(self) -> None:
        """After an I/O error: open a new connection and verify the end of the chain."""
        await self.database.reopen()
        await self.verify_tail()

    # -- Writing -------------------------------------------------------------

    @asynccontextmanager
    async def write(self) -> AsyncIterator[DatabaseTransaction]:
        """Begin a transaction that holds the log's lock from its first statement.

        There is one connection for writing. A second transaction would end the first one, so it
        is a bug. While a command bus is open, it writes: see ``CommandBus.run_chore``.
        """
        if self._is_writing:
            message = "two transactions write at once on one connection"
            raise RuntimeError(message)
        self._is_writing = True
        try:
            async with self.database.write() as transaction:
                yield transaction
        finally:
            self._is_writing = False

    async def head(self, transaction: DatabaseTransaction) -> LogHead:
        heads = Heads(())
        await transaction.look_up(self.head_lookups(heads))
        return heads.last

    async def last_sequence(self, transaction: DatabaseTransaction, tenant: str) -> int:
        heads = Heads((tenant,))
        await transaction.look_up(self.head_lookups(heads))
        return heads.tenants[tenant].sequence

    def head_lookups(self, heads: "Heads") -> Sequence[Lookup]:
        """Return the lookups that fill ``heads``."""
        names = {"tenants": orjson.dumps([[tenant] for tenant in heads.tenants]).decode()}
        return [
            Lookup(query=self._queries.head, values={}, take=heads.take_last),
            Lookup(query=self._queries.tenant_heads, values=names, take=heads.take_tenants),
        ]

    async def append(self, transaction: DatabaseTransaction, rows: Sequence[RecordedEvent]) -> None:
        await transaction.write(self._queries.append, [_as_row(row) for row in rows])

    # -- Reading -------------------------------------------------------------

    def read(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        """Begin a transaction that reads one consistent snapshot of the committed state.

        If this task reads as of a moment, the snapshot is that of then.
        """
        moment = current_moment()
        return self.database.read() if moment is None else self._read_as_of(moment)

    @asynccontextmanager
    async def _read_as_of(self, moment: Moment) -> AsyncIterator[DatabaseTransaction]:
        async with self.database.read() as transaction:
            yield moment.transaction(transaction)

    async def committed_head(self) -> int:
        """Return the last committed position."""
        async with self.read() as transaction:
            return (await self.head(transaction)).position

    async def committed_sequence(self, tenant: str) -> int:
        """Return the last committed sequence of a tenant."""
        async with self.read() as transaction:
            return await self.last_sequence(transaction, tenant)

    async def load_id(self) -> None:
        """Load the random id of this log; a log that is restored from a backup has another."""
        async with self.read() as transaction:
            ((self.id,),) = await transaction.fetch(self._queries.log_id, {})

    async def after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return committed events of all tenants that follow ``position``, in order."""
        values = {"position": position, "limit": limit}
        async with self.read() as transaction:
            return [
                event_from_row(row) for row in await transaction.fetch(self._queries.after, values)
            ]

    async def page(self, tenant: str, after: int, limit: int, conditions: Filter) -> Page:
        """Return up to ``limit`` events of a tenant that follow ``after``.

        A page scans at most SCAN_EVENTS_MAX events, and it has fewer events when they are large.
        """
        query = self._queries.page
        if conditions != Filter():
            query = Query(
                add_conditions(self._queries.page_statement, conditions), self.database.dialect
            )
        builder = _page_builder(limit)

        def next_part(after: int, until: int) -> Lookup:
            values = {
                "tenant": tenant,
                "after": after,
                "until": until,
                "limit": builder.part_limit,
            }
            return Lookup(query=query, values=values, take=builder.add)

        heads, oldest = Heads((tenant,)), OldestEvent(tenant)
        async with self.read() as transaction:
            span = await self._times.span(transaction, tenant, conditions.since, conditions.until)
            after = max(after, span.after)
            until = min(after + SCAN_EVENTS_MAX, span.until)
            first = next_part(after, until)
            await transaction.look_up(
                [*self.head_lookups(heads), self.oldest_lookup(oldest), first]
            )
            if gap := oldest.gap(after):
                after, builder = gap.until, _page_builder(limit)
                until = min(after + SCAN_EVENTS_MAX, span.until)
                await transaction.look_up([next_part(after, until)])
            while builder.needs_part:
                await transaction.look_up([next_part(builder.items[-1].sequence, until)])
        head, found = heads.tenants[tenant].sequence, builder.items
        read_to = found[-1].sequence if builder.has_more else min(head, until)
        # All later events are too late for the filter.
        is_last = not builder.has_more and until >= span.until
        return Page(
            events=found,
            head=head,
            scanned_to=max(head if is_last else read_to, after),
            scanned=max(0, read_to - after),
            gap=gap,
        )

    def oldest_lookup(self, oldest: "OldestEvent") -> Lookup:
        """Return the lookup that fills ``oldest``."""
        return Lookup(
            query=self._queries.oldest, values={"tenant": oldest.tenant}, take=oldest.take
        )

    async def archived(self) -> int:
        """Return the last archived position; 0 when none is archived."""
        async with self.read() as transaction:
            ((last,),) = await transaction.fetch(self._queries.archived, {})
        return last or 0

    async def _archived_heads(self, until: int) -> dict[str, StreamHead]:
        """Return the last archived event of each tenant's chain."""
        async with self.read() as transaction:
            rows = await transaction.fetch(self._queries.archived_heads, {"until": until})
        return {row.tenant: StreamHead(sequence=row.sequence, hash=row.hash) for row in rows}

    async def verify_tail(self) -> None:
        """Verify the chain of the last TAIL_EVENTS_VERIFIED events; raises LogCorrupted."""
        head = await self.committed_head()
        await self.verify_range(max(0, head - TAIL_EVENTS_VERIFIED), head)

    async def verify_range(
        self,
        after: int,
        until: int,
        *,
        pause_seconds: float = 0.0,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Verify positions and all tenants' chains in a range of positions; raises LogCorrupted.

        Archived events are skipped; the events after them must continue their chains. A pause of
        ``pause_seconds`` after each page leaves the processor to other work.
        """
        heads: dict[str, StreamHead] = {}
        archived = await self.archived()
        before = GENESIS if after <= archived else None
        if archived > 0 and after <= archived:
            after, heads = archived, await self._archived_heads(archived)
        while after < until:
            try:
                read = await self._verify_page(after, until, heads, before)
            except LogCorrupted:
                if (archived := await self.archived()) <= after:
                    raise
                # The missing events were archived meanwhile: continue after them.
                after, before, heads = archived, GENESIS, await self._archived_heads(archived)
                continue
            after += read
            progress(read)
            await asyncio.sleep(pause_seconds)

    async def _verify_page(
        self, after: int, until: int, heads: dict[str, StreamHead], before: StreamHead | None
    ) -> int:
        """Verify one page, update ``heads``, return the number of events; raises LogCorrupted."""
        try:
            events_read = await self.after(after, min(PAGE_EVENTS_MAX, until - after))
            _verify_events(events_read, after, heads, before)
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            message = f"a value after position {after} is invalid: {error}"
            raise LogCorrupted(message) from error
        return len(events_read)


def _page_builder(limit: int) -> PageBuilder[RecordedEvent]:
    bytes_max = pages.PAGE_BYTES_MAX
    return PageBuilder(limit, event_from_row, lambda event: len(event.data), bytes_max)


class LogCorrupted(Exception):
    """The log differs from what was written."""


def _verify_events(
    page: Sequence[RecordedEvent],
    after: int,
    heads: dict[str, StreamHead],
    before: StreamHead | None,
) -> None:
    """Verify positions and chains, and update ``heads``.

    A tenant's first event in the range must follow ``before``. When the range begins in the middle
    of the log, ``before`` is None, and the chain is verified from that event on.
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
                verify_chain([event], known)
                if known
                else StreamHead(sequence=event.sequence, hash=event.hash)
            )
        except ChainBroken as broken:
            raise LogCorrupted(f"tenant {event.tenant}: {broken}") from broken
    if not page:
        message = f"the log ends at position {after}, before its own head"
        raise LogCorrupted(message)


_BEFORE_DATA = attrgetter(
    *("position", "tenant", "sequence", "id", "stream"),
    *("type", "version", "at", "actor", "command_id"),
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
