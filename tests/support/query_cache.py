"""Compile queries and tables once per kind of database, not once per log that a test opens.

A service opens one log and compiles its queries at the start. Tests open hundreds of logs, and
compiling took most of the time of opening them. The tables of a new SQLite file are created by the
same statements as always, but with one call of the thread of the connection instead of 200.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, create_mock_engine, insert
from sqlalchemy.schema import ExecutableDDLElement

from quorate.eventlog import event_store
from quorate.eventlog import tables as log_tables
from quorate.eventlog.database import Database
from quorate.eventlog.ids import new_log_id
from quorate.projections import state_store, tables
from quorate.projections.history import refill
from quorate.projections.history import tables as history_tables
from quorate.projections.migrations import schema
from quorate.projections.migrations.revisions import NEWEST, store_revision

T = TypeVar("T")


def _cached_by_dialect(make: Callable[[Database], T]) -> Callable[[Database], T]:
    cached: dict[str, T] = {}

    @wraps(make)  # ``__wrapped__`` makes queries that are not shared.
    def cached_factory(database: Database) -> T:
        kind = database.dialect.name
        if kind not in cached:
            cached[kind] = make(database)
        return cached[kind]

    return cached_factory


def _sqlite_statements() -> list[str]:
    """Return what `create` executes in a SQLite file, except the rows that it inserts."""
    statements: list[str] = []

    def collect(statement: ExecutableDDLElement, *_: object, **__: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("sqlite+aiosqlite://", collect)
    for metadata in (log_tables.metadata, tables.metadata, history_tables.metadata):
        metadata.create_all(engine, checkfirst=False)
    return statements


def _create_at_once(create: Callable[[Connection], None]) -> Callable[[Connection], None]:
    statements: list[str] = []

    def execute_all(sqlite: sqlite3.Connection) -> None:
        for statement in statements:
            sqlite.execute(statement)

    @wraps(create)  # ``__wrapped__`` creates one table after the other.
    def create_tables(connection: Connection) -> None:
        if connection.dialect.name != "sqlite":
            create(connection)
            return
        statements.extend(() if statements else _sqlite_statements())
        driver: Any = connection.connection.dbapi_connection
        driver.run_async(lambda aiosqlite: aiosqlite._execute(execute_all, aiosqlite._conn))
        refill.begin(connection)
        connection.execute(insert(log_tables.identity).values(id=new_log_id()))
        store_revision(connection, NEWEST)

    return create_tables


@contextmanager
def cache_queries() -> Iterator[None]:
    """Share compiled queries; they contain no limit that a test changes and no data of a log."""
    factories: list[tuple[Any, str]] = [(event_store, "EventQueries"), (state_store, "_Queries")]
    with pytest.MonkeyPatch.context() as patch:
        for module, name in factories:
            patch.setattr(module, name, _cached_by_dialect(getattr(module, name)))
        patch.setattr(schema, "create", _create_at_once(schema.create))
        yield
