"""A connection as the log uses it: statements compiled once, one thread hop for each.

SQLAlchemy writes the SQL and opens the connections; its result objects and greenlets stay out of
the way of every command (they were half of what a command cost).
"""

import asyncio
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import Delete, Insert, Select

from quorate.domain.shared.records import record


class DatabaseUnavailable(Exception):
    """The database failed (I/O, full, locked): what this transaction did is unknown."""


class StatementRejected(Exception):
    """The database refused a statement: a constraint stands against it."""


class Query:
    """A statement's text, the order of its parameters and the names of its columns."""

    packed = True  # Its rows are few, and may come in one piece where that is cheaper.
    columns_inserted: Sequence[Any] = ()  # Of an insert: the columns of its table.

    def __init__(self, statement: Select[Any] | Insert | Delete, dialect: Dialect) -> None:
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

    def bind(self, values: Mapping[str, Any]) -> Sequence[Any]:
        """The values in the order in which the statement wants them."""
        return [
            values[name] if name in values else self._defaults[name] for name in self.parameters
        ]


class UnpackedQuery(Query):
    """Its rows come as the driver gives them: many, or with whatever a hand has put there."""

    packed = False


def _row_maker(names: Sequence[str]) -> Any:  # noqa: ANN401 - a class made at run time.
    make: Any = namedtuple  # noqa: PYI024 - its fields are known only now.
    return make("Row", names)._make


@record
class Lookup:
    """A query, its values, and who takes the rows that it finds."""

    query: Query
    values: Mapping[str, Any]
    take: Callable[[Sequence[Any]], None]


class Transaction(Protocol):
    async def commit(self) -> None:
        """Carry out what was held back, and commit: all of it, or nothing."""

    async def roll_back(self) -> None:
        """End it, whatever state it is in; raises Broken when the connection is of no use."""


@asynccontextmanager
async def committed(transaction: Transaction) -> AsyncIterator[None]:
    """What is done inside is committed at its end; whatever is raised, all of it is undone."""
    try:
        yield
        await transaction.commit()
    except BaseException:
        with suppress(
            DatabaseUnavailable
        ):  # It failed because all is gone; the first error is told.
            await asyncio.shield(transaction.roll_back())
        raise


class DatabaseTransaction(Protocol):
    """One connection inside one transaction. Raises Broken and Rejected, and nothing else.

    Statements are carried out in the order in which they were asked for. Writes may be held back
    until the next query or the end, and are carried out there, all or none.
    """

    async def fetch(self, query: Query, values: Mapping[str, Any]) -> Sequence[Any]:
        """All rows of a query, their columns by name."""

    async def look_up(self, lookups: Sequence[Lookup]) -> None:
        """Several queries for the price of one wait; then their rows are taken, in order."""

    async def write(self, query: Query, rows: Sequence[Sequence[Any]]) -> None:
        """One bulk statement for any number of rows, each in the order of ``query.parameters``
        (for an insert: of the table's columns).
        """
