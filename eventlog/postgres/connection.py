"""One transaction on a connection to PostgreSQL, in as few round trips as it takes.

Each statement waits for an answer from another process, perhaps on another machine, and the log's
lock is held meanwhile. So:

* queries that can be asked together are one statement, and each brings its rows in one JSON value;
* writes are held back until the end, and each is one statement for any number of rows;
* the transaction begins, and takes the log's lock, in the round trip before its first statement.
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

from quorate.eventlog.transactions import DatabaseUnavailable, Lookup, Query, StatementRejected

Rows: TypeAlias = Sequence[Sequence[Any]]

STATEMENTS_CACHED = 512
ROLL_BACK_SECONDS_MAX = 1.0  # It is nothing to do: a server that needs longer does not answer.
ROWS_PER_STATEMENT_MAX = 20_000
# Deciding about many rows takes us long, and the server must not take us for frozen.
ROWS_WITHIN_THE_TIMEOUT = 10_000
MILLISECONDS_PER_ROW = 1
_PARAMETER = re.compile(r"\$(\d+)")
_VALUES = re.compile(r" VALUES \([^()]*\)")
_ARRAYS = {BigInteger: "bigint[]", Boolean: "boolean[]", Integer: "int[]", LargeBinary: "bytea[]"}
# Whoever sent the value is at fault, not the database.
_REJECTED = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.exceptions.DataError,  # What the server will not take...
    asyncpg.RaiseError,  # ... and what our triggers will not.
    asyncpg.exceptions.UntranslatableCharacterError,
)
CONNECTION_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # A connection that the server is just ending.
    OSError,
    TimeoutError,
)


class PostgresTransaction:
    """One transaction; ``begin`` is the SQL that opens it."""

    def __init__(self, connection: Any, begin: str) -> None:  # noqa: ANN401 - a pool's proxy, or not.
        self._connection = connection
        self._begin: str | None = begin
        self._held: list[tuple[Query, Rows]] = []
        self._rows_held = 0

    async def look_up(self, lookups: Sequence[Lookup]) -> None:
        if not lookups:
            return
        sql = _together(tuple(one.query for one in lookups))
        values = [value for one in lookups for value in one.query.bind(one.values)]
        with translated():
            await self._carry_out_held()
            cells = await self._connection.fetchrow(sql, *values)
        found = [_unpacked(one.query, cell) for one, cell in zip(lookups, cells, strict=True)]
        await self._be_given_time_for(sum(map(len, found)))
        for one, rows in zip(lookups, found, strict=True):
            one.take(rows)

    async def _be_given_time_for(self, rows: int) -> None:
        if rows > ROWS_WITHIN_THE_TIMEOUT:
            milliseconds = rows * MILLISECONDS_PER_ROW
            with translated():
                await self._connection.execute(
                    f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"
                )

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        with translated():
            await self._carry_out_held()
            found = await self._connection.fetch(query.sql, *query.bind(values))
        return [query.row(row) for row in found]

    async def write(self, query: Query, rows: Rows) -> None:
        self._held.append((query, rows))
        self._rows_held += len(rows)
        if self._rows_held >= ROWS_PER_STATEMENT_MAX:
            with translated():
                await self._carry_out_held()

    async def commit(self) -> None:
        """Carry out what was held back, and commit: all of it, or nothing."""
        if self._begin is not None and not self._held:
            return
        with translated():
            await self._carry_out_held()
            await self._connection.execute("COMMIT")

    async def roll_back(self) -> None:
        """End it, whatever state it is in; raises Broken when the connection is of no use."""
        if self._begin is not None:
            return
        try:
            with translated():
                async with asyncio.timeout(ROLL_BACK_SECONDS_MAX):
                    await self._connection.execute("ROLLBACK")
        except BaseException:
            # What it began must not be gone on with; and the server undoes it when it is told.
            abort_connection(self._connection)
            raise

    async def _carry_out_held(self) -> None:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            await self._connection.execute(begin)
        held, self._held, self._rows_held = self._held, [], 0
        for query, rows in held:
            if query.columns_inserted:
                await self._insert(query, rows)
            else:
                await self._connection.executemany(query.sql, rows)

    async def _insert(self, query: Query, rows: Rows) -> None:
        sql = _inserted(query)
        for start in range(0, len(rows), ROWS_PER_STATEMENT_MAX):
            columns = zip(*rows[start : start + ROWS_PER_STATEMENT_MAX], strict=True)
            await self._connection.execute(sql, *map(list, columns))


# -- SQL that spares round trips -------------------------------------------------


@lru_cache(maxsize=STATEMENTS_CACHED)
def _together(queries: tuple[Query, ...]) -> str:
    """Several queries as one row, each of them a cell of it: a JSON array of its rows."""
    cells, parameters = [], 0
    for query in queries:
        cells.append(f"({_packed(query, parameters)})")
        parameters += len(query.parameters)
    return "SELECT " + ", ".join(cells)


def _packed(query: Query, offset: int) -> str:
    """The query, its rows as JSON, and its parameters numbered from ``offset`` on."""
    columns = ", ".join(
        f"encode(\"{name}\", 'hex')" if name in query.binary else f'"{name}"'
        for name in query.columns
    )
    sql = _PARAMETER.sub(lambda number: f"${int(number[1]) + offset}", query.sql)
    rows = f"coalesce(json_agg(json_build_array({columns})), '[]')"
    return f"SELECT {rows} FROM ({sql}) AS rows_found"  # noqa: S608 - of compiled SQL only.


def _unpacked(query: Query, text: str) -> Sequence[Any]:
    rows = orjson.loads(text)
    for index, name in enumerate(query.columns):
        if name in query.binary:
            for row in rows:
                row[index] = bytes.fromhex(row[index])
    return [query.row(row) for row in rows]


@lru_cache(maxsize=STATEMENTS_CACHED)
def _inserted(query: Query) -> str:
    """The insert for any number of rows: a parameter is a column of them, not a cell."""
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
def translated() -> Iterator[None]:
    """Say in the port's words what went wrong."""
    try:
        yield
    except _REJECTED as error:
        raise StatementRejected(str(error)) from error
    except asyncpg.exceptions.InterfaceError as error:
        # The driver could not encode a value: it is a ValueError as well.
        raise (StatementRejected if isinstance(error, ValueError) else DatabaseUnavailable)(
            str(error)
        ) from error
    except CONNECTION_ERRORS as error:
        raise DatabaseUnavailable(str(error) or type(error).__name__) from error


def abort_connection(connection: Any) -> None:  # noqa: ANN401 - a pool's proxy, or not.
    """Close it without asking the server."""
    with suppress(asyncpg.InterfaceError):  # The pool may have given it up already.
        connection.terminate()
