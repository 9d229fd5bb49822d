"""SQLite: one process writes a file, whatever its path, and notices when the file is gone."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from quorate.eventlog.database import DatabaseUnusable, FilesReplaced
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.sqlite import database as sqlite_database
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.migrations.schema import SCHEMA
from quorate.runtime.process_lock import Locked
from tests.conformance.eventlog.conformance import Sqlite, Stage
from tests.unit.support.sample_commands import register

OPEN = """
import asyncio, sys
from pathlib import Path
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.migrations.schema import SCHEMA

async def main(path):
    database = SqliteDatabase(path)
    try:
        await database.open(SCHEMA)
    except Exception as error:
        print(type(error).__name__, error)
    else:
        print("opened")
        await database.close()

for path in sys.stdin:
    asyncio.run(main(Path(path.strip())))
"""


def _same(path: Path) -> Path:
    return path


def _symbolic_link(path: Path) -> Path:
    link = path.parent / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    return link


def _hard_link(path: Path) -> Path:
    link = path.parent / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.hardlink_to(path)
    return link


def _linked_directory(path: Path) -> Path:
    link = path.parent.with_name("linked")
    link.symlink_to(path.parent)
    return link / path.name


ALIASES = [_same, _symbolic_link, _hard_link, _linked_directory]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "quorate.db"


async def _open_stage(path: Path) -> Stage:
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    await stage.create_agents("ann")
    return stage


async def test_second_process_is_refused(path: Path) -> None:
    stage = await _open_stage(path)
    with subprocess.Popen(
        [sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        linked = path.with_name("link.db")
        linked.hardlink_to(path)
        print(path, linked, sep="\n", file=other.stdin, flush=True)
        refused = [other.stdout.readline(), other.stdout.readline()]
        await stage.execute(register("bob"))
        await stage.close()
        linked.unlink()
        print(path, file=other.stdin, flush=True)
        allowed = other.stdout.readline()
        other.stdin.close()

    assert [line.startswith("Locked") for line in refused] == [True, True]
    assert all(f"process {os.getpid()}" in line for line in refused)
    assert allowed == "opened\n"


@pytest.mark.parametrize("alias", ALIASES)
async def test_second_use_in_one_process_is_refused(
    path: Path, alias: Callable[[Path], Path]
) -> None:
    """Without opening the file: closing it again would end the locks of SQLite."""
    stage = await _open_stage(path)
    alias_path = alias(path)
    other = SqliteDatabase(alias_path)
    with pytest.raises(Locked):
        await other.open(SCHEMA)
    with pytest.raises(Locked):
        await other.define(SCHEMA.prepare)
    await stage.close()
    if alias is _hard_link:
        with pytest.raises(DatabaseUnusable, match="2 names"):
            await other.open(SCHEMA)
        alias_path.unlink()
        other = SqliteDatabase(path)
    await other.open(SCHEMA)
    await other.close()


async def test_readers_are_not_refused(path: Path) -> None:
    stage = await _open_stage(path)
    snapshot = SqliteSnapshot(path)
    await snapshot.open()
    await snapshot.verify_files()
    await snapshot.close()
    await stage.close()


async def test_hard_link_is_not_read(path: Path) -> None:
    """The newest events are in the write-ahead log of the other name."""
    stage = await _open_stage(path)
    link = _hard_link(path)
    for each in (path, link):
        with pytest.raises(DatabaseUnusable, match="2 names"):
            await SqliteSnapshot(each).open()
    link.unlink()
    snapshot = SqliteSnapshot(path)
    await snapshot.open()
    await snapshot.close()
    await stage.close()


async def test_failed_open_releases_the_lock(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be taken for one " * 50)
    with pytest.raises(DatabaseUnavailable):
        await SqliteDatabase(path).open(SCHEMA)
    path.unlink()
    database = SqliteDatabase(path)
    await database.open(SCHEMA)
    await database.close()


# -- Files that are gone ------------------------------------------------------------


def _remove(path: Path) -> None:
    path.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def _replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def _move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


@pytest.mark.parametrize("change", [_remove, _move, _replace, _move_directory])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_no_command_is_acknowledged_after_a_file_is_gone(
    path: Path,
    suffix: str,
    change: Callable[[Path], None],
    logged: list[MutableMapping[str, Any]],
) -> None:
    stage = await _open_stage(path)
    change(path.with_name(path.name + suffix))
    if suffix == "-shm" and change is not _move_directory:
        with pytest.raises(FilesReplaced):  # Commits go on until the next look: nothing is lost.
            await stage.database.verify_files()
        stage.database.fail_before_commit = 1
    with pytest.raises(Unavailable):
        await stage.submit(register("bob"))
    with pytest.raises(Unavailable):
        await stage.submit(register("cid"))
    damage = stage.command_bus.damage
    await stage.close()

    assert damage is not None
    assert f"quorate.db{suffix if change is not _move_directory else ''} was removed" in damage
    assert logged[-1]["event"] == "log.files_replaced"


async def test_idle_log_notices_that_its_file_is_gone(path: Path) -> None:
    stage = await _open_stage(path)
    await stage.database.verify_files()
    path.unlink()
    with pytest.raises(FilesReplaced, match=r"quorate\.db was removed"):
        await stage.database.verify_files()
    await stage.close()


async def test_removed_write_ahead_log_loses_no_acknowledged_command(path: Path) -> None:
    stage = await _open_stage(path)
    path.with_name("quorate.db-wal").unlink()
    with pytest.raises(FilesReplaced):
        await stage.database.verify_files()
    # What a start after ``kill -9`` would find: this process keeps its connections.
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as other:
        ((events,),) = other.execute("SELECT count(*) FROM events").fetchall()
    await stage.close()

    assert events == 2


# -- A lock that another process holds ----------------------------------------------


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = tuple(
        "busy_timeout=20" if item.startswith("busy") else item
        for item in sqlite_database._WRITER_PRAGMAS
    )
    monkeypatch.setattr(sqlite_database, "_WRITER_PRAGMAS", impatient)


@pytest.mark.usefixtures("_impatient")
async def test_log_continues_as_soon_as_a_lock_is_released(path: Path) -> None:
    """Although a reader is open: it keeps the write-ahead log from being emptied."""
    stage = await _open_stage(path)
    async with stage.log.read() as transaction:
        await stage.log.head(transaction)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await stage.submit(register("bob"))
            other.execute("ROLLBACK")
        await stage.execute(register("cid"))
    await stage.close()


@pytest.mark.usefixtures("_impatient")
async def test_log_waits_for_readers_after_a_failed_write(path: Path) -> None:
    """The counterpart: what a failing disk wrote is not trusted."""
    stage = await _open_stage(path)
    async with stage.log.read() as transaction:
        await stage.log.head(transaction)
        stage.database.fail_before_commit = 1
        with pytest.raises(Unavailable):
            await stage.submit(register("bob"))
        with pytest.raises(Unavailable):
            await stage.submit(register("cid"))
    await stage.close()
