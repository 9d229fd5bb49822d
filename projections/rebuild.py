"""Rebuild the projections from the log, and check the live projections against it.

* ``rebuild`` drops every projection and builds it again in one transaction. A reader sees the old
  tables or the new ones, and an interrupted rebuild changes nothing.
* The search index of messages is emptied, and their messages are marked to be indexed again. The
  history is emptied; the service fills it again.
* ``check`` reads one snapshot of a live log, builds its projections in a scratch database, and
  compares every row. It writes nothing to the database that it checks.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Select, bindparam, func, insert, select
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from quorate.domain.shared.records import record
from quorate.eventlog.archive.archiver import archive_end_in
from quorate.eventlog.archive.files import ArchivedEvents
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import LogCorrupted
from quorate.eventlog.tables import events
from quorate.eventlog.transactions import DatabaseTransaction, Definition, Query, UnpackedQuery
from quorate.projections.comparison import Differences, compare
from quorate.projections.history.refill import REFILL
from quorate.projections.replay import REPLAY_COLUMNS, Replay, ReplayRow, RowsOf, replay_row
from quorate.projections.search_index import INDEX_AGAIN
from quorate.projections.tables import metadata

EVENTS_PER_PAGE = 5_000
EVENTS_BETWEEN_WRITES = 50_000
# Called after each page with the number of events replayed, and the number of all events.
Progress: TypeAlias = Callable[[int, int], None]


@record
class RebuildResult:
    """The number of events replayed, and of rows written."""

    events: int
    rows: int


@record
class RebuildCheckResult:
    """The differences between the live projections and a rebuild of them."""

    events: int
    rows: int
    differences: Differences


def _quiet(_done: int, _of: int) -> None:
    pass


async def rebuild(
    database: Database, progress: Progress = _quiet, archive: Path | None = None
) -> RebuildResult:
    """Drop and rebuild the projections. No other process may append to the log meanwhile.

    Archived events are read from the files in ``archive``; raise ArchiveNeeded if they are missing.
    """
    queries = _Queries(database.dialect)
    async with database.write() as transaction:
        past = ArchivedEvents(archive, await archive_end_in(transaction, database.dialect))
        await _define(transaction, queries.drops)
        source = _Source(transaction, queries, past)
        result = await _build(source, transaction, queries, progress)
        await _define(transaction, queries.index_again)
        await _define(transaction, queries.refill)
        return result


async def check(
    live: Database, scratch: Database, progress: Progress = _quiet, archive: Path | None = None
) -> RebuildCheckResult:
    """Compare the projections of ``live`` with those rebuilt from its log in ``scratch``."""
    queries = _Queries(live.dialect)
    built_with = _Queries(scratch.dialect)
    async with live.read() as snapshot, scratch.write() as scratch_transaction:
        past = ArchivedEvents(archive, await archive_end_in(snapshot, live.dialect))
        await _define(scratch_transaction, built_with.drops)
        built = await _build(
            _Source(snapshot, queries, past), scratch_transaction, built_with, progress
        )
        differences = await compare(
            (snapshot, live.dialect), (scratch_transaction, scratch.dialect), metadata.sorted_tables
        )
    return RebuildCheckResult(events=built.events, rows=built.rows, differences=differences)


# -- Building ------------------------------------------------------------------


class _Source:
    """The events of a log in large pages, the archived ones first."""

    def __init__(
        self, transaction: DatabaseTransaction, queries: "_Queries", past: ArchivedEvents
    ) -> None:
        self._transaction = transaction
        self._queries = queries
        self._past = past

    async def count(self) -> int:
        ((head,),) = await self._transaction.fetch(self._queries.head, {})
        return head or 0

    async def page(self, after: int) -> list[ReplayRow]:
        if after < self._past.until:
            page = [replay_row(event) for event in self._past.page(EVENTS_PER_PAGE)]
        else:
            values = {"after": after, "limit": EVENTS_PER_PAGE}
            page = list(await self._transaction.fetch(self._queries.page, values))
        if not page or page[-1][0] != after + len(page):
            raise LogCorrupted(f"events are missing from the log after position {after}")
        return page


async def _build(
    source: _Source, into: DatabaseTransaction, queries: "_Queries", progress: Progress
) -> RebuildResult:
    """Create tables, fill them, then create their indexes: that is the fastest order."""
    await _define(into, queries.tables)
    replay = Replay()
    count = await source.count()
    done, written, rows = 0, 0, 0
    progress(done, count)
    while done < count:
        page = await source.page(done)
        replay.apply(page)
        done += len(page)
        if done - written >= EVENTS_BETWEEN_WRITES:
            rows += await _write(into, queries, replay.final_rows())
            written = done
        progress(done, count)
    rows += await _write(into, queries, replay.remaining_rows())
    await _define(into, queries.indexes)
    return RebuildResult(events=count, rows=rows)


async def _write(transaction: DatabaseTransaction, queries: "_Queries", rows: RowsOf) -> int:
    for table, values in rows.items():
        if values:
            await transaction.write(queries.inserts[table], values)
    return sum(map(len, rows.values()))


async def _define(transaction: DatabaseTransaction, definitions: Iterable[Definition]) -> None:
    for definition in definitions:
        await transaction.fetch(definition, {})


# -- Statements ----------------------------------------------------------------


class _Queries:
    def __init__(self, dialect: Dialect) -> None:
        following = select(*REPLAY_COLUMNS).where(events.c.position > bindparam("after"))
        page = following.order_by(events.c.position).limit(bindparam("limit"))
        self.page = _TupleQuery(page, dialect)
        self.head = Query(select(func.max(events.c.position).label("head")), dialect)
        tables = metadata.sorted_tables
        self.drops = [Definition(DropTable(table, if_exists=True), dialect) for table in tables]
        self.tables = [Definition(CreateTable(table), dialect) for table in tables]
        self.indexes = [
            Definition(CreateIndex(index), dialect)
            for table in tables
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
        self.refill = [Definition(statement, dialect) for statement in REFILL]
        self.index_again = [Definition(statement, dialect) for statement in INDEX_AGAIN]
        self.inserts = {table: Query(insert(table), dialect) for table in tables}


def _unchanged(row: Any) -> Any:  # noqa: ANN401 - a row of any table.
    return row


class _TupleQuery(UnpackedQuery):
    """A query that returns plain tuples: naming the columns of each row costs more than reading."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        self.row = _unchanged
