"""Archiving loses nothing: the files and the table together are the log."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from quorate.eventlog import event_store as log_module
from quorate.eventlog.archive.archiver import Archiver, verify_archive
from quorate.eventlog.archive.files import ArchiveFolder, ArchiveNeeded
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.online_rebuild import rebuild_online
from quorate.projections.rebuild import check
from tests.conformance.archive.archive_files import END, EVENTS_PER_FILE, LATER, events, move
from tests.conformance.archive.conftest import SEED
from tests.conformance.eventlog.conformance import Platform
from tests.conformance.projections.backup_files import back_up_open_database, content
from tests.conformance.projections.random_history import TENANTS
from tests.conformance.projections.test_twins import run_history


async def test_files_and_table_together_are_the_log(log: EventStore, folder: Path) -> None:
    before = await events(log)

    moved = await move(log, folder)

    archived, live = list(ArchiveFolder(folder).events()), await events(log)
    assert [(item.first, item.last) for item in moved] == [(1, 30), (31, 60), (61, 90)]
    assert [*archived, *(item for item in live if item.position > END)] == before
    assert await log.archived() == END


async def test_verification_in_progress_tolerates_archiving(
    log: EventStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL the service continues meanwhile, and would stop writing to a corrupted log."""
    monkeypatch.setattr(log_module, "PAGE_EVENTS_MAX", EVENTS_PER_FILE // 2)
    read = log.after

    async def after(position: int, limit: int) -> Sequence[RecordedEvent]:
        if position == EVENTS_PER_FILE:
            await move(log, folder)
        return await read(position, limit)

    monkeypatch.setattr(log, "after", after)

    await log.verify_range(0, await log.committed_head())

    assert await log.archived() == END


async def test_last_archived_event_of_each_tenant_stays(log: EventStore, folder: Path) -> None:
    await move(log, folder)

    last = {item.tenant: item for item in ArchiveFolder(folder).events()}
    left = [item for item in await events(log) if item.position <= END]
    assert {item.tenant: item for item in left} == last
    assert len(left) == len(TENANTS)


async def test_completely_archived_log_continues(platform: Platform, folder: Path) -> None:
    """Sequences and positions continue, and the chain verifies across the archive's end."""
    log = EventStore(platform.database())
    await log.open(SCHEMA)
    head = await log.committed_head()
    archiver = Archiver(log.database, folder)
    while await archiver.move(LATER, LATER):
        pass
    await log.close()

    async with run_history(platform.database(), SEED + 1, 40) as town:
        assert await town.log.committed_head() > head
        await town.log.verify_range(0, await town.log.committed_head())
        await town.log.verify_tail()
        await verify_archive(town.log.database, folder)


async def test_recent_events_stay(log: EventStore, folder: Path) -> None:
    middle = (await events(log))[60]

    archiver = Archiver(log.database, folder)
    moved = await archiver.move(middle.at, LATER)
    again = await archiver.move(middle.at, LATER)

    assert moved is not None
    assert again is None
    young = [item for item in await events(log) if item.at >= middle.at]
    assert young[0].position == moved.last + 1


async def test_projections_are_rebuilt_from_files_and_table(
    log: EventStore, folder: Path, tmp_path: Path
) -> None:
    before = await content(log.database)
    await move(log, folder)
    scratch = SqliteDatabase(tmp_path / "scratch.db")
    await scratch.open()

    found = await check(log.database, scratch, archive=folder)
    await scratch.close()
    await rebuild_online(log.database, lambda *_: None, folder)

    assert found.differences.count == 0
    assert found.events == len(before["events"])
    after = await content(log.database)
    assert {name: after[name] for name in after if name not in {"events", "archives"}} == {
        name: before[name] for name in before if name not in {"events", "archives"}
    }


async def test_rebuild_and_backup_need_the_files(log: EventStore, folder: Path) -> None:
    before = await content(log.database)
    await move(log, folder)

    with pytest.raises(ArchiveNeeded, match="--archive"):
        await rebuild_online(log.database, lambda *_: None)
    with pytest.raises(ArchiveNeeded):
        await back_up_open_database(log.database)

    assert (await content(log.database))["leases"] == before["leases"]


async def test_backup_does_not_depend_on_archiving(
    log: EventStore, folder: Path, backup: bytes
) -> None:
    await move(log, folder)

    assert await back_up_open_database(log.database, folder) == backup
