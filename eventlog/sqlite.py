"""SQLite: one file, one writing connection, and a commit that is on the disk when it returns.

* WAL with ``synchronous=FULL``: with NORMAL, a power cut loses acknowledged commits. Checked at
  each opening, because a pragma that is misspelled is ignored in silence.
* ``BEGIN IMMEDIATE``: a batch holds the log's lock before it takes the time or a number.
* Only the writer checkpoints. Versions before 3.51.3 can corrupt the file when two connections
  commit or checkpoint at once, so readers are opened so that they can do neither.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import quote

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, create_engine, func
from sqlalchemy import Connection as SqlConnection
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import NullPool

from quorate.eventlog.backend import Outdated, Schema, Unsafe
from quorate.eventlog.clock import Nanoseconds
from quorate.eventlog.session import Broken, Session, committed
from quorate.eventlog.sqlite_connection import Connection, SqliteSession, translated

T = TypeVar("T")
BUSY_TIMEOUT_MILLISECONDS = 5_000
CACHE_KIBIBYTES = 65_536
CHECKPOINT_PAGES = 4_000
READERS_MAX = 4
_SYNCHRONOUS_FULL = 2
_WRITER_PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",
    "mmap_size=0",
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


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"


class SqliteBackend:
    """The log in a file of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shared_time: Select[tuple[int]] | None = None
        self.dialect: Dialect = sqlite.dialect()
        self._writer: Connection | None = None
        self._idle_readers: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self._readers: list[Connection] = []

    async def open(self, schema: Schema | None = None) -> None:
        try:
            if schema is not None:
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
        except (Broken, Outdated) as error:
            raise type(error)(f"{self.path}: {error}") from error
        finally:
            engine.dispose()

    async def _open_writer(self) -> None:
        self._writer = await self._connect(_uri(self.path), _WRITER_PRAGMAS)
        mode = await self._writer.scalar("PRAGMA journal_mode")
        level = await self._writer.scalar("PRAGMA synchronous")
        if mode != "wal" or level != _SYNCHRONOUS_FULL:
            message = f"{self.path}: journal_mode={mode}, synchronous={level}; wal and 2 are needed"
            raise Unsafe(message)

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
        if self._writer is not None:
            old, self._writer = self._writer, None
            await old.close()
        await self._open_writer()

    async def close(self) -> None:
        """Readers first, so that the writer, closing last, leaves no write-ahead log behind."""
        for reader in self._readers:
            await reader.close()
        self._readers.clear()
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Session]:
        if self._writer is None:
            message = "the log is not open for writing"
            raise Broken(message)
        session = SqliteSession(self._writer, "BEGIN IMMEDIATE")
        async with committed(session):
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Session]:
        reader = await self._idle_readers.get()
        session = SqliteSession(reader, "BEGIN")
        try:
            yield session
        finally:
            with suppress(Broken):
                session.leave()
            self._idle_readers.put_nowait(reader)

    # -- There is no other process -------------------------------------------------

    def ring(self) -> None:
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
