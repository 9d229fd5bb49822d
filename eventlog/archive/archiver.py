"""Archive: move old events from the log's table to files, one file per transaction.

Guarantees:

* A file is written, synced, read again and verified before a row is deleted. It gets its name in
  the transaction that records it and deletes the rows. A second archiver of the same log, on any
  machine, therefore never replaces a recorded file.
* The last archived event of each tenant stays in the table. The hash chain continues from it, so
  an append never reads a file.
* Positions and sequences never change. A reader of archived events gets a gap
  (``EventStore.page``), never a shorter result without notice.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, insert, inspect, select
from sqlalchemy.engine import Dialect

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.archive.files import (
    FORMAT,
    NOTHING_ARCHIVED,
    ArchiveCorrupted,
    ArchiveEnd,
    ArchiveFile,
    ArchiveFolder,
    CompleteFile,
    file_name,
)
from quorate.eventlog.archive.sealed_file import EventOutOfOrder, Header, Seal, SealedWriter
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import LogCorrupted, event_from_row
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.tables import archives, events
from quorate.eventlog.transactions import DatabaseTransaction, Query, UnpackedQuery
from quorate.runtime.atomic_file import replace_file, write_atomically

EVENTS_PER_FILE_MAX = 20_000  # Commands wait while the rows of one file are deleted.
ROWS_PER_PAGE = 1_000
_LAST = (
    select(archives.c.last_position, archives.c.file, archives.c.sha256)
    .order_by(archives.c.last_position.desc())
    .limit(1)
)


@record
class ArchivedFile:
    """An archive file that was added, and the positions of its events."""

    path: Path
    first: int
    last: int
    sha256: str


class ArchiveConflict(Exception):
    """Another process archived the same events at the same time; nothing was deleted."""


def supports_archives(connection: Connection) -> bool:
    """Return whether the schema has the archives table; older versions do not."""
    return inspect(connection).has_table(archives.name)


def archive_end(connection: Connection) -> ArchiveEnd:
    """Return the end of the archived part of this log; also for older schemas."""
    if not supports_archives(connection):
        return NOTHING_ARCHIVED
    return _end(connection.execute(_LAST).first())


async def archive_end_in(transaction: DatabaseTransaction, dialect: Dialect) -> ArchiveEnd:
    """Return the end of the archived part in a transaction; for the current schema."""
    found = await transaction.fetch(Query(_LAST, dialect), {})
    return _end(found[0] if found else None)


def _end(row: Any) -> ArchiveEnd:  # noqa: ANN401 - of ``archives``, or None.
    if row is None:
        return NOTHING_ARCHIVED
    return ArchiveEnd(position=row.last_position, sha256=row.sha256)


async def verify_archive(
    database: Database,
    folder: Path,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    *,
    oldest_removed: bool = False,
) -> int:
    """Verify all archived events, and that the log continues their chains.

    Returns the first position that was verified: 1, unless the oldest files were removed and
    ``oldest_removed`` allows it. Raises ArchiveCorrupted and LogCorrupted.
    """
    queries = _Queries(database.dialect)
    async with database.read() as transaction:
        end = await queries.end(transaction)
        remaining = await queries.heads(transaction, end.position)
    archive = ArchiveFolder(folder, oldest_removed=oldest_removed)
    for event in archive.events(end):
        if event.position % ROWS_PER_PAGE == 0:
            progress(event.position, end.position)
    if archive.last_read is not None and archive.last_read.heads != remaining:
        raise LogCorrupted("the events in the database do not continue those in the archive")
    return archive.first_position or 1


class Archiver:
    """Moves events of one log to files in one directory."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._queries = _Queries(database.dialect)

    async def check_folder(self) -> None:
        """Raise ArchiveCorrupted unless the directory contains the last recorded file."""
        async with self._database.read() as transaction:
            last = await self._queries.last(transaction)
        if last is None:
            return
        file = _read(self._folder / last.file)
        if file.seal.sha256 != last.sha256:
            raise ArchiveCorrupted(f"{self._folder} is the archive of another log")

    async def move(
        self, older_than: Timestamp, made_at: Timestamp, events_max: int = EVENTS_PER_FILE_MAX
    ) -> ArchivedFile | None:
        """Move the oldest events to the next file; None when no events are old enough.

        Raises ArchiveCorrupted, LogCorrupted and ArchiveConflict.
        """
        async with self._database.read() as transaction:
            end = await self._queries.end(transaction)
            until = await self._find_last(transaction, end, older_than, events_max)
            if until is None:
                return None
            heads = await self._queries.heads(transaction, end.position)
            header = Header(
                format=FORMAT,
                made_at=made_at,
                after=end.position,
                heads=heads,
                until=until.position,
                hash=until.hash,
                previous=end.sha256,
            )
            path = self._folder / file_name(end.position + 1)
            unnamed = path.with_name(f".{path.name}.{uuid4().hex}.partial")
            seal = await self._write(transaction, unnamed, header)
        try:
            file = _read(unnamed)
            if (file.header, file.seal) != (header, seal):
                raise ArchiveCorrupted(f"{path} differs from what was written: nothing was deleted")
            await self._replace(end, file, unnamed, path, made_at)
        finally:
            unnamed.unlink(missing_ok=True)
        return ArchivedFile(
            path=path, first=header.after + 1, last=header.until, sha256=file.seal.sha256
        )

    async def _find_last(
        self,
        transaction: DatabaseTransaction,
        end: ArchiveEnd,
        older_than: Timestamp,
        events_max: int,
    ) -> RecordedEvent | None:
        """Return the last event of the next file, by binary search: time never decreases."""
        last: RecordedEvent | None = None
        low, high = end.position, end.position + events_max
        while low < high:
            middle = (low + high + 1) // 2
            found = await self._queries.page(transaction, middle - 1, 1)
            if found and found[0].position == middle and found[0].at < older_than:
                low, last = middle, found[0]
            else:
                high = middle - 1
        return last

    async def _write(self, transaction: DatabaseTransaction, path: Path, header: Header) -> Seal:
        try:
            with write_atomically(path) as file:
                writer = SealedWriter(file, header)
                while writer.chains.position < header.until:
                    left = header.until - writer.chains.position
                    page = await self._queries.page(
                        transaction, writer.chains.position, min(left, ROWS_PER_PAGE)
                    )
                    for event in page:
                        writer.add(event)
                    if not page:
                        break  # ``close`` raises when events are missing.
                return writer.close()
        except EventOutOfOrder as error:
            raise LogCorrupted(str(error)) from error

    async def _replace(
        self, end: ArchiveEnd, file: CompleteFile, unnamed: Path, path: Path, now: Timestamp
    ) -> None:
        """Name and record the file, and delete its events but each tenant's last, atomically.

        The log's lock prevents another archiver from naming a file meanwhile. A file that a crash
        left under this name is replaced.
        """
        until = file.header.until
        queries = self._queries
        async with self._database.write() as transaction:
            if await queries.end(transaction) != end:
                raise ArchiveConflict
            replace_file(unnamed, path)
            row = (until, end.position + 1, path.name, file.seal.sha256, now)
            await transaction.write(queries.record, [row])
            deletions = [
                queries.delete.bind({"tenant": tenant, "before": head.sequence})
                for tenant, head in file.heads.items()
            ]
            await transaction.write(queries.delete, deletions)
            remaining = await queries.remaining(transaction, until)
            if len(remaining) != len(file.heads) or _heads(remaining) != file.heads:
                raise LogCorrupted("the events in the log differ from those that were archived")


