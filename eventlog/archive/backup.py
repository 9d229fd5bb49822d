"""Back up a complete log to one file, from which a database of either kind can be restored.

* The backup is read in one snapshot, while the service continues to work.
* It contains events, stored idempotent responses and contents. Projections are rebuilt from the
  events.
* It contains no secrets: of API keys the log has hashes only. Data directories are not part of it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import ColumnElement, Connection, bindparam, inspect, select, tuple_
from sqlalchemy.engine import Dialect

from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.archive.archiver import archive_end_in, supports_archives
from quorate.eventlog.archive.content_lines import ContentRow
from quorate.eventlog.archive.content_pages import ContentPages, supports_contents
from quorate.eventlog.archive.export_format import FileCorrupted
from quorate.eventlog.archive.files import NOTHING_ARCHIVED, ArchivedEvents
from quorate.eventlog.archive.sealed_file import (
    AnswerRow,
    EventOutOfOrder,
    Header,
    Seal,
    SealedReader,
    SealedWriter,
)
from quorate.eventlog.database import Database, SchemaOutdated
from quorate.eventlog.event_store import LogCorrupted, event_from_row
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.tables import answers, events
from quorate.eventlog.transactions import DatabaseTransaction, Query, UnpackedQuery

FORMAT = "quorate-backup"
ROWS_PER_PAGE = 1_000
_KEY = tuple(answers.primary_key)


@record
class BackupSummary:
    """The header and seal of a backup, and the time of its last event."""

    header: Header
    seal: Seal
    at: Timestamp  # Of the last event.


class LogEmpty(Exception):
    """The log has no events to back up."""


class LogTables:
    """The tables of the log, of any version; a backup reads no other tables."""

    def prepare(self, _connection: Connection, _lock_log: Callable[[], None]) -> None:
        """Create nothing: a backup only reads."""

    def check(self, connection: Connection) -> None:
        if not inspect(connection).has_table(events.name):
            raise SchemaOutdated("there are no tables yet")


async def back_up(
    database: Database,
    sink: BinaryIO,
    made_at: Timestamp,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
    archive: Path | None = None,
) -> BackupSummary:
    """Write a complete backup of the committed state; archived events are read from their files.

    Raises ArchiveCorrupted, ArchiveNeeded, LogCorrupted and LogEmpty.
    """
    archives = await database.inspect(supports_archives)
    contents = ContentPages(database) if await database.inspect(supports_contents) else None
    async with database.read() as transaction:
        end = await archive_end_in(transaction, database.dialect) if archives else NOTHING_ARCHIVED
        rows = _Rows(database.dialect, ArchivedEvents(archive, end))
        header = await rows.header(transaction, made_at)
        writer = SealedWriter(sink, header)
        try:
            async for page in rows.pages(transaction, header.until):
                for row in page:
                    writer.add(row)
                progress(writer.chains.position, header.until)
            if contents is not None:
                async for some in contents.pages(transaction):
                    for tenant, content in some:
                        writer.add(ContentRow(tenant=tenant, content=content))
            seal = writer.close()
        except EventOutOfOrder as error:
            raise LogCorrupted(str(error)) from error
    return BackupSummary(header=header, seal=seal, at=writer.chains.at)


def verify_backup(
    file: BinaryIO, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> BackupSummary:
    """Read and verify a complete backup; raises FileCorrupted."""
    reader = open_backup(file)
    for number, _ in enumerate(reader.items()):
        if number % ROWS_PER_PAGE == 0:
            progress(reader.chains.position, reader.header.until)
    assert reader.seal is not None
    return BackupSummary(header=reader.header, seal=reader.seal, at=reader.chains.at)


def open_backup(file: BinaryIO) -> SealedReader:
    """Return a reader of a backup; raises FileCorrupted unless it begins with the first event."""
    reader = SealedReader(file, FORMAT)
    header = reader.header
    if header.after or header.heads or header.previous is not None:
        raise FileCorrupted(1, None, "a backup begins with the first event, and this file does not")
    return reader


# -- Reading a database -----------------------------------------------------------


class _Rows:
    """All rows of both tables, in pages."""

    def __init__(self, dialect: Dialect, archived: ArchivedEvents) -> None:
        self._archived = archived
        last = select(events.c.position, events.c.hash).order_by(events.c.position.desc()).limit(1)
        following = select(events).where(events.c.position > bindparam("after"))
        page = following.order_by(events.c.position).limit(bindparam("limit"))
        first = select(answers).order_by(*_KEY).limit(bindparam("limit"))
        self._last = UnpackedQuery(last, dialect)
        self._events = UnpackedQuery(page, dialect)
        self._first_answers = UnpackedQuery(first, dialect)
        self._answers = UnpackedQuery(first.where(_beyond()), dialect)

    async def header(self, transaction: DatabaseTransaction, made_at: Timestamp) -> Header:
        found = await transaction.fetch(self._last, {})
        if not found:
            raise LogEmpty
        ((until, hash_),) = found
        return Header(
            format=FORMAT, made_at=made_at, after=0, heads={}, until=until, hash=bytes(hash_)
        )

    async def pages(
        self, transaction: DatabaseTransaction, until: int
    ) -> AsyncIterator[Sequence[Any]]:
        done = 0
        while done < until:
            page = await self._page(transaction, done)
            if not page:
                raise LogCorrupted(f"the log ends at position {done}, before its own head")
            yield page
            done = page[-1].position
        query: Query = self._first_answers
        after: dict[str, Any] = {}
        while found := await transaction.fetch(query, {**after, "limit": ROWS_PER_PAGE}):
            yield [_answer_row(row) for row in found]
            query = self._answers
            after = {column.name: getattr(found[-1], column.name) for column in _KEY}

    async def _page(self, transaction: DatabaseTransaction, after: int) -> Sequence[RecordedEvent]:
        if after < self._archived.until:
            return self._archived.page(ROWS_PER_PAGE)
        values = {"after": after, "limit": ROWS_PER_PAGE}
        return [event_from_row(row) for row in await transaction.fetch(self._events, values)]


def _beyond() -> ColumnElement[bool]:
    """Return the condition for rows after the last one that was read, in index order."""
    last = (bindparam(column.name, type_=column.type) for column in _KEY)
    return tuple_(*_KEY) > tuple_(*last)


def _answer_row(row: Any) -> AnswerRow:  # noqa: ANN401 - a row of ``answers``.
    return AnswerRow(**row._asdict())
