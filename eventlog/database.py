"""The database port: everything that differs between SQLite and PostgreSQL.

The rest of this package uses the same SQL for both. One conformance suite
(``tests/conformance/eventlog/conformance.py``) runs on each of them.
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
    """The required tables; works on a separate SQLAlchemy connection."""

    def prepare(self, connection: Connection, lock_log: Callable[[], None]) -> Any:  # noqa: ANN401
        """Create the tables or upgrade older ones; called by ``Database.define``."""

    def check(self, connection: Connection) -> None:
        """Raise SchemaOutdated when tables are missing or older; changes nothing."""


class Database(Protocol):
    """One database, opened by one process."""

    dialect: Dialect
    # Selects a Reading, for processes that share a log and must use one clock. None for a database
    # of one process.
    shared_time: Select[Any] | None

    @property
    def lost(self) -> bool:
        """Whether the write connection must be reopened before its next use.

        The database went away while idle, or failed in work that no command waited for.
        """

    async def open(self, schema: Schema | None = None) -> None:
        """Open connections; raises DatabaseUnusable unless an acknowledged commit is durable.

        A database of one process prepares ``schema``. A shared database only checks it: there an
        administrator upgrades the tables, not the process that starts first.
        """

    async def reopen(self) -> None:
        """Open a new write connection; after an I/O error the old one is not trusted.

        Raises FilesReplaced, DatabaseUnavailable and DatabaseUnusable.
        """

    async def verify_files(self) -> None:
        """Raise FilesReplaced when commits go to files that are lost at the next start."""

    async def close(self) -> None: ...

    def write(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        """Begin a transaction that holds the log's lock and is durable when it ends.

        One at a time: only the writer task calls it.
        """

    def read(self) -> AbstractAsyncContextManager[DatabaseTransaction]:
        """Begin a transaction that reads one consistent snapshot of the committed state."""

    # -- Tables ------------------------------------------------------------------

    async def define(self, work: Callable[[Connection, Callable[[], None]], T]) -> T:
        """Run ``work`` in one transaction; calls of all processes run one at a time.

        Other processes may append to the log until ``work`` calls its second argument.
        """

    async def inspect(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` on a separate connection; it must not change anything."""

    # -- Other processes on the same database ------------------------------------

    def notify_commit(self) -> None:
        """Notify the other processes of a commit."""

    async def listen(self, on_commit: Callable[[], None]) -> NoReturn:
        """Call ``on_commit`` after ``notify_commit`` of any process; a call may get lost."""

    def lead(self) -> AbstractAsyncContextManager[asyncio.Event]:
        """Wait to be elected leader; the event is set when the leadership is lost.

        For a short time there may be two leaders, so correctness must not depend on one.
        """

    async def wall_clock(self) -> tuple[Nanoseconds, int]:
        """Measure and return the clock that all processes share; raises DatabaseUnavailable.

        Also returns its lead in nanoseconds over the database's own clock.
        """

    def rows(self, parameter: str, columns: int) -> tuple[FromClause, list[ColumnElement[str]]]:
        """Return a table of ``columns`` strings a row, bound as one JSON array of arrays.

        It is one parameter for any number of rows, so the statement is prepared once.
        """


class SchemaOutdated(Exception):
    """The tables and this version of Quorate differ; the message says which is older."""


class DatabaseUnusable(Exception):
    """The database cannot be used safely, for example because acknowledged commits may be lost."""


class FilesReplaced(Exception):
    """The files of the open database were removed, moved or replaced; the message names one."""
