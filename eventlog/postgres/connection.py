"""One PostgreSQL transaction with as few round trips as possible.

Each statement waits for the server, perhaps on another machine, while the log's lock is held.
Therefore:

* several queries are one statement, and each returns its rows as one JSON value;
* writes are held back until the commit, and each is one statement for any number of rows;
* ``BEGIN`` and the log's lock take one round trip before the first statement.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeAlias

import asyncpg
import orjson
from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary
from sqlalchemy.dialects.postgresql import TSVECTOR

from quorate.eventlog.transactions import DatabaseUnavailable, Lookup, Query, StatementRejected

Rows: TypeAlias = Sequence[Sequence[Any]]

STATEMENTS_CACHED = 512
ROLL_BACK_SECONDS_MAX = 1.0  # A rollback is quick; a server that needs longer does not respond.
ROWS_PER_STATEMENT_MAX = 20_000
# Processing many rows takes long; the server must not end the transaction as idle meanwhile.
ROWS_WITHIN_TIMEOUT_MAX = 10_000
MILLISECONDS_PER_ROW = 1
_PARAMETER = re.compile(r"\$(\d+)")
_VALUES = re.compile(r" VALUES \([^()]*\)")
_ARRAYS = {
    BigInteger: "bigint[]",
    Boolean: "boolean[]",
    Integer: "int[]",
    LargeBinary: "bytea[]",
    TSVECTOR: "tsvector[]",
}
# A value of the command is invalid; the database works.
_REJECTED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.exceptions.DataError,  # Rejected by the server.
    asyncpg.RaiseError,  # Rejected by the append-only triggers.
    asyncpg.exceptions.UntranslatableCharacterError,
)
CONNECTION_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # The server is closing the connection.
    OSError,
    TimeoutError,
)


class PostgresTransaction:
    """One transaction; ``begin`` is the SQL that opens it."""

    def __init__(self, connection: Any, begin: str) -> None:  # noqa: ANN401 - a pool's proxy, or not.
        self._connection = connection
        self._begin: str | None = begin
        self._pending: list[tuple[Query, Rows]] = []
        self._pending_rows = 0

    async def look_up(self, lookups: Sequence[Lookup]) -> None:
        if not lookups:
            return
        sql = _combine(tuple(one.query for one in lookups))
        values = [value for one in lookups for value in one.query.bind(one.values)]
        with translate_errors():
            await self._write_pending()
            cells = await self._connection.fetchrow(sql, *values)
        found = [_unpack(one.query, cell) for one, cell in zip(lookups, cells, strict=True)]
        await self._extend_idle_timeout(sum(map(len, found)))
        for one, rows in zip(lookups, found, strict=True):
            one.take(rows)

    async def _extend_idle_timeout(self, rows: int) -> None:
        if rows > ROWS_WITHIN_TIMEOUT_MAX:
            milliseconds = rows * MILLISECONDS_PER_ROW
            with translate_errors():
                await self._connection.execute(
                    f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"
                )

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        with translate_errors():
            await self._write_pending()
            found = await self._connection.fetch(query.sql, *query.bind(values))
        return [query.row(row) for row in found]

    async def write(self, query: Query, rows: Rows) -> None:
        self._pending.append((query, rows))
        self._pending_rows += len(rows)
        if self._pending_rows >= ROWS_PER_STATEMENT_MAX:
            with translate_errors():
                await self._write_pending()

    async def commit(self) -> None:
        """Execute the pending writes and commit, all or none."""
        if self._begin is not None and not self._pending:
            return
        with translate_errors():
            await self._write_pending()
            await self._connection.execute("COMMIT")

    async def roll_back(self) -> None:
        """Roll back in any state; raises DatabaseUnavailable when the connection is unusable."""
        if self._begin is not None:
            return
        try:
            with translate_errors():
                async with asyncio.timeout(ROLL_BACK_SECONDS_MAX):
                    await self._connection.execute("ROLLBACK")
        except BaseException:
            # The transaction must not be continued; the server rolls it back on disconnect.
            abort_connection(self._connection)
            raise

    async def _write_pending(self) -> None:
        """Begin the transaction if necessary, and execute the pending writes."""
        if self._begin is not None:
            begin, self._begin = self._begin, None
            await self._connection.execute(begin)
        pending, self._pending, self._pending_rows = self._pending, [], 0
        for query, rows in pending:
            if query.columns_inserted:
                await self._insert(query, rows)
            else:
                await self._connection.executemany(query.sql, rows)

    async def _insert(self, query: Query, rows: Rows) -> None:
        sql = _bulk_insert(query)
        for start in range(0, len(rows), ROWS_PER_STATEMENT_MAX):
            columns = zip(*rows[start : start + ROWS_PER_STATEMENT_MAX], strict=True)
            await self._connection.execute(sql, *map(list, columns))


# -- SQL that avoids round trips -------------------------------------------------


@lru_cache(maxsize=STATEMENTS_CACHED)
def _combine(queries: tuple[Query, ...]) -> str:
    """Return SQL that runs several queries as one row; each cell is a JSON array of rows."""
    cells, parameters = [], 0
    for query in queries:
        cells.append(f"({_pack(query, parameters)})")
        parameters += len(query.parameters)
    return "SELECT " + ", ".join(cells)


def _pack(query: Query, offset: int) -> str:
    """Return SQL that fetches the rows as JSON; its parameters are numbered after ``offset``."""
    columns = ", ".join(
        f"encode(\"{name}\", 'hex')" if name in query.binary else f'"{name}"'
        for name in query.columns
    )
    sql = _PARAMETER.sub(lambda number: f"${int(number[1]) + offset}", query.sql)
    rows = f"coalesce(json_agg(json_build_array({columns})), '[]')"
    return f"SELECT {rows} FROM ({sql}) AS rows_found"  # noqa: S608 - of compiled SQL only.


def _unpack(query: Query, text: str) -> Sequence[Any]:
    rows = orjson.loads(text)
    for index, name in enumerate(query.columns):
        if name in query.binary:
            for row in rows:
                row[index] = bytes.fromhex(row[index])
    return [query.row(row) for row in rows]


@lru_cache(maxsize=STATEMENTS_CACHED)
def _bulk_insert(query: Query) -> str:
    """Return the insert for any number of rows: each parameter is an array of a column's values."""
    arrays = ", ".join(
        f"${number}::{_array(column.type)}"
        for number, column in enumerate(query.columns_inserted, start=1)
    )
    rows = f" SELECT * FROM unnest({arrays})"  # noqa: S608 - of column types only.
    sql, found = _VALUES.subn(rows, query.sql, count=1)
    assert found, query.sql
    return sql


def _array(of: Any) -> str:  # noqa: ANN401 - the type of a column.
    return next((array for kind, array in _ARRAYS.items() if isinstance(of, kind)), "text[]")


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate the driver's exceptions to those of the database port."""
    try:
        yield
    except _REJECTED as error:
        raise StatementRejected(str(error)) from error
    except asyncpg.exceptions.InterfaceError as error:
        # An InterfaceError that is also a ValueError: the driver could not encode a value.
        raise (StatementRejected if isinstance(error, ValueError) else DatabaseUnavailable)(
            str(error)
        ) from error
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailable(str(error) or type(error).__name__) from error


def abort_connection(connection: Any) -> None:  # noqa: ANN401 - a pool's proxy, or not.
    """Close the connection without waiting for the server."""
    with suppress(asyncpg.InterfaceError):  # The pool may have aborted it already.
        connection.terminate()
