"""What differs between databases: the port that SQLite and PostgreSQL fill.

Everything else in this package is the same SQL for all of them, and one conformance suite
(``tests/conformance/eventlog/conformance.py``) runs on each.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, FromClause, Select
from sqlalchemy.engine import Dialect

from quorate.eventlog.transactions import DatabaseTransaction
from quorate.runtime.clock import Nanoseconds

T = TypeVar("T")


class Schema(Protocol):
    """The tables that are needed, asked about on a connection of SQLAlchemy's own."""

    def prepare(self, connection: Connection, lock_log: Callable[[], None]) -> Any:  # noqa: ANN401
        """Make them, or older ones like them; to be carried out by ``Backend.define``."""

    def check(self, connection: Connection) -> None:
        """Raises Outdated when they are missing or older. Changes nothing."""


class Database(Protocol):
    """One database, opened by one process."""

    dialect: Dialect
    # Asks for the time, in milliseconds, where processes that share a log must not go by their own
    # clocks; None where there is one process.
    shared_time: Select[tuple[int]] | None

    @property
    def lost(self) -> bool:
        """The writing connection must be taken anew before anything more is asked of it: the
        database went away while all was quiet, or failed in what no command waited for.
        """

    async def open(self, schema: Schema | None = None) -> None:
        """Raises Unsafe unless an acknowledged commit is durable.

        A database of one process has ``schema`` prepared; one that others may be using, checked:
        there, tables are changed when somebody says so, and not by whoever starts first.
        """

    async def reopen(self) -> None:
        """Take a new writing connection: after an I/O error the old one's word is worth nothing."""

    async def close(self) -> None: ...

    def write(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        """A transaction that holds the log's lock from the start, durable when it ends.

        One at a time: only the writer task asks for it.
        """

    def read(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        """A transaction that sees one consistent snapshot of what is committed."""

    # -- Tables ------------------------------------------------------------------

    async def define(self, work: Callable[[Connection, Callable[[], None]], T]) -> T:
        """Carry out ``work`` in one transaction; one at a time, whoever asks.

        Others may append to the log until ``work`` calls what it is handed, and then no more.
        """

    async def inspect(self, look: Callable[[Connection], T]) -> T:
        """Have a look without changing anything."""

    # -- Other processes on the same database ------------------------------------

    def notify_commit(self) -> None:
        """Let the others know that something was committed."""

    async def listen(self, heard: Callable[[], None]) -> NoReturn:
        """Call ``heard`` when one of them, or this one, rang; a call may get lost."""

    def lead(self) -> AbstractAsyncContextManager[asyncio.Event]:
        """Wait until none of the others leads, and lead; the event is set when it is over.

        For an instant two may lead: nothing may depend on there being one.
        """

    async def wall_clock(self) -> Nanoseconds:
        """The time that all of them share; raises Broken. Asked again, it is measured again."""

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        """A table of ``columns`` strings a row, bound as one JSON array of arrays.

        One parameter whatever the number of rows: the statement is prepared once.
        """


class SchemaOutdated(Exception):
    """Tables and this Quorate are of different versions; says which is older, or what to do."""


class DatabaseUnusable(Exception):
    """The database would acknowledge what it may lose."""
