"""The versions of rows agree with a replay of the log until any of its events.

`quorate replay --until` replays an exported log with the same class.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from sqlalchemy import Table, select, update

from quorate.eventlog.database import Database
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.transactions import Query, UnpackedQuery
from quorate.projections.history.nodes import OPEN, node_of
from quorate.projections.history.tables import HISTORY
from quorate.projections.replay import Replay, replay_row
from quorate.projections.tables import leases
from tests.conformance.projections.random_history import RandomHistory
from tests.integration.history.past_services import follow
from tests.support.postgres import PostgresServer

ROUNDS = 30
COMPARE_EVERY = 5  # Events; an odd number of them meets events within a batch of commands.
Rows: TypeAlias = Mapping[Table, Sequence[tuple[Any, ...]]]


async def read_versions(log: EventStore) -> Rows:
    """Return all versions, with the columns of the read model first."""
    found: dict[Table, Sequence[tuple[Any, ...]]] = {}
    async with log.read() as transaction:
        for table, history in HISTORY.items():
            query = UnpackedQuery(select(history), log.database.dialect)
            found[table] = [tuple(row) for row in await transaction.fetch(query, {})]
    return found


def rows_at(table: Table, versions: Rows, position: int) -> list[tuple[Any, ...]]:
    count = len(table.columns)
    return [
        row[:count]
        for row in versions[table]
        if row[count] <= position < row[count + 1] and not row[count + 3]
    ]


async def find_difference(log: EventStore) -> str | None:
    """Return the first table and position at which versions and replay differ."""
    versions, replay = await read_versions(log), Replay()
    for event in await log.after(0, 100_000):
        replay.apply([replay_row(event)])
        if event.position % COMPARE_EVERY:
            continue
        replayed = replay.remaining_rows()
        for table in HISTORY:
            then = sorted(rows_at(table, versions, event.position), key=repr)
            if then != sorted(replayed[table], key=repr):
                return f"{table.name} at {event.position}"
    return None


async def check_versions(database: Database, seed: int, events_per_part: int) -> None:
    async with RandomHistory(database, seed, schedules=True) as history:
        await history.run(ROUNDS)
        assert await follow(history.log, events_per_part) > 10 * COMPARE_EVERY
        assert await find_difference(history.log) is None
        await check_nodes(history.log)


async def check_nodes(log: EventStore) -> None:
    versions = await read_versions(log)
    changed_tables = 0
    for table, rows in versions.items():
        count = len(table.columns)
        for row in rows:
            first, until, node = row[count : count + 3]
            assert first < until
            assert node == node_of(first, until)
        changed_tables += any(row[count + 1] != OPEN for row in rows)
    assert changed_tables > 10


@pytest.mark.parametrize("events_per_part", [1, 13, 10_000])
async def test_versions_agree_with_a_replay_on_sqlite(tmp_path: Path, events_per_part: int) -> None:
    database = SqliteDatabase(tmp_path / "quorate.db")
    await check_versions(database, events_per_part, events_per_part)


async def test_versions_agree_with_a_replay_on_postgres(postgres: PostgresServer) -> None:
    await check_versions(PostgresDatabase(postgres.database_url()), seed=4, events_per_part=50)


async def test_difference_in_one_version_is_found(tmp_path: Path) -> None:
    async with RandomHistory(tmp_path / "quorate.db", seed=5, mail=False) as history:
        await history.run(ROUNDS)
        await follow(history.log, 50)
        versions = await read_versions(history.log)
        count = len(leases.columns)
        longest = max(versions[leases], key=lambda row: min(row[count + 1], 10**9) - row[count])
        table = HISTORY[leases]
        wrong = update(table).where(
            table.c.id == longest[1], table.c.from_position == longest[count]
        )
        query = Query(wrong.values(fence=longest[8] + 1), history.log.database.dialect)
        async with history.log.write() as transaction:
            await transaction.write(query, [query.bind({})])

        found = await find_difference(history.log)

    assert found is not None
    assert found.startswith("leases at ")
