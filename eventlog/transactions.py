"""Transactions and queries: statements are compiled once and executed by the driver directly.

SQLAlchemy generates the SQL, and its async engine serves schema work. Its result objects and
greenlets are not used for commands; they were half of a command's cost.
"""

import asyncio
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from sqlalchemy import ClauseElement, LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Delete, Insert, Select, Update

from quorate.domain.shared.records import record


class DatabaseUnavailable(Exception):
    """The database failed (I/O error, disk full, locked); the transaction's outcome is unknown."""


class DatabaseBusy(DatabaseUnavailable):
    """Another process holds the lock of the database; nothing was written."""


class StatementRejected(Exception):
    """The database rejected a statement, for example because of a constraint."""


class Query:
    """A compiled statement: its SQL, the order of its parameters, and its column names."""

    packed = True  # It has few rows, which may be fetched as one JSON value.
    columns_inserted: Sequence[Any] = ()  # For an insert: the columns of its table.

    def __init__(
        self,
        statement: Select[Any] | Insert | Update | Delete,
        dialect: Dialect,
        past: Select[Any] | None = None,
    ) -> None:
        """``past`` is the statement as of a moment, where it cannot be made from the other one."""
        self.statement = statement
        self.past_statement = past
        columns = None
        if isinstance(statement, Insert):
            self.columns_inserted = tuple(statement.table.columns)
            columns = [column.name for column in self.columns_inserted]
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.sql = str(compiled)
        self.parameters: Sequence[str] = compiled.positiontup or ()
        self.columns: Sequence[str] = ()
        self.binary: frozenset[str] = frozenset()
        self._defaults: Mapping[str, Any] = compiled.params
        if isinstance(statement, Select):
            selected = statement.selected_columns
            self.columns = [column.name for column in selected]
            self.binary = frozenset(
                column.name for column in selected if isinstance(column.type, LargeBinary)
            )
            self.row: Any = _row_maker(self.columns)

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The values that are written in the statement."""
        return self._defaults

    def bind(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the values in the order of the statement's parameters."""
        return [
            values[name] if name in values else self._defaults[name] for name in self.parameters
        ]


class UnpackedQuery(Query):
    """A query whose rows are fetched as the driver returns them.

    For many rows, and for tables that may contain values written by hand.
    """

    packed = False


class Definition(UnpackedQuery):
    """A statement without parameters and rows, for example one that creates a table."""

    def __init__(self, definition: ClauseElement, dialect: Dialect) -> None:
        self.sql = str(definition.compile(dialect=dialect))
        self.parameters = ()
        self._defaults = {}
        self.row = _unchanged


def _unchanged(row: Any) -> Any:  # noqa: ANN401 - a row of any table.
    return row


def _row_maker(names: Sequence[str]) -> Any:  # noqa: ANN401 - a class made at run time.
    make: Any = namedtuple  # noqa: PYI024 - the fields are known at run time only.
    return make("Row", names)._make


@record
class Lookup:
    """A query, its values, and the function that receives its rows."""

    query: Query
    values: Mapping[str, Any]
    take: Callable[[Sequence[Any]], None]


class Transaction(Protocol):
    async def commit(self) -> None:
        """Execute the pending writes and commit, all or none."""

    async def roll_back(self) -> None:
        """Roll back in any state; raises DatabaseUnavailable when the connection is unusable."""


@asynccontextmanager
async def commit_on_exit(transaction: Transaction) -> AsyncIterator[None]:
    """Commit at the end of the block; roll back on any exception."""
    try:
        yield
        await transaction.commit()
    except BaseException:
        with suppress(DatabaseUnavailable):  # The original exception is raised instead.
            await asyncio.shield(transaction.roll_back())
        raise


class DatabaseTransaction(Protocol):
    """One transaction on one connection; raises DatabaseUnavailable and StatementRejected only.

    Statements are executed in the order of the calls. Writes may be held back until the next query
    or the end of the transaction.
    """

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return all rows of a query as named tuples."""

    async def look_up(self, lookups: Sequence[Lookup]) -> None:
        """Run several queries in one round trip, then pass each its rows, in order."""

    async def write(self, query: Query, rows: Sequence[Sequence[Any]]) -> None:
        """Execute one bulk statement for any number of rows.

        The values are in the order of ``query.parameters``; for an insert, of the table's columns.
        """
