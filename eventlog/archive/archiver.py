"""Old events moved from the log's table to files, one file and one transaction at a time.

* A file is written, on the disk, read again and found right before a row is deleted; and it gets
  its name and the rows are deleted in the transaction that records it. So whoever archives the same
  log at the same time, from whatever machine, never puts its file in the place of one that counts.
* Of each tenant the last archived event stays: the chain goes on from it, and heads are where they
  were. So the table is never without a tenant's end, and an append never looks into a file.
* Positions and sequences stay as they are. Whoever asks for events that are no longer in the table
  is told so (``EventLog.page``), never given a shorter answer.
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

EVENTS_PER_FILE_MAX = 20_000  # Commands wait while so many rows are deleted.
ROWS_PER_PAGE = 1_000
_LAST = (
    select(archives.c.last_position, archives.c.file, archives.c.sha256)
    .order_by(archives.c.last_position.desc())
    .limit(1)
)


@record
class ArchivedFile:
    """A file that was added, and which events were moved to it."""

    path: Path
    first: int
    last: int
    sha256: str


class ArchiveConflict(Exception):
    """Somebody else archived the same events at the same time; nothing was deleted."""


def can_be_archived(connection: Connection) -> bool:
    """Whether these tables know of archives: older ones do not."""
    return inspect(connection).has_table(archives.name)


def archive_end(connection: Connection) -> ArchiveEnd:
    """Where the archived part of this log ends; also in older tables."""
    if not can_be_archived(connection):
        return NOTHING_ARCHIVED
    return _end(connection.execute(_LAST).first())


async def archive_end_in(transaction: DatabaseTransaction, dialect: Dialect) -> ArchiveEnd:
    """The same as one snapshot has it, in tables of today."""
    found = await transaction.fetch(Query(_LAST, dialect), {})
    return _end(found[0] if found else None)


def _end(row: Any) -> ArchiveEnd:  # noqa: ANN401 - of ``archives``, or None.
    if row is None:
        return NOTHING_ARCHIVED
    return ArchiveEnd(position=row.last_position, sha256=row.sha256)


async def check_archive(
    database: Database,
    folder: Path,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    *,
    oldest_removed: bool = False,
) -> int:
    """Read all archived events, and see that the log goes on from where they end.

    Returns the position from which on all is whole: 1, unless it is fine that the oldest files
    were removed. Raises ArchiveDamaged and LogDamaged.
    """
    queries = _Queries(database.dialect)
    async with database.read() as transaction:
        end = await queries.end(transaction)
        left = await queries.heads(transaction, end.position)
    archive = ArchiveFolder(folder, oldest_removed=oldest_removed)
    for event in archive.events(end):
        if event.position % ROWS_PER_PAGE == 0:
            progress(event.position, end.position)
    if archive.read is not None and archive.read.heads != left:
        raise LogCorrupted("the events in the database do not go on from those in the archive")
    return archive.begins or 1


class Archiver:
    """Moves events of one log to the files of one folder."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._queries = _Queries(database.dialect)

    async def check_folder(self) -> None:
        """Raises ArchiveDamaged unless the folder has the last file that was written."""
        async with self._database.read() as transaction:
            last = await self._queries.last(transaction)
        if last is None:
            return
        whole = _read(self._folder / last.file)
        if whole.seal.sha256 != last.sha256:
            raise ArchiveCorrupted(f"{self._folder} is the archive of another log")

    async def move(
        self, older_than: Timestamp, made_at: Timestamp, events_max: int = EVENTS_PER_FILE_MAX
    ) -> ArchivedFile | None:
        """Move the oldest events to the next file; None when none are left that are so old.

        Raises ArchiveDamaged, LogDamaged, ArchivedMeanwhile.
        """
        async with self._database.read() as transaction:
            end = await self._queries.end(transaction)
            until = await self._until(transaction, end, older_than, events_max)
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
            whole = _read(unnamed)
            if (whole.header, whole.seal) != (header, seal):
                raise ArchiveCorrupted(f"{path} is not what was written to it: nothing was deleted")
            await self._replace(end, whole, unnamed, path, made_at)
        finally:
            unnamed.unlink(missing_ok=True)
        return ArchivedFile(
            path=path, first=header.after + 1, last=header.until, sha256=whole.seal.sha256
        )

    async def _until(
        self,
        transaction: DatabaseTransaction,
        end: ArchiveEnd,
        older_than: Timestamp,
        events_max: int,
    ) -> RecordedEvent | None:
        """The last event of the next file. Time never decreases in a log."""
        known: RecordedEvent | None = None
        low, high = end.position, end.position + events_max
        while low < high:
            middle = (low + high + 1) // 2
            found = await self._queries.page(transaction, middle - 1, 1)
            if found and found[0].position == middle and found[0].at < older_than:
                low, known = middle, found[0]
            else:
                high = middle - 1
        return known

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
                        break  # The writer does not close what ends too early.
                return writer.close()
        except EventOutOfOrder as wrong:
            raise LogCorrupted(str(wrong)) from wrong

    async def _replace(
        self, end: ArchiveEnd, whole: CompleteFile, unnamed: Path, path: Path, now: Timestamp
    ) -> None:
        """In one transaction: name the file, record it, and delete what is in it but for each
        tenant's last event. Nobody else names one meanwhile; what a crash left is replaced.
        """
        until = whole.header.until
        queries = self._queries
        async with self._database.write() as transaction:
            if await queries.end(transaction) != end:
                raise ArchiveConflict
            replace_file(unnamed, path)
            row = (until, end.position + 1, path.name, whole.seal.sha256, now)
            await transaction.write(queries.record, [row])
            going = [
                queries.delete.bind({"tenant": tenant, "before": head.sequence})
                for tenant, head in whole.heads.items()
            ]
            await transaction.write(queries.delete, going)
            left = await queries.left(transaction, until)
            if len(left) != len(whole.heads) or _heads(left) != whole.heads:
                raise LogCorrupted("the events in the log are not those that were archived")


def _read(path: Path) -> CompleteFile:
    """From the disk, as whoever needs it would."""
    file = ArchiveFile(path)
    for _ in file.events(alone=True):
        pass
    assert file.whole is not None
    return file.whole


def _heads(rows: Sequence[Any]) -> Mapping[str, StreamHead]:
    return {row.tenant: StreamHead(sequence=row.sequence, hash=bytes(row.hash)) for row in rows}


class _Queries:
    def __init__(self, dialect: Dialect) -> None:
        following = select(events).where(events.c.position > bindparam("after"))
        page = following.order_by(events.c.position).limit(bindparam("limit"))
        there = events.c.position <= bindparam("until")
        columns = (events.c.tenant, events.c.sequence, events.c.hash)
        earlier = events.c.sequence < bindparam("before")
        self._last = Query(_LAST, dialect)
        self._page = UnpackedQuery(page, dialect)
        self._left = UnpackedQuery(
            select(*columns).where(there).order_by(events.c.position), dialect
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
        """Those of all tenants at the end of the archive."""
        return _heads(await self.left(transaction, until))

    async def left(self, transaction: DatabaseTransaction, until: int) -> Sequence[Any]:
        """What is in the table of the archived part: each tenant's last event."""
        return await transaction.fetch(self._left, {"until": until})

    async def page(
        self, transaction: DatabaseTransaction, after: int, limit: int
    ) -> Sequence[RecordedEvent]:
        values = {"after": after, "limit": limit}
        return [event_from_row(row) for row in await transaction.fetch(self._page, values)]
