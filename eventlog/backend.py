"""What differs between databases: the port that SQLite and PostgreSQL fill.

Everything else in this package is the same SQL for all of them, and one conformance suite
(``tests/eventlog/conformance.py``) runs on each.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NoReturn, Protocol

from sqlalchemy import ColumnElement, FromClause, MetaData
from sqlalchemy.engine import Dialect

from quorate.eventlog.clock import Nanoseconds
from quorate.eventlog.session import Session


class Backend(Protocol):
    """One database, opened by one process."""

    dialect: Dialect

    async def open(self, metadatas: Sequence[MetaData], append_only: Sequence[str]) -> None:
        """Create the tables that are missing and make the database itself refuse to change or
        delete rows of those that are append-only. Raises Unsafe unless an acknowledged commit
        is durable, and Outdated when some of ``metadatas`` is there in another form.
        """

    async def reopen(self) -> None:
        """Take a new writing connection: after an I/O error the old one's word is worth nothing."""

    async def close(self) -> None: ...

    def write(self) -> AbstractAsyncContextManager[Session]:
        """A transaction that holds the log's lock from the start, durable when it ends.

        One at a time: only the writer task asks for it.
        """

    def read(self) -> AbstractAsyncContextManager[Session]:
        """A transaction that sees one consistent snapshot of what is committed."""

    # -- Other processes on the same database ------------------------------------

    def ring(self) -> None:
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


class Outdated(Exception):
    """Tables that another version of Quorate made: what they lack cannot simply be added."""


class Unsafe(Exception):
    """The database would acknowledge what it may lose."""
