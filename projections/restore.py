"""Restore an empty database from a backup in one transaction: completely, or not at all.

* The hash chain is verified while events are written.
* The projections are rebuilt from the events that were written.
* The transaction commits only after the seal of the file is verified. No process ever reads a part
  of the log.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from sqlalchemy import Connection, insert, select

from quorate.domain.shared.records import record
from quorate.eventlog.archive.backup import open_backup
from quorate.eventlog.archive.content_lines import ContentRow
from quorate.eventlog.archive.sealed_file import AnswerRow, Item, Seal
from quorate.eventlog.database import Database
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.tables import answers, archives, events, message_bodies
from quorate.projections.history.refill import refill
from quorate.projections.migrations.schema import CURRENT_SCHEMA_ONLY
from quorate.projections.online_rebuild import OnlineRebuild
from quorate.projections.rebuild import Progress
from quorate.projections.search_index import index_again
from quorate.projections.tables import metadata

ROWS_TOGETHER = 1_000
CONTENT_BYTES_TOGETHER = 4 * 1024 * 1024


class DatabaseNotEmpty(Exception):
    """The database has a log already."""


@record
class RestoreResult:
    """The content of the restored database."""

    seal: Seal
    rows: int  # In the projections.


async def restore(database: Database, file: BinaryIO, progress: Progress) -> RestoreResult:
    """Fill an empty database.

    Raise DatabaseNotEmpty, FileCorrupted, SchemaOutdated or ReplayFailed.
    """

    def work(connection: Connection, lock_log: Callable[[], None]) -> RestoreResult:
        CURRENT_SCHEMA_ONLY.prepare(connection, lock_log)
        lock_log()
        _must_be_empty(connection)
        seal = _copy(connection, file, progress)
        rebuild = OnlineRebuild(connection, metadata.sorted_tables, progress)
        rebuild.prepare()
        rows = rebuild.finish().rows
        index_again(connection)
        refill(connection)
        return RestoreResult(seal=seal, rows=rows)

    return await database.define(work)


def _must_be_empty(connection: Connection) -> None:
    for table in (events, archives, answers, message_bodies, *metadata.sorted_tables):
        if connection.execute(select(*table.primary_key).limit(1)).first() is not None:
            raise DatabaseNotEmpty


def _copy(connection: Connection, file: BinaryIO, progress: Progress) -> Seal:
    reader = open_backup(file)
    for some in _parts(reader.items()):
        _insert(connection, some)
        progress(reader.chains.position, reader.header.until)
    assert reader.seal is not None
    return reader.seal


def _parts(items: Iterator[Item]) -> Iterator[Sequence[Item]]:
    """Yield the items in parts that fit into memory."""
    part: list[Item] = []
    size = 0
    for item in items:
        part.append(item)
        size += len(item.content.data) if isinstance(item, ContentRow) else 0
        if len(part) >= ROWS_TOGETHER or size >= CONTENT_BYTES_TOGETHER:
            yield part
            part, size = [], 0
    if part:
        yield part


def _insert(connection: Connection, items: Sequence[Item]) -> None:
    rows = [_event_row(item) for item in items if isinstance(item, RecordedEvent)]
    if rows:
        connection.execute(insert(events), rows)
    rows = [_answer_row(item) for item in items if isinstance(item, AnswerRow)]
    if rows:
        connection.execute(insert(answers), rows)
    rows = [_content_row(item) for item in items if isinstance(item, ContentRow)]
    if rows:
        connection.execute(insert(message_bodies), rows)


def _event_row(event: RecordedEvent) -> dict[str, object]:
    return {column.name: getattr(event, column.name) for column in events.columns} | {
        "data": event.data.decode()
    }


def _answer_row(row: AnswerRow) -> dict[str, object]:
    return {column.name: getattr(row, column.name) for column in answers.columns}


def _content_row(row: ContentRow) -> dict[str, object]:
    content = row.content
    values = (row.tenant, content.id, content.part, content.salt, content.data)
    names = (column.name for column in message_bodies.columns)
    return dict(zip(names, values, strict=True))
