"""SQLite: one file, one writing connection, and a commit that is on the disk when it returns.

* WAL with ``synchronous=FULL``: with NORMAL, a power cut loses acknowledged commits. Checked at
  each opening, because a pragma that is misspelled is ignored in silence.
* ``BEGIN IMMEDIATE``: a batch holds the log's lock before it takes the time or a number.
* After an error the log goes on in a new file. What the old one was given while the disk failed may
  never be on it, even if it is written again and synced: the kernel shows it all the same.
* Only the writer checkpoints. Versions before 3.51.3 can corrupt the file when two connections
  commit or checkpoint at once, so readers are opened so that they can do neither.
* The write-ahead log begins anew only in a moment without readers. Where they follow one another
  closely there is none, and it would grow for as long as they do: so the writer makes one.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn, TypeVar
from urllib.parse import quote

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, create_engine, func
from sqlalchemy import Connection as SqlConnection
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import NullPool

from quorate.eventlog.database import DatabaseUnusable, Schema, SchemaOutdated
from quorate.eventlog.sqlite.connection import Connection, SqliteTransaction, translated
from quorate.eventlog.transactions import DatabaseTransaction, DatabaseUnavailable, committed
from quorate.runtime.clock import Nanoseconds

T = TypeVar("T")
BUSY_TIMEOUT_MILLISECONDS = 5_000
CACHE_KIBIBYTES = 65_536
CHECKPOINT_PAGES = 4_000
OWNER_ONLY = 0o600
WAL_BYTES_MAX = 64 * 1024 * 1024
WAL_WAIT_MILLISECONDS = 50
READERS_MAX = 4
TRIAL_BYTES = 262_144
_SYNCHRONOUS_FULL = 2
_WRITER_PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",
    "mmap_size=0",
    "temp_store=memory",  # What a statement may have to undo would be written to a file, twice.
    "recursive_triggers=on",  # Else INSERT OR REPLACE would delete unseen by append-only triggers.
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


def _write_something(folder: Path) -> None:
    """Before the database is touched: what it is given on a disk that fails is in doubt as well."""
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(os.urandom(TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DatabaseUnavailable(f"the disk takes nothing: {error}") from error


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"


class SqliteDatabase:
    """The log in a file of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._wal_bytes_max = WAL_BYTES_MAX
        self._in_doubt = False
        self.shared_time: Select[tuple[int]] | None = None
        self.dialect: Dialect = sqlite.dialect()
        self._writer: Connection | None = None
        self._idle_readers: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._readers: list[Connection] = []

    @property
    def lost(self) -> bool:
        return self._in_doubt

    async def open(self, schema: Schema | None = None) -> None:
        try:
            if schema is not None:
                with suppress(OSError):  # SQLite says what is wrong.
                    self.path.touch(mode=OWNER_ONLY)  # And so is what it puts beside it.
                await self.define(schema.prepare)
            await self._open_writer()
            for _ in range(READERS_MAX):
                await self._open_reader()
        except BaseException:
            await self.close()  # A connection that is left open keeps the process alive.
            raise

    async def define(self, work: Callable[[SqlConnection, Callable[[], None]], T]) -> T:
        """Nobody else can append anyhow, from the first statement on."""

        def alone(connection: SqlConnection) -> T:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # The driver begins none for DDL.
            return work(connection, lambda: None)

        return await asyncio.to_thread(self._on_a_connection, _uri(self.path), alone)

    async def inspect(self, look: Callable[[SqlConnection], T]) -> T:
        return await asyncio.to_thread(self._on_a_connection, f"{_uri(self.path)}?mode=ro", look)

    def _on_a_connection(self, uri: str, work: Callable[[SqlConnection], T]) -> T:
        """All of it or nothing: a table whose index is missing would never get it any more."""

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(uri, uri=True, isolation_level=None)

        engine = create_engine("sqlite://", poolclass=NullPool, creator=connect)
        try:
            with translated(), engine.begin() as connection:
                return work(connection)
        except (DatabaseUnavailable, SchemaOutdated) as error:
            raise type(error)(f"{self.path}: {error}") from error
        finally:
            engine.dispose()

    async def _open_writer(self) -> Connection:
        self._writer = writer = await self._connect(_uri(self.path), _WRITER_PRAGMAS)
        mode = await writer.scalar("PRAGMA journal_mode")
        level = await writer.scalar("PRAGMA synchronous")
        if mode != "wal" or level != _SYNCHRONOUS_FULL:
            message = f"{self.path}: journal_mode={mode}, synchronous={level}; wal and 2 are needed"
            raise DatabaseUnusable(message)
        return writer

    async def _open_reader(self) -> None:
        reader = await self._connect(f"{_uri(self.path)}?mode=ro", _READER_PRAGMAS)
        self._readers.append(reader)
        self._idle_readers.put_nowait(reader)

    async def _connect(self, uri: str, pragmas: Sequence[str]) -> Connection:
        connection = Connection(uri, pragmas)
        try:
            await connection.open()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def reopen(self) -> None:
        """As soon as the disk takes anything new; all that was committed is in the database then,
        and the write-ahead log is empty.
        """
        await asyncio.to_thread(_write_something, self.path.parent)
        if self._writer is not None:
            old, self._writer = self._writer, None
            await old.close()
        writer = await self._open_writer()
        if await writer.scalar("PRAGMA wal_checkpoint(truncate)"):
            raise DatabaseUnavailable("somebody still reads what the log must not go on from")
        self._in_doubt, self._wal_bytes_max = False, WAL_BYTES_MAX

    async def close(self) -> None:
        """Readers first, so that the writer, closing last, leaves no write-ahead log behind."""
        for reader in self._readers:
            await reader.close()
        self._readers.clear()
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[DatabaseTransaction]:
        if self._writer is None:
            message = "the log is not open for writing"
            raise DatabaseUnavailable(message)
        transaction = SqliteTransaction(self._writer, "BEGIN IMMEDIATE")
        async with committed(transaction):
            yield transaction
        if self._wal_bytes() > self._wal_bytes_max:
            await self._begin_wal_anew(self._writer)

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0

    async def _begin_wal_anew(self, writer: Connection) -> None:
        """Wait for those who are reading just now; whoever comes then needs nothing of it. One that
        reads for long, like a backup, is not waited for: it is tried again when there is more.
        """
        try:
            await writer.run(lambda: _truncate_wal(writer))
        except DatabaseUnavailable:  # What was committed is on the disk all the same.
            self._in_doubt = True
        self._wal_bytes_max = self._wal_bytes() + WAL_BYTES_MAX

    @asynccontextmanager
    async def read(self) -> AsyncIterator[DatabaseTransaction]:
        reader = await self._idle_readers.get()
        transaction = SqliteTransaction(reader, "BEGIN")
        try:
            yield transaction
        finally:
            with suppress(DatabaseUnavailable):
                transaction.leave()
            self._idle_readers.put_nowait(reader)

    # -- There is no other process -------------------------------------------------

    def notify_commit(self) -> None:
        pass

    async def listen(self, heard: Callable[[], None]) -> NoReturn:
        del heard
        while True:
            await asyncio.Event().wait()

    @asynccontextmanager
    async def lead(self) -> AsyncIterator[asyncio.Event]:
        yield asyncio.Event()

    async def wall_clock(self) -> Nanoseconds:
        return time.time_ns

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        each = func.json_each(bindparam(parameter)).table_valued("value", name=f"{parameter}_rows")
        cells: list[ColumnElement[str]] = [
            func.json_extract(each.c.value, f"$[{column}]") for column in range(columns)
        ]
        return each, cells


def _truncate_wal(writer: Connection) -> None:
    writer.sqlite.execute(f"PRAGMA busy_timeout={WAL_WAIT_MILLISECONDS}")
    try:
        writer.sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        writer.sqlite.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
