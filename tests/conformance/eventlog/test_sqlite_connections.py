"""aiosqlite's connections: few hops to the thread, cancelled callers, and the end of a process."""

import asyncio
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import Connection as SqlConnection

from quorate.eventlog.sqlite import database as sqlite_database
from quorate.eventlog.sqlite.connection import Connection
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections.migrations.schema import SCHEMA
from tests.conformance.eventlog.conformance import (
    WAIT_SECONDS_MAX,
    Sqlite,
    Stage,
    Statement,
    until,
)
from tests.support.paths import ROOT
from tests.unit.support.sample_commands import acquire, register

COMMANDS = 32
CANCELLATIONS = 40
FAILURES = 20
CANCELLED_AFTER_SECONDS = 0.0001  # Times the number of the attempt.
INSERT = Statement("INSERT INTO numbers VALUES (1)")
COUNT = Statement("SELECT count(*) FROM numbers")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "quorate.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[SqliteDatabase]:
    opened = SqliteDatabase(path)
    await opened.define(create_numbers)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def connection(path: Path) -> AsyncIterator[Connection]:
    opened = await Connection.open(f"file:{path}", ["busy_timeout=20"])
    yield opened
    await opened.close()


def create_numbers(connection: SqlConnection, _lock_log: Callable[[], None]) -> None:
    connection.exec_driver_sql("CREATE TABLE numbers (number)")


async def count(database: SqliteDatabase) -> int:
    async with database.read() as transaction:
        ((found,),) = await transaction.fetch(COUNT, {})
    return int(found)


class Hops:
    """Counts the jobs of aiosqlite's threads: aiosqlite logs each one."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger="aiosqlite")
        self._caplog = caplog

    def clear(self) -> None:
        self._caplog.clear()

    @property
    def count(self) -> int:
        return sum(record.msg == "executing %s" for record in self._caplog.records)


# -- Hops ------------------------------------------------------------------------


async def test_batch_is_two_jobs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One for the lookups of all its commands, and one for its writes and the commit."""
    stage = Stage(Sqlite(tmp_path))
    await stage.open()
    await stage.create_agents("ann", "bob")
    batches = len(stage.committed)
    hops = Hops(caplog)
    hops.clear()
    await asyncio.gather(
        *(stage.execute(register(f"agent{number}")) for number in range(COMMANDS)),
        stage.execute(acquire("ann")),
    )
    jobs, batches = hops.count, len(stage.committed) - batches
    await stage.close()

    assert batches == 1
    assert 1 <= jobs <= 2


async def test_statements_without_a_job_are_one_hop_each(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """Shows that the count of the other tests is the count of hops."""
    hops = Hops(caplog)
    for _ in range(COMMANDS):
        await connection._driver.execute("SELECT 1")

    assert hops.count == COMMANDS


async def test_read_is_two_jobs(database: SqliteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    hops = Hops(caplog)
    await count(database)
    await until(lambda: hops.count == 2)


async def test_reader_that_is_used_again_at_once_skips_its_rollback(
    database: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    hops = Hops(caplog)
    for _ in range(COMMANDS):
        await count(database)
    await until(lambda: hops.count == COMMANDS + 1)


async def test_end_of_a_read_does_not_end_the_next_one(database: SqliteDatabase) -> None:
    """The next read may use the connection before the rollback starts."""
    await count(database)
    async with database.read() as transaction:
        before = await transaction.fetch(COUNT, {})
        async with database.write() as writing:
            await writing.fetch(INSERT, {})
        assert await transaction.fetch(COUNT, {}) == before

    assert await count(database) == 1


# -- Cancelled callers -------------------------------------------------------------


async def test_job_continues_when_its_caller_is_cancelled(connection: Connection) -> None:
    started, may_end, done = threading.Event(), threading.Event(), threading.Event()

    def work(_sqlite: sqlite3.Connection) -> None:
        started.set()
        assert may_end.wait(WAIT_SECONDS_MAX)
        done.set()

    caller = asyncio.create_task(connection.run(work))
    await until(started.is_set)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    may_end.set()
    await connection.scalar("SELECT 1")

    assert done.is_set()


async def test_cancelled_caller_leaves_no_open_transaction(
    database: SqliteDatabase, path: Path
) -> None:
    """A transaction that is cancelled at any moment is committed or rolled back completely."""

    async def write() -> None:
        async with database.write() as transaction:
            await transaction.fetch(INSERT, {})
            await transaction.fetch(INSERT, {})

    for number in range(CANCELLATIONS):
        caller = asyncio.create_task(write())
        await asyncio.sleep(number * CANCELLED_AFTER_SECONDS)
        caller.cancel()
        with suppress(asyncio.CancelledError):
            await caller
        assert database._writer is not None
        assert not await database._writer.run(lambda sqlite: sqlite.in_transaction)
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

        assert await count(database) % 2 == 0


async def test_cancelled_schema_work_is_rolled_back(path: Path) -> None:
    database = SqliteDatabase(path)
    await database.define(create_numbers)
    started = asyncio.Event()

    def work(connection: SqlConnection, _lock_log: Callable[[], None]) -> NoReturn:
        connection.exec_driver_sql(INSERT.sql)
        started.set()
        while True:
            connection.exec_driver_sql(COUNT.sql)

    caller = asyncio.create_task(database.define(work))
    await started.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert other.execute(COUNT.sql).fetchone() == (0,)


# -- Closing -----------------------------------------------------------------------


async def test_closed_connection_is_unavailable(connection: Connection) -> None:
    await connection.close()

    with pytest.raises(DatabaseUnavailable, match="closed"):
        await connection.scalar("SELECT 1")


async def test_cancelled_closing_closes_all_connections(path: Path) -> None:
    before = set(threading.enumerate())
    database = SqliteDatabase(path)
    await database.open(SCHEMA)
    opened = set(threading.enumerate()) - before
    caller = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await until(lambda: not any(thread.is_alive() for thread in opened))

    assert len(opened) == 1 + sqlite_database.READERS_MAX
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_failed_opening_leaves_no_thread(path: Path) -> None:
    """The thread would report its end to an event loop that is closed, and log a traceback."""
    before = threading.active_count()
    for _ in range(FAILURES):
        with pytest.raises(DatabaseUnavailable):
            asyncio.run(Connection.open(f"file:{path}/missing", []))
        assert threading.active_count() == before


OPEN_AND_FAIL = """
import asyncio, pathlib, sys
from quorate.eventlog.sqlite.database import SqliteDatabase

async def main():
    database = SqliteDatabase(pathlib.Path(sys.argv[1]))
    await database.open()
    sys.exit(7)

asyncio.run(main())
"""


def test_connection_that_is_left_open_does_not_keep_the_process_alive(path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", OPEN_AND_FAIL, str(path)],
        cwd=ROOT / "src",
        check=False,
        timeout=WAIT_SECONDS_MAX,
    )

    assert ended.returncode == 7
