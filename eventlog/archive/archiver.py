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
    ArchiveDamaged,
    ArchiveEnd,
    ArchiveFile,
    ArchiveFolder,
    Whole,
    file_name,
)
from quorate.eventlog.archive.sealed_file import Header, OutOfOrder, Seal, SealedWriter
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import LogDamaged, recorded
from quorate.eventlog.recorded_event import RecordedEvent, StreamHead
from quorate.eventlog.tables import archives, events
from quorate.eventlog.transactions import DatabaseTransaction, Plain, Query
from quorate.runtime.atomic_file import give_name, whole_file

EVENTS_PER_FILE_MAX = 20_000  # Commands wait while so many rows are deleted.
ROWS_PER_PAGE = 1_000
_LAST = (
    select(archives.c.last_position, archives.c.file, archives.c.sha256)
    .order_by(archives.c.last_position.desc())
    .limit(1)
)


@record
class Archived:
    """A file that was added, and which events were moved to it."""

    path: Path
    first: int
    last: int
    sha256: str


class ArchivedMeanwhile(Exception):
    """Somebody else archived the same events at the same time; nothing was deleted."""


def can_be_archived(connection: Connection) -> bool:
    """Whether these tables know of archives: older ones do not."""
    return inspect(connection).has_table(archives.name)


def archive_end(connection: Connection) -> ArchiveEnd:
    """Where the archived part of this log ends; also in older tables."""
    if not can_be_archived(connection):
        return NOTHING_ARCHIVED
    return _end(connection.execute(_LAST).first())


async def archive_end_in(session: DatabaseTransaction, dialect: Dialect) -> ArchiveEnd:
    """The same as one snapshot has it, in tables of today."""
    found = await session.fetch(Query(_LAST, dialect), {})
    return _end(found[0] if found else None)


def _end(row: Any) -> ArchiveEnd:  # noqa: ANN401 - of ``archives``, or None.
    if row is None:
        return NOTHING_ARCHIVED
    return ArchiveEnd(position=row.last_position, sha256=row.sha256)


async def check_archive(
    backend: Database,
    folder: Path,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    *,
    oldest_removed: bool = False,
) -> int:
    """Read all archived events, and see that the log goes on from where they end.

    Returns the position from which on all is whole: 1, unless it is fine that the oldest files
    were removed. Raises ArchiveDamaged and LogDamaged.
    """
    queries = _Queries(backend.dialect)
    async with backend.read() as session:
        end = await queries.end(session)
        left = await queries.heads(session, end.position)
    archive = ArchiveFolder(folder, oldest_removed=oldest_removed)
    for event in archive.events(end):
        if event.position % ROWS_PER_PAGE == 0:
            progress(event.position, end.position)
    if archive.read is not None and archive.read.heads != left:
        raise LogDamaged("the events in the database do not go on from those in the archive")
    return archive.begins or 1


