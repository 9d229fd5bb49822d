"""Rebuild projections from the log while other processes append to it.

1. The log is replayed into staging tables. Writers are not blocked.
2. The lock of the log is taken and the last few events are replayed.
3. Rows that differ are replaced in the projections. A reader sees all changes or none of them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Table, delete, func, insert, select, tuple_
from sqlalchemy.schema import CreateTable, DropTable

from quorate.eventlog.archive.archiver import archive_end
from quorate.eventlog.archive.files import NOTHING_ARCHIVED, ArchivedEvents
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import LogCorrupted
from quorate.eventlog.tables import events
from quorate.projections.history.refill import refill
from quorate.projections.rebuild import (
    EVENTS_BETWEEN_WRITES,
    EVENTS_PER_PAGE,
    Progress,
    RebuildResult,
)
from quorate.projections.replay import REPLAY_COLUMNS, Replay, RowsOf, replay_row
from quorate.projections.search_index import index_again
from quorate.projections.tables import metadata

EVENTS_LEFT_MAX = 5_000  # Replayed under the lock, while no other process can append.


async def rebuild_online(
    database: Database, progress: Progress, archive: Path | None = None
) -> RebuildResult:
    """Make every projection equal to what the log gives, while other processes keep working.

    Archived events are read from the files in ``archive``; raise ArchiveNeeded if they are missing.
    """

    def work(connection: Connection, lock_log: Callable[[], None]) -> RebuildResult:
        rebuild = OnlineRebuild(connection, metadata.sorted_tables, progress, archive)
        rebuild.prepare()
        lock_log()
        result = rebuild.finish()
        index_again(connection)
        refill(connection)
        return result

    return await database.define(work)


class OnlineRebuild:
    """Rebuild some projections inside one transaction."""

    def __init__(
        self,
        connection: Connection,
        tables: Sequence[Table],
        progress: Progress,
        archive: Path | None = None,
    ) -> None:
        self._connection = connection
        self._past = ArchivedEvents(
            archive, archive_end(connection) if tables else NOTHING_ARCHIVED
        )
        self._progress = progress
        self._staging_tables = {table: _staging_table(table, connection) for table in tables}
        self._replay = Replay()
        self._done = 0
        self._written = 0
        self._rows = 0

    def prepare(self) -> None:
        """Replay the events recorded so far, while other processes append."""
        if not self._staging_tables:
            return
        for staging in self._staging_tables.values():
            self._connection.execute(CreateTable(staging))
        while self._head() - self._done > EVENTS_LEFT_MAX:
            self._read_to(self._head())

    def finish(self) -> RebuildResult:
        """Replay the remaining events and replace the rows; the caller holds the log's lock."""
        if not self._staging_tables:
            return RebuildResult(events=0, rows=0)
        self._read_to(self._head())
        self._write(self._replay.remaining_rows())
        for table, staging in self._staging_tables.items():
            self._replace(table, staging)
            self._connection.execute(DropTable(staging))
        return RebuildResult(events=self._done, rows=self._rows)

    # -- Replaying -------------------------------------------------------------

    def _head(self) -> int:
        return self._connection.execute(select(func.max(events.c.position))).scalar() or 0

    def _read_to(self, head: int) -> None:
        self._progress(self._done, head)
        while self._done < head:
            page = self._page()
            self._replay.apply(page)
            self._done += len(page)
            if self._done - self._written >= EVENTS_BETWEEN_WRITES:
                self._write(self._replay.final_rows())
                self._written = self._done
            self._progress(self._done, max(head, self._done))

    def _page(self) -> list[Any]:
        if self._done < self._past.until:
            rows: list[Any] = [replay_row(event) for event in self._past.page(EVENTS_PER_PAGE)]
        else:
            following = select(*REPLAY_COLUMNS).where(events.c.position > self._done)
            page = following.order_by(events.c.position).limit(EVENTS_PER_PAGE)
            rows = [tuple(row) for row in self._connection.execute(page)]
        if not rows or rows[-1][0] != self._done + len(rows):
            raise LogCorrupted(f"events are missing from the log after position {self._done}")
        return rows

    def _write(self, rows: RowsOf) -> None:
        for table, staging in self._staging_tables.items():
            if values := rows[table]:
                names = [column.name for column in staging.columns]
                self._connection.execute(
                    insert(staging), [dict(zip(names, one, strict=True)) for one in values]
                )
                self._rows += len(values)

    # -- Replacing ---------------------------------------------------------------

    def _replace(self, table: Table, staging: Table) -> None:
        """Replace only rows that differ; the rest of a large table is not written or locked."""
        names = [column.name for column in staging.columns]
        current = select(*(table.c[name] for name in names))
        wanted = select(*(staging.c[name] for name in names))
        different = current.except_(wanted).subquery()
        keys = [column.name for column in table.primary_key]
        different_keys = select(*(different.c[name] for name in keys))
        key = tuple_(*(table.c[name] for name in keys))
        self._connection.execute(delete(table).where(key.in_(different_keys)))
        self._connection.execute(insert(table).from_select(names, wanted.except_(current)))


def _staging_table(table: Table, connection: Connection) -> Table:
    """The same columns without keys and indexes: fast to fill, and read once."""
    temporary = ["TEMPORARY"] if connection.dialect.name == "postgresql" else []
    columns = (Column(column.name, column.type) for column in table.columns)
    return Table(f"filled_{table.name}", MetaData(), *columns, prefixes=temporary)
