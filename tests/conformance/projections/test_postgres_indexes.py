"""The number of pages that PostgreSQL reads for a lookup does not grow with the tables.

Plans change with the version of PostgreSQL, so the test counts the pages that a query reads. The
tables are analyzed, as in a running server.
"""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from quorate.eventlog.postgres import database as postgres_database
from quorate.eventlog.postgres.database import PostgresDatabase
from quorate.eventlog.transactions import Query
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import ProjectionStage, open_stage
from tests.conformance.projections.test_indexes import (
    COUNTS_ACTIVE_AGENTS,
    FEW,
    MANY,
    VALUES,
    fill,
    queries,
    rows_of,
)

# An index may grow by a level, and rows may lie in other pages. A table scan reads far more.
MORE_PAGES_MAX = 2.0
PAGES_SPARED = 20
NAMED = 64
PAGES_FOR_A_NAME_MAX = 12
# The agent in the parameters for SQLite held half of all ended leases. PostgreSQL estimates that it
# holds half of the live ones too, and scans them. So this test uses another agent.
POSTGRES_HOLDERS = {"reader.live_leases(agent, None)": {"agent_id": "agent_000009"}}
FILLED = [table.name for table in rows_of(1)]
POSTGRES_VALUES = {
    name: {**values, **POSTGRES_HOLDERS.get(name, {})} for name, values in VALUES.items()
}


pytestmark = pytest.mark.usefixtures("slow_transactions")


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage("postgresql", tmp_path) as stage:
        yield stage


class Pages:
    """Count the pages that a query reads, cached or not."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._prepared = 0

    async def of(self, query: Query, values: Mapping[str, Any]) -> int:
        self._prepared += 1
        name = f"q{self._prepared}"
        await self._connection.execute(f"PREPARE {name} AS {query.sql}")
        given = ", ".join(_literal(value) for value in query.bind(values))
        call = f"{name}({given})" if given else name
        plan = await self._connection.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {call}"
        )
        root = json.loads(plan)[0]["Plan"]
        return int(root["Shared Hit Blocks"] + root["Shared Read Blocks"])


def _literal(value: Any) -> str:  # noqa: ANN401 - a parameter.
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


@pytest.mark.parametrize(
    "settings", [postgres_database._WRITER, postgres_database._READER], ids=["writer", "reader"]
)
async def test_lookup_reads_constant_pages_in_growing_tables(
    tmp_path: Path, settings: Mapping[str, str]
) -> None:
    pages: dict[str, list[int]] = {name: [] for name in POSTGRES_VALUES}
    for size in (FEW, MANY):
        async with open_stage("postgresql", tmp_path) as stage:
            await fill(stage, size)
            database = stage.database.real
            assert isinstance(database, PostgresDatabase)
            connection = await database.connect("test", settings=settings)
            try:
                await connection.execute(f"ANALYZE {', '.join(FILLED)}")
                statements = queries(stage)
                counted = Pages(connection)
                for name, values in POSTGRES_VALUES.items():
                    pages[name].append(await counted.of(statements[name], values))
            finally:
                await connection.close()

    slower = {
        name: found
        for name, found in pages.items()
        if found[1] > MORE_PAGES_MAX * found[0] + PAGES_SPARED
    }
    assert slower.keys() <= COUNTS_ACTIVE_AGENTS


async def test_lookup_by_name_is_bounded_before_tables_are_analyzed(
    stage: ProjectionStage,
) -> None:
    await fill(stage, NAMED)
    names = [(TENANT, f"name{number:06}") for number in range(NAMED)]
    values = {"asked": orjson.dumps(names).decode()}
    database = stage.database.real
    assert isinstance(database, PostgresDatabase)
    connection = await database.connect("test", settings=postgres_database._WRITER)
    try:
        pages = Pages(connection)
        ready = queries(stage)
        by_name = [
            name for name in ready if ".name:" in name and "vote" not in name and name in VALUES
        ]
        found = {name: await pages.of(ready[name], values) for name in by_name}
    finally:
        await connection.close()

    assert len(found) > 2
    assert {name: n for name, n in found.items() if n > NAMED * PAGES_FOR_A_NAME_MAX} == {}


async def test_table_scan_exceeds_the_page_limit(stage: ProjectionStage) -> None:
    """Control test: a table of this size has many more pages than a lookup may read."""
    await fill(stage, MANY)
    database = stage.database.real
    assert isinstance(database, PostgresDatabase)
    connection = await database.connect("test")
    try:
        walk = Query.__new__(Query)
        walk.sql, walk.parameters = "SELECT sum(length(data)) FROM events", ()
        walk._defaults = {}
        assert await Pages(connection).of(walk, {}) > MORE_PAGES_MAX * 10 + PAGES_SPARED
    finally:
        await connection.close()
