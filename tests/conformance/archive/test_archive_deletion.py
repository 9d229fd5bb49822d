"""A row is deleted only in the transaction that records its verified archive file."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from quorate.eventlog.archive import archiver as archive_module
from quorate.eventlog.archive.archiver import ArchiveConflict, Archiver, verify_archive
from quorate.eventlog.archive.files import ArchiveCorrupted, CompleteFile, file_name
from quorate.eventlog.archive.sealed_file import Header, Seal
from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore, LogCorrupted
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable
from tests.conformance.archive.archive_files import END, EVENTS_PER_FILE, LATER, events, move
from tests.conformance.eventlog.conformance import ObservedDatabase, Platform


async def _deletes(database: Database, condition: str) -> None:
    def work(connection: Connection, _lock_log: object) -> None:
        connection.execute(text(f"DELETE FROM events WHERE {condition}"))  # noqa: S608 - ours.

    await database.define(work)


@pytest.mark.parametrize("condition", ["position = 1", f"position > {END}", f"position <= {END}"])
async def test_only_archived_events_can_be_deleted(
    log: EventStore, folder: Path, condition: str
) -> None:
    """The last archived events cannot be deleted: the hash chains continue from them."""
    with pytest.raises(DatabaseUnavailable, match="append-only"):
        await _deletes(log.database, condition)
    await move(log, folder)

    if condition == "position = 1":
        await _deletes(log.database, condition)  # It is already deleted.
    else:
        with pytest.raises(DatabaseUnavailable, match="append-only"):
            await _deletes(log.database, condition)


async def test_no_row_is_deleted_when_the_file_differs(
    log: EventStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await events(log)
    read = archive_module._read

    def forgetful(path: Path) -> CompleteFile:
        path.write_bytes(path.read_bytes()[:-20])
        return read(path)

    monkeypatch.setattr(archive_module, "_read", forgetful)
    with pytest.raises(ArchiveCorrupted):
        await Archiver(log.database, folder).move(LATER, LATER, EVENTS_PER_FILE)

    assert await events(log) == before
    assert await log.archived() == 0


async def test_no_row_is_deleted_when_the_file_cannot_be_written(
    log: EventStore, folder: Path
) -> None:
    before = await events(log)

    with pytest.raises(OSError, match="No such file"):
        await Archiver(log.database, folder / "missing").move(LATER, LATER, EVENTS_PER_FILE)

    assert await events(log) == before


async def test_unrecorded_file_is_written_again(log: EventStore, folder: Path) -> None:
    """The file remains after a crash between writing it and the transaction."""
    before = await events(log)
    assert isinstance(log.database, ObservedDatabase)
    log.database.fail_before_commit = 1
    with pytest.raises(DatabaseUnavailable):
        await Archiver(log.database, folder).move(LATER, LATER, EVENTS_PER_FILE)
    assert await events(log) == before

    await move(log, folder)

    await verify_archive(log.database, folder)


async def test_one_of_two_concurrent_archivers_aborts(log: EventStore, folder: Path) -> None:
    """Its file, which has fewer events, never replaces the recorded one."""

    class Slow(Archiver):
        async def _write(
            self, transaction: DatabaseTransaction, path: Path, header: Header
        ) -> Seal:
            await Archiver(log.database, folder).move(LATER, LATER, EVENTS_PER_FILE)
            return await super()._write(transaction, path, header)

    with pytest.raises(ArchiveConflict):
        await Slow(log.database, folder).move(LATER, LATER, EVENTS_PER_FILE // 2)

    await verify_archive(log.database, folder)
    assert await log.archived() == EVENTS_PER_FILE
    assert [path.name for path in folder.iterdir()] == [file_name(1)]


async def test_corrupted_log_is_not_archived(
    log: EventStore, platform: Platform, folder: Path
) -> None:
    platform.overwrite("UPDATE events SET actor = 'keyother' WHERE position = 9")

    with pytest.raises(LogCorrupted, match="position 9"):
        await Archiver(log.database, folder).move(LATER, LATER, EVENTS_PER_FILE)

    assert list(folder.iterdir()) == []
