"""Projections filled from the log while others append to it.

The log is folded into tables beside, which nobody sees, without keeping anybody waiting. Then its
lock is taken, the last few events are folded too, and what is different is replaced, row by row:
whoever reads finds all that was there before, or all that is there afterwards.
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
from quorate.projections.rebuild import EVENTS_BETWEEN_WRITES, EVENTS_PER_PAGE, Progress, Rebuilt
from quorate.projections.replay import REPLAY_COLUMNS, Replay, RowsOf, replay_row
from quorate.projections.tables import metadata

EVENTS_LEFT_MAX = 5_000  # For the time in which nobody else can append.


async def refill(database: Database, progress: Progress, archive: Path | None = None) -> Rebuilt:
    """Every projection made what the log says, beside processes that go on working.

    Events that were archived come from the files in ``archive``; raises ArchiveNeeded without.
    """

    def work(connection: Connection, lock_log: Callable[[], None]) -> Rebuilt:
        filling = Filling(connection, metadata.sorted_tables, progress, archive)
        filling.prepare()
        lock_log()
        return filling.finish()

    return await database.define(work)


class Filling:
    """Some projections and what the log says of them; inside one transaction."""

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
        self._beside = {table: _beside(table, connection) for table in tables}
        self._fold = Replay()
        self._done = 0
        self._written = 0
        self._rows = 0

    def prepare(self) -> None:
        """Fold what is there by now; others go on appending meanwhile."""
        if not self._beside:
            return
        for beside in self._beside.values():
            self._connection.execute(CreateTable(beside))
        while self._head() - self._done > EVENTS_LEFT_MAX:
            self._read_to(self._head())

    def finish(self) -> Rebuilt:
        """Fold the rest and put the rows in place; from here on nobody else may append."""
        if not self._beside:
            return Rebuilt(events=0, rows=0)
        self._read_to(self._head())
        self._write(self._fold.remaining_rows())
        for table, beside in self._beside.items():
            self._replace(table, beside)
            self._connection.execute(DropTable(beside))
        return Rebuilt(events=self._done, rows=self._rows)

    # -- Folding ---------------------------------------------------------------

    def _head(self) -> int:
        return self._connection.execute(select(func.max(events.c.position))).scalar() or 0

    def _read_to(self, head: int) -> None:
        self._progress(self._done, head)
        while self._done < head:
            page = self._page()
            self._fold.apply(page)
            self._done += len(page)
            if self._done - self._written >= EVENTS_BETWEEN_WRITES:
                self._write(self._fold.final_rows())
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
        for table, beside in self._beside.items():
            if values := rows[table]:
                names = [column.name for column in beside.columns]
                self._connection.execute(
                    insert(beside), [dict(zip(names, one, strict=True)) for one in values]
                )
                self._rows += len(values)

    # -- Putting in place --------------------------------------------------------

    def _replace(self, table: Table, beside: Table) -> None:
        """Only what differs: the rest of a big table is neither written nor locked."""
        names = [column.name for column in beside.columns]
        there = select(*(table.c[name] for name in names))
        wanted = select(*(beside.c[name] for name in names))
        wrong = there.except_(wanted).subquery()
        keys = [column.name for column in table.primary_key]
        wrong_keys = select(*(wrong.c[name] for name in keys))
        key = tuple_(*(table.c[name] for name in keys))
        self._connection.execute(delete(table).where(key.in_(wrong_keys)))
        self._connection.execute(insert(table).from_select(names, wanted.except_(there)))


def _beside(table: Table, connection: Connection) -> Table:
    """The same columns without keys and indexes, to be filled fast and read once."""
    temporary = ["TEMPORARY"] if connection.dialect.name == "postgresql" else []
    columns = (Column(column.name, column.type) for column in table.columns)
    return Table(f"filled_{table.name}", MetaData(), *columns, prefixes=temporary)
