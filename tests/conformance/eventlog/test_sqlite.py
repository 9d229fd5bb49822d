"""SQLite: an acknowledged commit is durable, or the database is not opened."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from quorate.eventlog.database import DatabaseUnusable
from quorate.eventlog.envelopes import Unavailable
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.sqlite import database as sqlite_database
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
from quorate.eventlog.transactions import DatabaseUnavailable, Query, StatementRejected
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.tables import agents
from tests.conformance.eventlog.conformance import Sqlite, Stage, Statement
from tests.unit.support.sample_commands import register

NORMAL, FULL = 1, 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "quorate.db"


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> object:
    """A remaining thread would keep the process from ending."""
    before = set(threading.enumerate())
    yield
    left = [each for each in threading.enumerate() if each not in before and each.is_alive()]
    for each in left:
        each.join(timeout=2)
    assert [each.name for each in left if each.is_alive() and "asyncio" not in each.name] == []


async def opened(path: Path) -> SqliteDatabase:
    database = SqliteDatabase(path)
    await database.open(SCHEMA)
    return database


async def test_commit_is_durable_when_it_returns(path: Path) -> None:
    database = await opened(path)
    async with database.write() as transaction:
        ((mode,),) = await transaction.fetch(Statement("PRAGMA journal_mode"), {})
        ((level,),) = await transaction.fetch(Statement("PRAGMA synchronous"), {})
    await database.close()

    assert (mode, level) == ("wal", FULL)


async def test_commit_is_durable_after_reopening(path: Path) -> None:
    database = await opened(path)
    await database.reopen()
    async with database.write() as transaction:
        ((level,),) = await transaction.fetch(Statement("PRAGMA synchronous"), {})
    await database.close()

    assert level == FULL


@pytest.mark.parametrize("spelt", ["synchronous=normal", "synchronus=full", "journal_mode=delete"])
async def test_database_that_could_lose_commits_is_not_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch, spelt: str
) -> None:
    name = spelt[:4]
    pragmas = [item for item in sqlite_database._WRITER_PRAGMAS if not item.startswith(name)]
    weak = [*pragmas, spelt] if "=full" not in spelt else [*pragmas, "synchronous=normal", spelt]
    monkeypatch.setattr(sqlite_database, "_WRITER_PRAGMAS", tuple(weak))

    with pytest.raises(DatabaseUnusable, match="synchronous"):
        await opened(path)


async def test_only_the_writer_checkpoints(path: Path) -> None:
    database = await opened(path)
    async with database.read() as transaction:
        ((pages,),) = await transaction.fetch(Statement("PRAGMA wal_autocheckpoint"), {})
    await database.close()

    assert pages == 0


async def test_finished_reader_does_not_block_checkpoints(path: Path) -> None:
    """Otherwise the write-ahead log would grow until the next read."""
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    await stage.create_agents("ann")
    await asyncio.gather(
        *(stage.log.committed_head() for _ in range(2 * sqlite_database.READERS_MAX))
    )
    await stage.execute(register("bob"))
    with closing(sqlite3.connect(path)) as other:
        busy, left, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    await stage.close()

    assert (busy, left) == (0, 0)


async def test_long_write_ahead_log_is_restarted_without_readers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite alone restarts it only in a moment without readers, which may never come."""
    monkeypatch.setattr(sqlite_database, "WAL_BYTES_MAX", 1)
    wal = path.with_name("quorate.db-wal")
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    await stage.create_agents("ann")
    async with stage.log.read() as transaction:
        await stage.log.head(transaction)
        await stage.execute(register("bob"))
        while_somebody_reads = wal.stat().st_size
    await stage.log.committed_head()  # The same reader, so its first read is finished.
    await stage.execute(register("cid"))
    afterwards = wal.stat().st_size
    await stage.close()

    assert while_somebody_reads > 0
    assert afterwards == 0


