"""The tables that tests create at once in a SQLite file are those that a service creates."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections import tables
from quorate.projections.migrations import schema


async def created(path: Path, create: Callable[..., None]) -> list[Any]:
    await SqliteDatabase(path).define(lambda connection, _lock: create(connection))
    with closing(connect(path)) as connection:
        found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
        return sorted(map(repr, found))


async def test_tables_created_at_once_equal_those_of_a_service(tmp_path: Path) -> None:
    at_once: Any = schema.create

    assert await created(tmp_path / "tests.db", at_once) == await created(
        tmp_path / "service.db", at_once.__wrapped__
    )


async def test_difference_of_the_tables_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: Any = schema.create
    service = await created(tmp_path / "service.db", at_once.__wrapped__)
    monkeypatch.setattr(tables.metadata, "create_all", lambda *_, **__: None)

    assert await created(tmp_path / "fewer.db", at_once.__wrapped__) != service
