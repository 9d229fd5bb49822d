"""Missing, changed and foreign archive files are detected and named."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from quorate.eventlog.archive.archiver import Archiver, verify_archive
from quorate.eventlog.archive.files import ArchiveCorrupted, ArchiveFolder
from quorate.eventlog.event_store import EventStore, LogCorrupted
from tests.conformance.archive.archive_files import END, FILES, move
from tests.conformance.eventlog.conformance import Platform
from tests.conformance.projections import backup_files


@pytest.mark.parametrize("number", range(FILES))
async def test_missing_file_is_named(log: EventStore, folder: Path, number: int) -> None:
    moved = await move(log, folder)
    moved[number].path.unlink()

    with pytest.raises(ArchiveCorrupted, match=f"{moved[number].path.name} is missing"):
        await verify_archive(log.database, folder)


async def test_archive_without_its_oldest_files_verifies(log: EventStore, folder: Path) -> None:
    moved = await move(log, folder)
    moved[0].path.unlink()

    whole_from = await verify_archive(log.database, folder, oldest_removed=True)
    moved[1].path.rename(moved[0].path)

    assert whole_from == moved[1].first
    with pytest.raises(ArchiveCorrupted):
        await verify_archive(log.database, folder)
    moved[2].path.unlink()
    with pytest.raises(ArchiveCorrupted, match=f"{moved[2].path.name} is missing"):
        await verify_archive(log.database, folder, oldest_removed=True)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_fifo, _device, _directory])
async def test_what_is_no_regular_file_is_named(
    log: EventStore, folder: Path, make: Callable[[Path], None]
) -> None:
    """A FIFO would be waited for, and a device read, without end."""
    moved = await move(log, folder)
    moved[1].path.unlink()
    make(moved[1].path)

    with pytest.raises(ArchiveCorrupted, match=rf"{moved[1].path.name} .*not a regular file"):
        await verify_archive(log.database, folder)
    with pytest.raises(ArchiveCorrupted, match="not a regular file"):
        list(ArchiveFolder(folder).events())


@pytest.mark.parametrize("number", range(FILES))
async def test_changed_file_is_named(log: EventStore, folder: Path, number: int) -> None:
    moved = await move(log, folder)
    path = moved[number].path
    rows = backup_files.lines(path.read_bytes())
    rows[9]["actor"] = "keyother"
    path.write_bytes(backup_files.pack(rows))

    with pytest.raises(ArchiveCorrupted, match=path.name):
        await verify_archive(log.database, folder)


async def test_resealed_file_is_detected(log: EventStore, folder: Path) -> None:
    """A complete archive of another history is detected by the recorded seal."""
    moved = await move(log, folder, 1)
    rows = backup_files.lines(moved[0].path.read_bytes())
    rows[0]["madeAt"] = "2031-01-01T00:00:00.000Z"
    moved[0].path.write_bytes(backup_files.seal(rows))

    with pytest.raises(ArchiveCorrupted, match="another log"):
        await verify_archive(log.database, folder)


async def test_next_file_is_written_only_beside_the_last_one(
    log: EventStore, folder: Path, tmp_path: Path
) -> None:
    await move(log, folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    with pytest.raises(ArchiveCorrupted, match="cannot be read"):
        await Archiver(log.database, elsewhere).check_folder()


async def test_archive_directory_can_be_moved(
    log: EventStore, folder: Path, tmp_path: Path
) -> None:
    """The control: the location of the files does not matter."""
    await move(log, folder)
    shutil.move(folder, tmp_path / "elsewhere")

    await verify_archive(log.database, tmp_path / "elsewhere")


async def test_log_that_does_not_continue_its_archive_is_corrupted(
    log: EventStore, platform: Platform, folder: Path
) -> None:
    await move(log, folder)
    platform.overwrite("DELETE FROM events WHERE position = ?", END + 1)

    with pytest.raises(LogCorrupted, match=f"position {END + 1}"):
        await log.verify_range(0, await log.committed_head())
