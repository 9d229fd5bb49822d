"""An aiosqlite connection, and a transaction with few thread switches.

aiosqlite owns the thread of each connection, its queue, and opening and closing. The thread
competes with the event loop for the interpreter lock. Each switch, and each row that is fetched,
may take milliseconds under load. Therefore:

* a job is any function, and one hop to the thread: aiosqlite alone makes one hop per statement;
* several queries run in one job, and each returns its rows as one JSON value;
* writes are held back until the commit and run in its job, with many rows per statement;
* a job ends at its first error. After some errors SQLite has rolled back automatically, and later
  statements would run outside the transaction.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import chain
from typing import Any, Generic, TypeAlias, TypeVar

import aiosqlite
import orjson
from sqlalchemy.exc import DBAPIError

from quorate.eventlog.transactions import (
    DatabaseBusy,
    DatabaseUnavailable,
    Lookup,
    Query,
    StatementRejected,
)

T = TypeVar("T")
Rows: TypeAlias = Sequence[Sequence[Any]]

STATEMENTS_CACHED = 512
ROWS_PER_STATEMENT_MAX = 64
ROWS_COMBINED_MAX = 512  # Larger writes are maintenance work, where latency does not matter.
PENDING_ROWS_MAX = 20_000
_PRIMARY_CODE = 0xFF  # An extended error code contains the primary one.
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_INVALID_VALUE = (OverflowError, UnicodeEncodeError)  # A value of the command cannot be bound.
_VALUES = "VALUES ("
_PACKED: dict[str, str] = {}


class Job(Generic[T]):
    """A function for the connection's thread, and then its result."""

    result: T

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work


class BatchConnection(sqlite3.Connection):
    """The driver's connection; executes a Job where aiosqlite passes on an SQL script."""

    def executescript(self, script: str | Job[Any], /) -> sqlite3.Cursor:
        if not isinstance(script, Job):
            return super().executescript(script)
        script.result = script.work(self)
        return self.cursor()


async def connect(uri: str) -> aiosqlite.Connection:
    """Open a connection of the driver; raises its exceptions."""
    driver = aiosqlite.connect(
        uri,
        uri=True,
        isolation_level=None,
        cached_statements=STATEMENTS_CACHED,
        factory=BatchConnection,
    )
    thread = driver._thread  # noqa: SLF001 - aiosqlite 0.22 has no option for these two:
    thread.daemon = True  # Else a connection that is left open keeps the process alive.
    try:
        return await driver
    except sqlite3.Error:
        thread.join()  # It ends at once. After the end of the event loop it would log a traceback.
        raise


