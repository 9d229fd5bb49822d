"""One consistent snapshot of a tenant's read models, and the pages that are read in it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any, Generic, TypeVar

from quorate.domain.shared.records import changed, record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.event_store import EventStore, Heads
from quorate.eventlog.pages import PAGE_BYTES_MAX, PageBuilder
from quorate.eventlog.transactions import DatabaseTransaction, Query

T = TypeVar("T")
_id = attrgetter("id")


@record
class QueryResult(Generic[T]):
    """What was found, the tenant's head sequence in that snapshot, and the time of the query.

    ``has_more``: a following page may have more.
    """

    found: T
    sequence: int
    now: Timestamp
    has_more: bool = False


@record
class Size(Generic[T]):
    """The bytes that an item takes in the response, at the time of the query, and their maximum."""

    of: Callable[[T, Timestamp], int]
    bytes_max: int


# Only ``limit`` ends a page.
UNSIZED: Size[Any] = Size(of=lambda _item, _now: 0, bytes_max=PAGE_BYTES_MAX)


class Listing(Generic[T]):
    """A query with the parameters ``after`` and ``limit``, and how to read its rows.

    ``cursor`` returns the value of ``after`` that follows a row.
    """

    def __init__(
        self,
        query: Query,
        values: dict[str, Any],
        from_row: Callable[[Any], T],
        cursor: Callable[[Any], str] = _id,
    ) -> None:
        self.query = query
        self.values = values
        self.from_row = from_row
        self.cursor = cursor


class Snapshot:
    """One snapshot, and the time at which deadlines are compared with it."""

    def __init__(self, transaction: DatabaseTransaction, sequence: int, now: Timestamp) -> None:
        self.transaction = transaction
        self._sequence = sequence
        self.now = now

    async def rows(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        return await self.transaction.fetch(query, values)

    async def page(
        self, listing: Listing[T], limit: int, size: Size[T]
    ) -> QueryResult[Sequence[T]]:
        """Read one page in parts, up to ``limit`` items, or fewer when they are large."""
        values = listing.values

        async def read(after: str, length: int) -> Sequence[Any]:
            return await self.rows(listing.query, {**values, "after": after, "limit": length})

        return await self._collect(
            read, values["after"], limit, size, listing.from_row, listing.cursor
        )

    async def collect(
        self,
        read: Callable[[str, int], Awaitable[Sequence[T]]],
        after: str,
        limit: int,
        size: Size[T],
    ) -> QueryResult[Sequence[T]]:
        """Read one page as ``page`` does, from items with an ``id`` that ``read`` returns."""
        return await self._collect(read, after, limit, size, lambda item: item, _id)

    async def _collect(  # noqa: PLR0917 - the parts of a listing.
        self,
        read: Callable[[str, int], Awaitable[Sequence[Any]]],
        after: str,
        limit: int,
        size: Size[T],
        from_row: Callable[[Any], T],
        cursor: Callable[[Any], str],
    ) -> QueryResult[Sequence[T]]:
        now = self.now
        page = PageBuilder(limit, from_row, lambda item: size.of(item, now), size.bytes_max)
        while page.needs_part:
            rows = await read(after, page.part_limit)
            page.add(rows)
            if rows:
                after = cursor(rows[-1])
        return changed(self.result(page.items), has_more=page.has_more)

    def result(self, found: T) -> QueryResult[T]:
        return QueryResult(found=found, sequence=self._sequence, now=self.now)


@asynccontextmanager
async def open_snapshot(
    log: EventStore, clock: Callable[[], Timestamp], tenant: str
) -> AsyncIterator[Snapshot]:
    async with log.read() as transaction:
        heads = Heads((tenant,))
        await transaction.look_up(log.head_lookups(heads))
        head, sequence = heads.last, heads.tenants[tenant].sequence
        yield Snapshot(transaction, sequence, max(clock(), head.at))
