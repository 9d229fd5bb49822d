"""SQLite: one file, one write connection, and durable commits.

* WAL with ``synchronous=FULL``: with NORMAL, a power cut loses acknowledged commits. Each opening
  checks both, because SQLite ignores a misspelled pragma silently.
* ``BEGIN IMMEDIATE``: a batch holds the log's lock before it reads the time or assigns a position.
* After an error the log continues in a new write-ahead log. Data written while the disk failed may
  never reach the disk, even after another write and sync, although the kernel returns it.
* Only the writer runs checkpoints. SQLite before 3.51.3 can corrupt the file when two connections
  commit or checkpoint at once; readers are opened so that they can do neither.
* A process that only reads opens readers and no lock: another process writes the file.
* A lock that another process holds is no such error: the log continues as soon as it is released.
* SQLite restarts the write-ahead log only in a moment without readers. With continuous readers it
  would grow without limit, so the writer waits for such a moment when the file is large.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, func
from sqlalchemy import Connection as SqlConnection
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from quorate.eventlog.database import (
    DatabaseUnusable,
    FilesReplaced,
    Schema,
    SchemaOutdated,
)
from quorate.eventlog.sqlite.connection import (
    Connection,
    SqliteTransaction,
    connect,
    translate_errors,
)
from quorate.eventlog.sqlite.files import DatabaseFiles
from quorate.eventlog.transactions import (
    DatabaseBusy,
    DatabaseTransaction,
    DatabaseUnavailable,
    commit_on_exit,
)
from quorate.runtime.clock import Nanoseconds

T = TypeVar("T")
BUSY_TIMEOUT_MILLISECONDS = 5_000
CACHE_KIBIBYTES = 65_536
CHECKPOINT_PAGES = 4_000
WAL_BYTES_MAX = 64 * 1024 * 1024
WAL_WAIT_MILLISECONDS = 50
READERS_MAX = 4
TRIAL_BYTES = 262_144
_SYNCHRONOUS_FULL = 2
_WRITER_PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",
    "mmap_size=0",
    "temp_store=memory",  # Else the statement journal is written to a file, twice.
    "recursive_triggers=on",  # Else INSERT OR REPLACE deletes without the append-only triggers.
    f"busy_timeout={BUSY_TIMEOUT_MILLISECONDS}",
    f"cache_size=-{CACHE_KIBIBYTES}",
    f"wal_autocheckpoint={CHECKPOINT_PAGES}",
)
_READER_PRAGMAS = (
    "query_only=on",
    "mmap_size=0",
    f"busy_timeout={BUSY_TIMEOUT_MILLISECONDS}",
    "wal_autocheckpoint=0",
)


def _test_disk(folder: Path) -> None:
    """Write and sync a trial file; raises DatabaseUnavailable.

    The database is not used before this succeeds: data written to a failing disk may be lost.
    """
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(os.urandom(TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DatabaseUnavailable(f"Cannot write to the data directory: {error}") from error


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"


class SqliteDatabase:
    """The log in a local file."""

    def __init__(self, path: Path, *, reads_only: bool = False) -> None:
        self.path = path
        self._reads_only = reads_only
        self._files = DatabaseFiles(path)
        self._wal_bytes_max = WAL_BYTES_MAX
        self._must_reopen = False
        self._was_busy = False  # The last write failed because of a lock.
        self.shared_time: Select[Any] | None = None
        self.dialect: Dialect = sqlite.dialect()
        self._writer: Connection | None = None
        self._idle_readers: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._readers: list[Connection] = []

    @property
    def lost(self) -> bool:
        return self._must_reopen

    async def open(self, schema: Schema | None = None) -> None:
        """Open all connections; raises Locked while another process writes the file."""
        if not self._reads_only:
            self._files.lock()  # SQLite's other files inherit the mode of the file it creates.
        try:
            if schema is not None:
                await self._prepare(schema)
            if not self._reads_only:
                await self._open_writer()
            for _ in range(READERS_MAX):
                await self._open_reader()
            self._files.remember()
        except BaseException:
            await self.close()
            raise

    async def _prepare(self, schema: Schema) -> None:
        if self._reads_only:
            await self.inspect(schema.check)
        else:
            await self.define(schema.prepare)

    async def define(self, work: Callable[[SqlConnection, Callable[[], None]], T]) -> T:
        """Run ``work`` with SQLite's write lock, so that no other process can append.

        Raises Locked while another process has opened the file for writing.
        """

        def run_locked(connection: SqlConnection) -> T:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # The driver begins none for DDL.
            return work(connection, lambda: None)

        if self._files.is_locked:
            return await self._run(_uri(self.path), run_locked)
        self._files.lock()
        try:
            return await self._run(_uri(self.path), run_locked)
        finally:
            self._files.unlock()

    async def inspect(self, query: Callable[[SqlConnection], T]) -> T:
        return await self._run(f"{_uri(self.path)}?mode=ro", query)

    async def _run(self, uri: str, work: Callable[[SqlConnection], T]) -> T:
        """Run ``work`` in one transaction: a table without its index would never get it later."""
        engine = create_async_engine(
            "sqlite+aiosqlite://", poolclass=NullPool, async_creator=lambda: connect(uri)
        )
        try:
            with translate_errors():
                async with engine.begin() as connection:
                    return await connection.run_sync(work)
        except (DatabaseUnavailable, SchemaOutdated) as error:
            raise type(error)(f"{self.path}: {error}") from error
        finally:
            await engine.dispose()

    async def _open_writer(self) -> Connection:
        self._writer = writer = await Connection.open(_uri(self.path), _WRITER_PRAGMAS)
        await writer.scalar("SELECT count(*) FROM sqlite_schema")  # Creates all files.
        mode = await writer.scalar("PRAGMA journal_mode")
        level = await writer.scalar("PRAGMA synchronous")
        if mode != "wal" or level != _SYNCHRONOUS_FULL:
            message = f"{self.path}: journal_mode={mode}, synchronous={level}; wal and 2 are needed"
            raise DatabaseUnusable(message)
        return writer

    async def _open_reader(self) -> None:
        reader = await Connection.open(f"{_uri(self.path)}?mode=ro", _READER_PRAGMAS)
        self._readers.append(reader)
        self._idle_readers.put_nowait(reader)

    async def reopen(self) -> None:
        """Open a new write connection once the disk accepts writes.

        All committed data is then in the database file, and the write-ahead log is empty. After
        waiting for a lock only, the connection is fine, and readers need not end.
        """
        await self.verify_files()
        was_busy, self._was_busy = self._was_busy, False
        if was_busy and self._writer is not None and not self._must_reopen:
            return
        await asyncio.to_thread(_test_disk, self.path.parent)
        if self._writer is not None:
            old, self._writer = self._writer, None
            await old.close()
        writer = await self._open_writer()
        if await writer.scalar("PRAGMA wal_checkpoint(truncate)"):
            raise DatabaseUnavailable("readers still use the old write-ahead log")
        self._must_reopen, self._wal_bytes_max = False, WAL_BYTES_MAX
        self._files.remember()

    async def verify_files(self) -> None:
        """Raise FilesReplaced if so, after all commits were copied into the open database file.

        If only the write-ahead log was removed, nothing is lost then.
        """
        missing = self._files.find_missing()
        if missing is None:
            return
        if self._writer is not None:
            with suppress(DatabaseUnavailable):  # In a transaction: the next call succeeds.
                await self._writer.run(_truncate_wal)
        raise FilesReplaced(f"{missing} was removed, moved or replaced while the service used it")

    async def close(self) -> None:
        """Close the readers first: the last connection to close removes the write-ahead log."""
        async with AsyncExitStack() as closing:  # Closes all, also when one close is cancelled.
            closing.callback(self._files.unlock)
            if self._writer is not None:
                closing.push_async_callback(self._writer.close)
                self._writer = None
            while self._readers:
                closing.push_async_callback(self._readers.pop().close)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[DatabaseTransaction]:
        if self._writer is None:
            message = "the log is not open for writing"
            raise DatabaseUnavailable(message)
        transaction = SqliteTransaction(self._writer, "BEGIN IMMEDIATE")
        try:
            async with commit_on_exit(transaction):
                yield transaction
        except DatabaseUnavailable as error:
            self._was_busy = isinstance(error, DatabaseBusy)
            raise
        if (missing := self._files.find_missing(after_commit=True)) is not None:
            raise DatabaseUnavailable(f"{missing} was removed, moved or replaced")
        if self._files.write_ahead_log_bytes > self._wal_bytes_max:
            await self._restart_wal(self._writer)

    async def _restart_wal(self, writer: Connection) -> None:
        """Wait briefly for the current readers, then truncate the write-ahead log.

        Later readers do not need it. For a long reader, such as a backup, the attempt fails and is
        repeated when the file has grown by WAL_BYTES_MAX.
        """
        try:
            await writer.run(_truncate_wal)
        except DatabaseUnavailable:  # The commit itself is durable.
            self._must_reopen = True
        self._files.find_missing()
        self._wal_bytes_max = self._files.write_ahead_log_bytes + WAL_BYTES_MAX

    @asynccontextmanager
    async def read(self) -> AsyncIterator[DatabaseTransaction]:
        reader = await self._idle_readers.get()
        transaction = SqliteTransaction(reader, "BEGIN")
        try:
            yield transaction
        finally:
            transaction.end_without_waiting()
            self._idle_readers.put_nowait(reader)

    # -- SQLite has no other processes ---------------------------------------------

    def notify_commit(self) -> None:
        pass

    async def listen(self, on_commit: Callable[[], None]) -> NoReturn:
        del on_commit
        while True:
            await asyncio.Event().wait()

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[asyncio.Event]:
        yield asyncio.Event()

    async def wall_clock(self) -> tuple[Nanoseconds, int]:
        return time.time_ns, 0

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        each = func.json_each(bindparam(parameter)).table_valued("value", name=f"{parameter}_rows")
        cells: list[ColumnElement[str]] = [
            func.json_extract(each.c.value, f"$[{column}]") for column in range(columns)
        ]
        return each, cells


def _truncate_wal(sqlite: sqlite3.Connection) -> None:
    sqlite.execute(f"PRAGMA busy_timeout={WAL_WAIT_MILLISECONDS}")
    try:
        sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        sqlite.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