async def test_failed_restart_of_the_write_ahead_log_reopens_and_fails_no_command(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_writer: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite_database, "WAL_BYTES_MAX", 1)
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_database, "_truncate_wal", fails)
        await stage.create_agents("ann", "bob")
        assert stage.database.lost
        before = stage.database.reopened
    await stage.execute(register("cid"))
    reopened = stage.database.reopened - before
    await stage.close()

    assert reopened == 1


async def test_readers_cannot_write(path: Path) -> None:
    database = await opened(path)
    with pytest.raises((DatabaseUnavailable, StatementRejected), match=r"readonly|read-only"):
        async with database.read() as transaction:
            await transaction.fetch(Statement("DELETE FROM agents"), {})
    await database.close()


async def test_closing_leaves_one_file(path: Path) -> None:
    database = await opened(path)
    async with database.read() as transaction:
        await transaction.fetch(Statement("SELECT 1"), {})
    await database.close()

    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["with space", "what?mode=ro", "50%25.db", "a#b", "ü.db"])
async def test_any_file_name_is_used_unchanged(tmp_path: Path, name: str) -> None:
    database = await opened(tmp_path / name)
    await database.close()

    assert [each.name for each in tmp_path.iterdir()] == [name]


async def test_file_that_is_no_database_is_rejected(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be taken for one " * 50)
    with pytest.raises(DatabaseUnavailable):
        await opened(path)


async def test_missing_directory_is_rejected(path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        await opened(path.parent / "missing" / "quorate.db")


async def test_tables_are_created_atomically(path: Path) -> None:
    """After a crash half-way, a table would remain without its unique index."""
    database = SqliteDatabase(path)

    def make_then_fail(connection: Connection, lock_log: Callable[[], None]) -> None:
        SCHEMA.prepare(connection, lock_log)
        connection.exec_driver_sql("SELECT * FROM no_such_table")

    with pytest.raises(DatabaseUnavailable, match="no_such_table"):
        await database.define(make_then_fail)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == []
    await (await opened(path)).close()


async def test_existing_events_are_kept(path: Path) -> None:
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    await stage.create_agents("ann")
    await stage.restart()
    assert len(await stage.events()) == 2
    await stage.close()


async def test_locked_database_is_temporarily_unavailable(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = tuple(
        "busy_timeout=20" if item.startswith("busy") else item
        for item in sqlite_database._WRITER_PRAGMAS
    )
    monkeypatch.setattr(sqlite_database, "_WRITER_PRAGMAS", impatient)
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await stage.submit(register("ann"))
        other.execute("ROLLBACK")
    await stage.execute(register("bob"))
    await stage.close()


# -- A log that another process may be writing ---------------------------------


async def test_snapshot_reads_while_the_log_is_written(path: Path) -> None:
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    await stage.create_agents("ann")
    log = EventStore(SqliteSnapshot(path))
    await log.open()
    assert await log.committed_head() == 2
    await stage.execute(register("bob"))
    assert await log.committed_head() == 3
    await log.close()
    await stage.close()


async def test_snapshot_changes_nothing(path: Path) -> None:
    stage = Stage(Sqlite(path.parent))
    await stage.open()
    await stage.create_agents("ann")
    snapshot = SqliteSnapshot(path)
    await snapshot.open()
    with pytest.raises(DatabaseUnavailable):
        await snapshot.reopen()
    with pytest.raises(DatabaseUnavailable):
        async with snapshot.write():
            pass
    with pytest.raises((DatabaseUnavailable, StatementRejected)):
        async with snapshot.read() as transaction:
            await transaction.fetch(Statement("DELETE FROM agents"), {})
    async with snapshot.read() as transaction:
        assert len(await transaction.fetch(Query(select(agents), snapshot.dialect), {})) == 1
    await snapshot.close()
    await stage.close()


async def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    stage = Stage(Sqlite(tmp_path))
    await stage.open()
    try:
        await stage.submit(register("ann"))
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    finally:
        await stage.close()

    assert len(modes) == len(("the database", "its write-ahead log", "its index of that"))
    assert set(modes.values()) == {"0o600"}
