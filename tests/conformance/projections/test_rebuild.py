"""The projections are nothing but the log, told again: a rebuild gives what was live."""

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
from quorate.projections import rebuild as rebuilding
from quorate.projections.rebuild import check, rebuild
from quorate.projections.replay import ReplayFailed
from quorate.projections.tables import metadata
from tests.conformance.projections.random_history import Town

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short history crosses every border."""
    monkeypatch.setattr(rebuilding, "EVENTS_PER_PAGE", 7)
    monkeypatch.setattr(rebuilding, "EVENTS_BETWEEN_WRITES", 20)


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


def by_hand(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(path)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def snapshot(path: Path) -> AsyncIterator[SqliteSnapshot]:
    database = SqliteSnapshot(path)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.mark.parametrize("seed", range(4))
async def test_a_rebuild_of_any_prefix_is_what_was_live(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "quorate.db"
    async with (
        Town(path, seed) as town,
        opened(tmp_path / "scratch.db") as scratch,
        snapshot(path) as live,
    ):
        for _ in range(12):
            await town.live(rounds=5)

            found = await check(live, scratch)

            assert found.differences.named == []
            assert found.events == await town.log.committed_head()


async def test_these_histories_hold_every_kind_of_event(tmp_path: Path) -> None:
    kinds = Counter[str]()
    for seed in range(4):
        path = tmp_path / f"{seed}.db"
        async with Town(path, seed) as town:
            await town.live(rounds=60)
        with closing(sqlite3.connect(path)) as connection:
            kinds.update(kind for (kind,) in connection.execute("SELECT type FROM events"))

    assert set(kinds) == set(EVENT_TYPES)


async def test_what_was_spoiled_by_hand_is_built_anew(history: Path) -> None:
    rows, schema = rows_of(history), schema_of(history)
    by_hand(
        history,
        "DELETE FROM votes",
        "UPDATE agents SET role = 'king'",
        "DROP INDEX leases_live",
        "ALTER TABLE leases DROP COLUMN intent",
        "DROP TABLE keys",
        "DELETE FROM notices WHERE sequence % 3 = 0",
    )

    async with opened(history) as database:
        rebuilt = await rebuild(database)

    assert rows_of(history) == rows
    assert schema_of(history) == schema
    assert rebuilt.rows == sum(map(len, rows.values()))


@pytest.mark.parametrize(("page", "between"), [(1, 1), (5, 1_000_000), (1_000, 3), (64, 64)])
async def test_where_the_log_is_cut_into_pages_does_not_matter(
    history: Path, monkeypatch: pytest.MonkeyPatch, page: int, between: int
) -> None:
    monkeypatch.setattr(rebuilding, "EVENTS_PER_PAGE", page)
    monkeypatch.setattr(rebuilding, "EVENTS_BETWEEN_WRITES", between)
    rows = rows_of(history)

    async with opened(history) as database:
        await rebuild(database)

    assert rows_of(history) == rows


async def test_progress_is_told_from_nothing_to_all(history: Path) -> None:
    told: list[tuple[int, int]] = []

    async with opened(history) as database:
        rebuilt = await rebuild(database, lambda done, of: told.append((done, of)))

    assert told[0] == (0, rebuilt.events)
    assert told[-1] == (rebuilt.events, rebuilt.events)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


async def test_an_empty_log_gives_empty_projections(tmp_path: Path) -> None:
    path = tmp_path / "quorate.db"
    async with Town(path, seed=1):
        pass
    by_hand(path, "DROP TRIGGER events_no_delete", "DELETE FROM events")

    async with opened(path) as database:
        rebuilt = await rebuild(database)

    assert (rebuilt.events, rebuilt.rows) == (0, 0)


# -- A log that cannot be told --------------------------------------------------


async def test_an_event_from_the_future_stops_the_rebuild_and_nothing_is_lost(
    history: Path,
) -> None:
    by_hand(
        history,
        "INSERT INTO events SELECT position + 1, tenant, sequence + 1, id, stream, "
        "'LeaseTeleported', version, at, actor, command_id, data, hash "
        "FROM events ORDER BY position DESC LIMIT 1",
    )
    rows = rows_of(history)

    async with opened(history) as database:
        with pytest.raises(ReplayFailed, match="LeaseTeleported version 1 is unknown here"):
            await rebuild(database)

    assert rows_of(history) == rows


async def test_an_event_that_follows_from_nothing_stops_the_rebuild(history: Path) -> None:
    by_hand(
        history,
        "INSERT INTO events SELECT position + 1, tenant, sequence + 1, id, stream, "
        "'LeaseReleased', version, at, actor, command_id, "
        """'{"agentId":"agent_x","contactKey":"k","leaseId":"never granted"}', hash """
        "FROM events ORDER BY position DESC LIMIT 1",
    )

    async with opened(history) as database:
        with pytest.raises(ReplayFailed, match="LeaseReleased does not follow"):
            await rebuild(database)


async def test_a_missing_event_stops_the_rebuild(history: Path) -> None:
    by_hand(history, "DROP TRIGGER events_no_delete", "DELETE FROM events WHERE position = 9")

    async with opened(history) as database:
        with pytest.raises(LogCorrupted, match="missing from the log after position 7"):
            await rebuild(database)


async def test_a_snapshot_cannot_be_written_to(history: Path) -> None:
    async with snapshot(history) as live:
        with pytest.raises(DatabaseUnavailable):
            await rebuild(live)
        with pytest.raises(DatabaseUnavailable):
            await live.reopen()
