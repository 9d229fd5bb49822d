"""A connection to SQLite with a thread of its own, and a transaction that crosses to it seldom.

The thread competes with the event loop for the interpreter, and each crossing and each row that is
stepped over is a hand-over that may take milliseconds under load. So:

* queries that can be asked together cross together, and each brings its rows in one JSON value;
* writes are held back and cross with the commit, many rows to a statement;
* one job ends at its first error, so nothing is carried out behind a statement that failed: after
  some errors SQLite has rolled back by itself, and what came next would stand alone.
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
ROWS_TOGETHER_MAX = 512  # Beyond, nobody is waiting for an answer.
ROWS_HELD_MAX = 20_000
_UNFIT = (OverflowError, UnicodeEncodeError)  # A value that cannot be bound is its order's fault.
_VALUES = "VALUES ("
_PACKED: dict[str, str] = {}


class Connection:
    """One connection, used by one job at a time. Raises Broken and Rejected."""

    def __init__(self, uri: str, pragmas: Sequence[str]) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._uri = uri
        self._pragmas = pragmas
        self._sqlite: sqlite3.Connection | None = None

    async def open(self) -> None:
        await self.run(self._open)

    async def run(self, job: Callable[[], T]) -> T:
        """Carry out a job in the connection's thread; it goes on when the caller goes away."""
        with translated():
            return await self.submit(job)

    def submit(self, job: Callable[[], T]) -> "asyncio.Future[T]":
        """The same without waiting; errors come as the driver raises them."""
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
        """The driver's connection, for jobs."""
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
        self._held: list[tuple[str, Rows]] = []
        self._rows_held = 0

    async def look_up(self, lookups: Sequence[Lookup]) -> None:
        if not lookups:
            return
        sql = _together_packed(tuple(one.query for one in lookups))
        values = [value for one in lookups for value in one.query.bind(one.values)]
        ((cells,),) = await self._connection.run(self._job([(sql, values)]))
        for one, cell in zip(lookups, cells, strict=True):
            one.take(_unpacked(one.query, cell))

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        sql = _packed(query) if query.packed else query.sql
        (found,) = await self._connection.run(self._job([(sql, query.bind(values))]))
        return _unpacked(query, found[0][0]) if query.packed else [query.row(row) for row in found]

    async def write(self, query: Query, rows: Rows) -> None:
        self._held.append((query.sql, rows))
        self._rows_held += len(rows)
        if self._rows_held >= ROWS_HELD_MAX:
            await self._connection.run(self._job([]))

    async def commit(self) -> None:
        """Carry out what was held back, and commit: all of it, or nothing."""
        if self._begin is not None and not self._held:
            return
        work = self._job([])

        def carry_out_and_commit() -> None:
            work()
            self._connection.sqlite.execute("COMMIT")

        await self._connection.run(carry_out_and_commit)

    async def roll_back(self) -> None:
        await self._connection.run(self._roll_back)

    def leave(self) -> None:
        """End a transaction that only read, without waiting for it."""
        self._connection.submit(self._roll_back).add_done_callback(_looked_at)

    def _roll_back(self) -> None:
        if self._connection.sqlite.in_transaction:
            self._connection.sqlite.execute("ROLLBACK")

    def _job(self, asked: Sequence[tuple[str, Sequence[Any]]]) -> Callable[[], list[Any]]:
        begin, held = self._begin, self._held
        self._begin, self._held, self._rows_held = None, [], 0
        return lambda: _carry_out(self._connection.sqlite, begin, held, asked)


def _carry_out(
    sqlite: sqlite3.Connection,
    begin: str | None,
    held: Sequence[tuple[str, Rows]],
    asked: Sequence[tuple[str, Sequence[Any]]],
) -> list[Any]:
    if begin is not None:
        if sqlite.in_transaction:  # The last one could not be ended.
            sqlite.execute("ROLLBACK")
        sqlite.execute(begin)
    for sql, rows in held:
        if len(rows) > ROWS_TOGETHER_MAX or _VALUES not in sql:
            sqlite.executemany(sql, rows)
        else:
            for statement, values in _together(sql, rows):
                sqlite.execute(statement, values)
    return [sqlite.execute(sql, values).fetchall() for sql, values in asked]


def _looked_at(done: "asyncio.Future[Any]") -> None:
    if not done.cancelled():
        done.exception()


# -- SQL that spares hand-overs ------------------------------------------------


def _packed(query: Query) -> str:
    """The same query, all its rows in one JSON array."""
    if (sql := _PACKED.get(query.sql)) is None:
        cells = ", ".join(
            f'hex("{name}")' if name in query.binary else f'"{name}"' for name in query.columns
        )
        sql = f"SELECT json_group_array(json_array({cells})) FROM ({query.sql})"  # noqa: S608
        _PACKED[query.sql] = sql
    return sql


@lru_cache(maxsize=STATEMENTS_CACHED)
def _together_packed(queries: tuple[Query, ...]) -> str:
    """Several queries as one row, each of them a cell of it."""
    return "SELECT " + ", ".join(f"({_packed(query)})" for query in queries)


def _unpacked(query: Query, text: str) -> Sequence[Any]:
    rows = orjson.loads(text)
    for index, name in enumerate(query.columns):
        if name in query.binary:
            for row in rows:
                row[index] = bytes.fromhex(row[index])
    return [query.row(row) for row in rows]


def _together(sql: str, rows: Rows) -> Iterator[tuple[str, list[Any]]]:
    """One statement for up to ROWS_PER_STATEMENT_MAX rows; each length is prepared once."""
    head, values, tail = _split(sql)
    for start in range(0, len(rows), ROWS_PER_STATEMENT_MAX):
        some = rows[start : start + ROWS_PER_STATEMENT_MAX]
        yield head + ", ".join([values] * len(some)) + tail, list(chain.from_iterable(some))


def _split(sql: str) -> tuple[str, str, str]:
    """An insert before, within and after the parentheses of its values."""
    start = sql.index(_VALUES) + len(_VALUES) - 1
    end = sql.index(")", start) + 1
    return sql[:start], sql[start:end], sql[end:]


@contextmanager
def translated() -> Iterator[None]:
    """Say in the port's words what went wrong."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.DataError, *_UNFIT) as error:
        raise StatementRejected(str(error)) from error
    except (sqlite3.Error, UnicodeDecodeError) as error:  # The second: text that is none any more.
        raise DatabaseUnavailable(str(error)) from error
    except DBAPIError as error:
        raise DatabaseUnavailable(
            str(error.orig)
        ) from error  # Its own text goes on about SQL for lines.
