"""SQLite: one file, one writing connection, and a commit that is on the disk when it returns.

* WAL with ``synchronous=FULL``: with NORMAL, a power cut loses acknowledged commits. Checked at
  each opening, because a pragma that is misspelled is ignored in silence.
* ``BEGIN IMMEDIATE``: a batch holds the log's lock before it takes the time or a number.
* Only the writer checkpoints. Versions before 3.51.3 can corrupt the file when two connections
  commit or checkpoint at once, so readers are opened so that they can do neither.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import ColumnElement, FromClause, MetaData, bindparam, create_engine, func
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import NullPool

from quorate.eventlog.backend import Unsafe
from quorate.eventlog.session import Broken, Query, Rejected, Session

BUSY_TIMEOUT_MILLISECONDS = 5_000
CACHE_KIBIBYTES = 65_536
CHECKPOINT_PAGES = 4_000
READERS_MAX = 4
STATEMENTS_CACHED = 256
_SYNCHRONOUS_FULL = 2
_WRITER_PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",
    "mmap_size=0",
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


class SqliteBackend:
    """The log in a file of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dialect: Dialect = sqlite.dialect()
        self._writer: aiosqlite.Connection | None = None
        self._idle_readers: asyncio.LifoQueue[aiosqlite.Connection] = asyncio.LifoQueue()
        self._readers: list[aiosqlite.Connection] = []

    async def open(self, metadatas: Sequence[MetaData], append_only: Sequence[str]) -> None:
        await asyncio.to_thread(self._create, metadatas, append_only)
        await self._open_writer()
        for _ in range(READERS_MAX):
            reader = await self._connect(f"file:{self.path}?mode=ro", _READER_PRAGMAS)
            self._readers.append(reader)
            self._idle_readers.put_nowait(reader)

    def _create(self, metadatas: Sequence[MetaData], append_only: Sequence[str]) -> None:
        engine = create_engine(f"sqlite:///{self.path}", poolclass=NullPool)
        with engine.begin() as connection:
            for tables in metadatas:
                tables.create_all(connection)
            for table in append_only:
                for change in ("update", "delete"):
                    connection.exec_driver_sql(
                        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{change} BEFORE {change} "
                        f"ON {table} BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
                    )
        engine.dispose()

    async def _open_writer(self) -> None:
        self._writer = await self._connect(f"file:{self.path}", _WRITER_PRAGMAS)
        mode = await _scalar(self._writer, "PRAGMA journal_mode")
        level = await _scalar(self._writer, "PRAGMA synchronous")
        if mode != "wal" or level != _SYNCHRONOUS_FULL:
            message = f"{self.path}: journal_mode={mode}, synchronous={level}; wal and 2 are needed"
            raise Unsafe(message)

    async def _connect(self, uri: str, pragmas: Sequence[str]) -> aiosqlite.Connection:
        with _translated():
            connection = await aiosqlite.connect(
                uri, uri=True, isolation_level=None, cached_statements=STATEMENTS_CACHED
            )
            for pragma in pragmas:
                await connection.execute_fetchall(f"PRAGMA {pragma}")
        return connection

    async def reopen(self) -> None:
        if self._writer is not None:
            old, self._writer = self._writer, None
            with _translated():
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
        async with _transaction(self._writer, "BEGIN IMMEDIATE") as session:
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Session]:
        reader = await self._idle_readers.get()
        try:
            async with _transaction(reader, "BEGIN") as session:
                yield session
        finally:
            self._idle_readers.put_nowait(reader)

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        each = func.json_each(bindparam(parameter)).table_valued("value", name=f"{parameter}_rows")
        cells: list[ColumnElement[str]] = [
            func.json_extract(each.c.value, f"$[{column}]") for column in range(columns)
        ]
        return each, cells


class SqliteSession:
    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        with _translated():
            found = await self._connection.execute_fetchall(query.sql, query.bind(values))
        return [query.row(row) for row in found]

    async def write(self, query: Query, rows: Sequence[Sequence[Any]]) -> None:
        with _translated():
            await self._connection.executemany(query.sql, rows)


@asynccontextmanager
async def _transaction(
    connection: aiosqlite.Connection, begin: str
) -> AsyncIterator[SqliteSession]:
    with _translated():
        await connection.execute_fetchall(begin)
    try:
        yield SqliteSession(connection)
    except BaseException:
        await asyncio.shield(_rolled_back(connection))
        raise
    with _translated():
        await connection.commit()


async def _rolled_back(connection: aiosqlite.Connection) -> None:
    try:
        await connection.rollback()
    except sqlite3.Error:
        pass  # It failed because the transaction is gone already; the first error is the one to tell.


async def _scalar(connection: aiosqlite.Connection, sql: str) -> Any:  # noqa: ANN401 - a cell.
    with _translated():
        ((value,),) = await connection.execute_fetchall(sql)
    return value


@contextmanager
def _translated() -> Iterator[None]:
    """Say in the port's words what went wrong."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise Rejected(str(error)) from error
    except (sqlite3.DatabaseError, ValueError) as error:  # aiosqlite: ValueError once closed.
        raise Broken(str(error)) from error