def _read(path: Path) -> CompleteFile:
    """Read and verify a file from the disk, as a later reader would."""
    file = ArchiveFile(path)
    for _ in file.events(standalone=True):
        pass
    assert file.complete is not None
    return file.complete


def _heads(rows: Sequence[Any]) -> Mapping[str, StreamHead]:
    return {row.tenant: StreamHead(sequence=row.sequence, hash=bytes(row.hash)) for row in rows}


class _Queries:
    def __init__(self, dialect: Dialect) -> None:
        following = select(events).where(events.c.position > bindparam("after"))
        page = following.order_by(events.c.position).limit(bindparam("limit"))
        archived = events.c.position <= bindparam("until")
        columns = (events.c.tenant, events.c.sequence, events.c.hash)
        earlier = events.c.sequence < bindparam("before")
        self._last = Query(_LAST, dialect)
        self._page = UnpackedQuery(page, dialect)
        self._remaining = UnpackedQuery(
            select(*columns).where(archived).order_by(events.c.position), dialect
        )
        self.record = Query(insert(archives), dialect)
        self.delete = Query(
            delete(events).where(events.c.tenant == bindparam("tenant"), earlier), dialect
        )

    async def last(self, transaction: DatabaseTransaction) -> Any:  # noqa: ANN401 - a row, or None.
        found = await transaction.fetch(self._last, {})
        return found[0] if found else None

    async def end(self, transaction: DatabaseTransaction) -> ArchiveEnd:
        return _end(await self.last(transaction))

    async def heads(self, transaction: DatabaseTransaction, until: int) -> Mapping[str, StreamHead]:
        """Return the heads of all tenants at the end of the archive."""
        return _heads(await self.remaining(transaction, until))

    async def remaining(self, transaction: DatabaseTransaction, until: int) -> Sequence[Any]:
        """Return the archived events in the table: each tenant's last one."""
        return await transaction.fetch(self._remaining, {"until": until})

    async def page(
        self, transaction: DatabaseTransaction, after: int, limit: int
    ) -> Sequence[RecordedEvent]:
        values = {"after": after, "limit": limit}
        return [event_from_row(row) for row in await transaction.fetch(self._page, values)]
