"""Projections depend only on the log: a rebuild gives the rows of the live projections."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table

from quorate.domain.registry import EVENT_TYPES
from quorate.eventlog.event_store import LogCorrupted
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.sqlite.snapshot import SqliteSnapshot
from quorate.eventlog.transactions import DatabaseUnavailable
from quorate.projections import rebuild as rebuild_module
from quorate.projections.rebuild import check, rebuild
from quorate.projections.replay import ReplayFailed
from quorate.projections.tables import metadata
from tests.conformance.projections.random_history import RandomHistory

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use small pages, so that a short history crosses their boundaries."""
    monkeypatch.setattr(rebuild_module, "EVENTS_PER_PAGE", 7)
    monkeypatch.setattr(rebuild_module, "EVENTS_BETWEEN_WRITES", 20)


def rows_of(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        return {
            table.name: connection.execute(_all_of(table)).fetchall()
            for table in metadata.sorted_tables
        }


def _all_of(table: Table) -> str:
    key = ", ".join(column.name for column in table.primary_key)
    return f"SELECT * FROM {table.name} ORDER BY {key}"  # noqa: S608 - the tables are our own.


def schema_of(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2")
        return [(kind, name, " ".join((sql or "").split())) for kind, name, sql in found]


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(path)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_snapshot(path: Path) -> AsyncIterator[SqliteSnapshot]:
    database = SqliteSnapshot(path)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize("seed", range(4))
async def test_rebuild_of_any_prefix_equals_the_live_rows(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "quorate.db"
    async with (
        RandomHistory(path, seed) as random_history,
        open_database(tmp_path / "scratch.db") as scratch,
        open_snapshot(path) as live,
    ):
        for _ in range(12):
            await random_history.run(rounds=3)

            found = await check(live, scratch)

            assert found.differences.listed == []
            assert found.events == await random_history.log.committed_head()


async def test_random_histories_contain_every_event_type(tmp_path: Path) -> None:
    kinds = Counter[str]()
    for seed in range(12):  # Some types are rare.
        path = tmp_path / f"{seed}.db"
        async with RandomHistory(path, seed) as random_history:
            await random_history.run(rounds=80)
        with closing(sqlite3.connect(path)) as connection:
            kinds.update(kind for (kind,) in connection.execute("SELECT type FROM events"))
        if set(kinds) == set(EVENT_TYPES):
            return

    assert set(kinds) == set(EVENT_TYPES)


async def test_rebuild_repairs_manually_changed_tables(history: Path) -> None:
    rows, schema = rows_of(history), schema_of(history)
    execute(
        history,
        "DELETE FROM votes",
        "UPDATE agents SET role = 'king'",
        "DROP INDEX leases_live",
        "ALTER TABLE leases DROP COLUMN intent",
        "DROP TABLE keys",
        "DELETE FROM notices WHERE sequence % 3 = 0",
    )

    async with open_database(history) as database:
        result = await rebuild(database)

    assert rows_of(history) == rows
    assert schema_of(history) == schema
    assert result.rows == sum(map(len, rows.values()))


@pytest.mark.parametrize(("page", "between"), [(1, 1), (5, 1_000_000), (1_000, 3), (64, 64)])
async def test_rebuild_does_not_depend_on_page_sizes(
    history: Path, monkeypatch: pytest.MonkeyPatch, page: int, between: int
) -> None:
    monkeypatch.setattr(rebuild_module, "EVENTS_PER_PAGE", page)
    monkeypatch.setattr(rebuild_module, "EVENTS_BETWEEN_WRITES", between)
    rows = rows_of(history)

    async with open_database(history) as database:
        await rebuild(database)

    assert rows_of(history) == rows


async def test_progress_is_reported_from_zero_to_all_events(history: Path) -> None:
    reported: list[tuple[int, int]] = []

    async with open_database(history) as database:
        result = await rebuild(database, lambda done, of: reported.append((done, of)))

    assert reported[0] == (0, result.events)
    assert reported[-1] == (result.events, result.events)
    assert [done for done, _ in reported] == sorted({done for done, _ in reported})


async def test_rebuild_of_an_empty_log_gives_empty_projections(tmp_path: Path) -> None:
    path = tmp_path / "quorate.db"
    async with RandomHistory(path, seed=1):
        pass
    execute(path, "DROP TRIGGER events_no_delete", "DELETE FROM events")

    async with open_database(path) as database:
        result = await rebuild(database)

    assert (result.events, result.rows) == (0, 0)


# -- Logs that cannot be replayed ------------------------------------------------


async def test_unknown_event_stops_the_rebuild_without_changes(
    history: Path,
) -> None:
    execute(
        history,
        "INSERT INTO events SELECT position + 1, tenant, sequence + 1, id, stream, "
        "'LeaseTeleported', version, at, actor, command_id, data, hash "
        "FROM events ORDER BY position DESC LIMIT 1",
    )
    rows = rows_of(history)

    async with open_database(history) as database:
        with pytest.raises(
            ReplayFailed, match="LeaseTeleported version 1 is unknown: it needs a newer Quorate"
        ):
            await rebuild(database)

    assert rows_of(history) == rows


async def test_inconsistent_event_stops_the_rebuild(history: Path) -> None:
    execute(
        history,
        "INSERT INTO events SELECT position + 1, tenant, sequence + 1, id, stream, "
        "'LeaseReleased', version, at, actor, command_id, "
        """'{"agentId":"agent_x","contactKey":"k","leaseId":"never granted"}', hash """
        "FROM events ORDER BY position DESC LIMIT 1",
    )

    async with open_database(history) as database:
        with pytest.raises(ReplayFailed, match="LeaseReleased does not follow"):
            await rebuild(database)


async def test_missing_event_stops_the_rebuild(history: Path) -> None:
    execute(history, "DROP TRIGGER events_no_delete", "DELETE FROM events WHERE position = 9")

    async with open_database(history) as database:
        with pytest.raises(LogCorrupted, match="missing from the log after position 7"):
            await rebuild(database)


async def test_snapshot_is_read_only(history: Path) -> None:
    async with open_snapshot(history) as live:
        with pytest.raises(DatabaseUnavailable):
            await rebuild(live)
        with pytest.raises(DatabaseUnavailable):
            await live.reopen()
