"""A SQLite connection in a dedicated thread, and a transaction with few thread switches.

The thread competes with the event loop for the interpreter lock. Each switch, and each row that is
fetched, may take milliseconds under load. Therefore:

* several queries run in one job, and each returns its rows as one JSON value;
* writes are held back until the commit and run in its job, with many rows per statement;
* a job ends at its first error. After some errors SQLite has rolled back automatically, and later
  statements would run outside the transaction.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import orjson
from sqlalchemy.exc import DBAPIError

from quorate.eventlog.transactions import DatabaseUnavailable, Lookup, Query, StatementRejected

T = TypeVar("T")
Rows: TypeAlias = Sequence[Sequence[Any]]

STATEMENTS_CACHED = 512
ROWS_PER_STATEMENT_MAX = 64
ROWS_COMBINED_MAX = 512  # Larger writes are maintenance work, where latency does not matter.
PENDING_ROWS_MAX = 20_000
_INVALID_VALUE = (OverflowError, UnicodeEncodeError)  # A value of the command cannot be bound.
_VALUES = "VALUES ("
_PACKED: dict[str, str] = {}


class Connection:
    """One connection, used by one job at a time.

    Raises DatabaseUnavailable and StatementRejected.
    """

    def __init__(self, uri: str, pragmas: Sequence[str]) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._uri = uri
        self._pragmas = pragmas
        self._sqlite: sqlite3.Connection | None = None

    async def open(self) -> None:
        await self.run(self._open)

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job in the connection's thread; it continues when the caller is cancelled."""
        with translate_errors():
            return await self.submit(job)

    def submit(self, job: Callable[[], T]) -> "asyncio.Future[T]":
        """Like ``run``, but without waiting and with the driver's own exceptions."""
        try:
            return asyncio.get_running_loop().run_in_executor(self._thread, job)
        except RuntimeError as error:  # The thread has ended.
            raise DatabaseUnavailable("the database is closed") from error

    async def close(self) -> None:
        try:
            await self.run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def scalar(self, sql: str) -> Any:  # noqa: ANN401 - a cell.
        return await self.run(lambda: self.sqlite.execute(sql).fetchone()[0])

    @property
    def sqlite(self) -> sqlite3.Connection:
        """The driver's connection; for use inside jobs only."""
        if self._sqlite is None:
            raise sqlite3.OperationalError("the database is closed")
        return self._sqlite

    def _open(self) -> None:
        self._sqlite = sqlite3.connect(
            self._uri,
            uri=True,
            isolation_level=None,
            cached_statements=STATEMENTS_CACHED,
            check_same_thread=False,
        )
        for pragma in self._pragmas:
            self._sqlite.execute(f"PRAGMA {pragma}")

    def _close(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
            self._sqlite = None


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

        def write_and_commit() -> None:
            work()
            self._connection.sqlite.execute("COMMIT")

        await self._connection.run(write_and_commit)

    async def roll_back(self) -> None:
        await self._connection.run(self._roll_back)

    def end_without_waiting(self) -> None:
        """End a read-only transaction without waiting for it."""
        self._connection.submit(self._roll_back).add_done_callback(_retrieve_exception)

    def _roll_back(self) -> None:
        if self._connection.sqlite.in_transaction:
            self._connection.sqlite.execute("ROLLBACK")

    def _job(self, queries: Sequence[tuple[str, Sequence[Any]]]) -> Callable[[], list[Any]]:
        begin, pending = self._begin, self._pending
        self._begin, self._pending, self._pending_rows = None, [], 0
        return lambda: _execute(self._connection.sqlite, begin, pending, queries)


def _execute(
    sqlite: sqlite3.Connection,
    begin: str | None,
    pending: Sequence[tuple[str, Rows]],
    queries: Sequence[tuple[str, Sequence[Any]]],
) -> list[Any]:
    """Begin if necessary, execute the pending writes, and return the rows of the queries."""
    if begin is not None:
        if sqlite.in_transaction:  # The previous transaction could not be ended.
            sqlite.execute("ROLLBACK")
        sqlite.execute(begin)
    for sql, rows in pending:
        if len(rows) > ROWS_COMBINED_MAX or _VALUES not in sql:
            sqlite.executemany(sql, rows)
        else:
            for statement, values in _combine_rows(sql, rows):
                sqlite.execute(statement, values)
    return [sqlite.execute(sql, values).fetchall() for sql, values in queries]


def _retrieve_exception(done: "asyncio.Future[Any]") -> None:
    """Retrieve the exception, so that asyncio does not log it as unretrieved."""
    if not done.cancelled():
        done.exception()


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
        raise DatabaseUnavailable(str(error)) from error
    except DBAPIError as error:  # ``str(error)`` would contain the whole SQL.
        raise DatabaseUnavailable(str(error.orig)) from error