class Connection:
    """One connection, used by one job at a time.

    Raises DatabaseUnavailable and StatementRejected.
    """

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self._driver = driver
        self._is_closed = False
        self._unawaited: set[asyncio.Task[None]] = set()
        self.user: object = None  # The transaction of the last job.

    @classmethod
    async def open(cls, uri: str, pragmas: Sequence[str]) -> "Connection":
        with translate_errors():
            connection = cls(await connect(uri))
        try:
            await connection.run(lambda sqlite: _set_pragmas(sqlite, pragmas))
        except BaseException:
            await connection.close()
            raise
        return connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a job in the connection's thread; it continues when the caller is cancelled."""
        if self._is_closed:
            message = "the database is closed"
            raise DatabaseUnavailable(message)
        job = Job(work)
        script: Any = job  # aiosqlite passes any object on to BatchConnection.
        with translate_errors():
            await self._driver.executescript(script)
        return job.result

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work on this connection without waiting for it; its errors are dropped."""
        task = asyncio.create_task(_run_quietly(work))
        self._unawaited.add(task)  # The event loop holds a weak reference only.
        task.add_done_callback(self._unawaited.discard)

    async def close(self) -> None:
        """Close after the jobs in the queue, also when the caller is cancelled."""
        self._is_closed = True
        with translate_errors():
            await self._driver.close()

    async def scalar(self, sql: str) -> Any:  # noqa: ANN401 - a cell.
        return await self.run(lambda sqlite: sqlite.execute(sql).fetchone()[0])


async def _run_quietly(work: Coroutine[Any, Any, None]) -> None:
    with suppress(DatabaseUnavailable, StatementRejected):
        await work


def _set_pragmas(sqlite: sqlite3.Connection, pragmas: Sequence[str]) -> None:
    for pragma in pragmas:
        sqlite.execute(f"PRAGMA {pragma}")


class SqliteTransaction:
    """One transaction on a connection."""

    def __init__(self, connection: Connection, begin: str) -> None:
        self._connection = connection
        self._begin: str | None = begin
        self._pending: list[tuple[str, Rows]] = []
        self._pending_rows = 0

    async def look_up(self, lookups: Sequence[Lookup]) -> None:
        if not lookups:
            return
        sql = _combine_packed(tuple(one.query for one in lookups))
        values = [value for one in lookups for value in one.query.bind(one.values)]
        ((cells,),) = await self._connection.run(self._job([(sql, values)]))
        for one, cell in zip(lookups, cells, strict=True):
            one.take(_unpack(one.query, cell))

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        sql = _pack(query) if query.packed else query.sql
        (found,) = await self._connection.run(self._job([(sql, query.bind(values))]))
        return _unpack(query, found[0][0]) if query.packed else [query.row(row) for row in found]

    async def write(self, query: Query, rows: Rows) -> None:
        self._pending.append((query.sql, rows))
        self._pending_rows += len(rows)
        if self._pending_rows >= PENDING_ROWS_MAX:
            await self._connection.run(self._job([]))

    async def commit(self) -> None:
        """Execute the pending writes and commit, all or none."""
        if self._begin is not None and not self._pending:
            return
        work = self._job([])

        def write_and_commit(sqlite: sqlite3.Connection) -> None:
            work(sqlite)
            sqlite.execute("COMMIT")

        await self._connection.run(write_and_commit)

    async def roll_back(self) -> None:
        """Roll back, unless a later transaction has begun, which rolled this one back."""
        if self._connection.user is self:
            await self._connection.run(_roll_back)

    def end_without_waiting(self) -> None:
        """End a read-only transaction without waiting for it."""
        self._connection.start(self.roll_back())

    def _job(
        self, queries: Sequence[tuple[str, Sequence[Any]]]
    ) -> Callable[[sqlite3.Connection], list[Any]]:
        """Return the next job, which the caller must run at once."""
        begin, pending = self._begin, self._pending
        self._begin, self._pending, self._pending_rows = None, [], 0
        self._connection.user = self
        return lambda sqlite: _execute(sqlite, begin, pending, queries)


def _roll_back(sqlite: sqlite3.Connection) -> None:
    if sqlite.in_transaction:
        sqlite.execute("ROLLBACK")


def _execute(
    sqlite: sqlite3.Connection,
    begin: str | None,
    pending: Sequence[tuple[str, Rows]],
    queries: Sequence[tuple[str, Sequence[Any]]],
) -> list[Any]:
    """Begin if necessary, execute the pending writes, and return the rows of the queries."""
    if begin is not None:
        _roll_back(sqlite)  # The previous transaction, if it was not or could not be ended.
        sqlite.execute(begin)
    for sql, rows in pending:
        if len(rows) > ROWS_COMBINED_MAX or _VALUES not in sql:
            sqlite.executemany(sql, rows)
        else:
            for statement, values in _combine_rows(sql, rows):
                sqlite.execute(statement, values)
    return [sqlite.execute(sql, values).fetchall() for sql, values in queries]


# -- SQL that avoids thread switches -------------------------------------------


def _pack(query: Query) -> str:
    """Return SQL that fetches all rows of the query as one JSON array."""
    if (sql := _PACKED.get(query.sql)) is None:
        cells = ", ".join(
            f'hex("{name}")' if name in query.binary else f'"{name}"' for name in query.columns
        )
        sql = f"SELECT json_group_array(json_array({cells})) FROM ({query.sql})"  # noqa: S608
        _PACKED[query.sql] = sql
    return sql


@lru_cache(maxsize=STATEMENTS_CACHED)
def _combine_packed(queries: tuple[Query, ...]) -> str:
    """Return SQL that runs several queries as one row, with one cell for each."""
    return "SELECT " + ", ".join(f"({_pack(query)})" for query in queries)


def _unpack(query: Query, text: str) -> Sequence[Any]:
    rows = orjson.loads(text)
    for index, name in enumerate(query.columns):
        if name in query.binary:
            for row in rows:
                row[index] = bytes.fromhex(row[index])
    return [query.row(row) for row in rows]


def _combine_rows(sql: str, rows: Rows) -> Iterator[tuple[str, list[Any]]]:
    """Yield statements for up to ROWS_PER_STATEMENT_MAX rows; SQLite prepares each length once."""
    head, values, tail = _split(sql)
    for start in range(0, len(rows), ROWS_PER_STATEMENT_MAX):
        some = rows[start : start + ROWS_PER_STATEMENT_MAX]
        yield head + ", ".join([values] * len(some)) + tail, list(chain.from_iterable(some))


def _split(sql: str) -> tuple[str, str, str]:
    """Split an insert before, within and after the parentheses of its values."""
    start = sql.index(_VALUES) + len(_VALUES) - 1
    end = sql.index(")", start) + 1
    return sql[:start], sql[start:end], sql[end:]


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate the driver's exceptions to those of the database port."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, *_INVALID_VALUE) as error:
        raise StatementRejected(str(error)) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:  # UnicodeDecodeError: corrupted text.
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        raise (DatabaseBusy if code in _BUSY else DatabaseUnavailable)(str(error)) from error
    except DBAPIError as error:  # ``str(error)`` would contain the whole SQL.
        raise DatabaseUnavailable(str(error.orig)) from error