class Archiver:
    """Moves events of one log to the files of one folder."""

    def __init__(self, backend: Database, folder: Path) -> None:
        self._backend = backend
        self._folder = folder
        self._queries = _Queries(backend.dialect)

    async def check_folder(self) -> None:
        """Raises ArchiveDamaged unless the folder has the last file that was written."""
        async with self._backend.read() as session:
            last = await self._queries.last(session)
        if last is None:
            return
        whole = _read(self._folder / last.file)
        if whole.seal.sha256 != last.sha256:
            raise ArchiveDamaged(f"{self._folder} is the archive of another log")

    async def move(
        self, older_than: Timestamp, made_at: Timestamp, events_max: int = EVENTS_PER_FILE_MAX
    ) -> Archived | None:
        """Move the oldest events to the next file; None when none are left that are so old.

        Raises ArchiveDamaged, LogDamaged, ArchivedMeanwhile.
        """
        async with self._backend.read() as session:
            end = await self._queries.end(session)
            until = await self._until(session, end, older_than, events_max)
            if until is None:
                return None
            heads = await self._queries.heads(session, end.position)
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
            seal = await self._write(session, unnamed, header)
        try:
            whole = _read(unnamed)
            if (whole.header, whole.seal) != (header, seal):
                raise ArchiveDamaged(f"{path} is not what was written to it: nothing was deleted")
            await self._replace(end, whole, unnamed, path, made_at)
        finally:
            unnamed.unlink(missing_ok=True)
        return Archived(
            path=path, first=header.after + 1, last=header.until, sha256=whole.seal.sha256
        )

    async def _until(
        self, session: DatabaseTransaction, end: ArchiveEnd, older_than: Timestamp, events_max: int
    ) -> RecordedEvent | None:
        """The last event of the next file. Time never decreases in a log."""
        known: RecordedEvent | None = None
        low, high = end.position, end.position + events_max
        while low < high:
            middle = (low + high + 1) // 2
            found = await self._queries.page(session, middle - 1, 1)
            if found and found[0].position == middle and found[0].at < older_than:
                low, known = middle, found[0]
            else:
                high = middle - 1
        return known

    async def _write(self, session: DatabaseTransaction, path: Path, header: Header) -> Seal:
        try:
            with whole_file(path) as file:
                writer = SealedWriter(file, header)
                while writer.chains.position < header.until:
                    left = header.until - writer.chains.position
                    page = await self._queries.page(
                        session, writer.chains.position, min(left, ROWS_PER_PAGE)
                    )
                    for event in page:
                        writer.add(event)
                    if not page:
                        break  # The writer does not close what ends too early.
                return writer.close()
        except OutOfOrder as wrong:
            raise LogDamaged(str(wrong)) from wrong

    async def _replace(
        self, end: ArchiveEnd, whole: Whole, unnamed: Path, path: Path, now: Timestamp
    ) -> None:
        """In one transaction: name the file, record it, and delete what is in it but for each
        tenant's last event. Nobody else names one meanwhile; what a crash left is replaced.
        """
        until = whole.header.until
        queries = self._queries
        async with self._backend.write() as session:
            if await queries.end(session) != end:
                raise ArchivedMeanwhile
            give_name(unnamed, path)
            row = (until, end.position + 1, path.name, whole.seal.sha256, now)
            await session.write(queries.record, [row])
            going = [
                queries.delete.bind({"tenant": tenant, "before": head.sequence})
                for tenant, head in whole.heads.items()
            ]
            await session.write(queries.delete, going)
            left = await queries.left(session, until)
            if len(left) != len(whole.heads) or _heads(left) != whole.heads:
                raise LogDamaged("the events in the log are not those that were archived")


def _read(path: Path) -> Whole:
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
        self._page = Plain(page, dialect)
        self._left = Plain(select(*columns).where(there).order_by(events.c.position), dialect)
        self.record = Query(insert(archives), dialect)
        self.delete = Query(
            delete(events).where(events.c.tenant == bindparam("tenant"), earlier), dialect
        )

    async def last(self, session: DatabaseTransaction) -> Any:  # noqa: ANN401 - a row, or None.
        found = await session.fetch(self._last, {})
        return found[0] if found else None

    async def end(self, session: DatabaseTransaction) -> ArchiveEnd:
        return _end(await self.last(session))

    async def heads(self, session: DatabaseTransaction, until: int) -> Mapping[str, StreamHead]:
        """Those of all tenants at the end of the archive."""
        return _heads(await self.left(session, until))

    async def left(self, session: DatabaseTransaction, until: int) -> Sequence[Any]:
        """What is in the table of the archived part: each tenant's last event."""
        return await session.fetch(self._left, {"until": until})

    async def page(
        self, session: DatabaseTransaction, after: int, limit: int
    ) -> Sequence[RecordedEvent]:
        values = {"after": after, "limit": limit}
        return [recorded(row) for row in await session.fetch(self._page, values)]
