"""Statements of the past find versions by an index, also where a row has very many versions."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.eventlog.transactions import Query
from quorate.projections.history import statements
from quorate.projections.history.nodes import OPEN, node_of, path_to
from quorate.projections.history.tables import HISTORY
from quorate.projections.queries import Reader
from quorate.projections.tables import agents
from tests.conformance.projections.random_history import TENANTS, RandomHistory
from tests.integration.history.past_services import ReadingService, follow
from tests.integration.history.reads import Reads, find_ids

HEARTBEATS = 100_000
START = 1_000_000
STEPS_MAX = 300  # In hundreds. To read all versions takes more than 10,000.


async def used_statements(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """Return the statements of the past that all operations use."""
    used: dict[str, Query] = {}
    make = statements.past_of

    def note(query: Query, dialect: object) -> Query:
        past = make(query, dialect)  # type: ignore[arg-type]
        used[past.sql] = past
        return past

    monkeypatch.setattr(statements, "past_of", note)
    async with RandomHistory(SqliteDatabase(path), 6, schedules=True) as history:
        await history.create_operators()
        await history.run(20)
        await follow(history.log, 100)
        service = ReadingService(history.log, lambda: history.now)
        sequence = await history.log.committed_sequence(TENANTS[0])
        for read in Reads(TENANTS[0], await find_ids(history.log, TENANTS[0])).all():
            await service.answer(read, 1 if not read.path and "admin" in repr(read) else sequence)
    return list(used.values())


async def test_no_statement_reads_all_versions_of_a_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "quorate.db"
    found = await used_statements(path, monkeypatch)
    assert len(found) > 40
    with closing(sqlite3.connect(path)) as connection:
        for query in found:
            values = [None] * len(query.parameters)
            plan = connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", values).fetchall()
            for step in (row[3] for row in plan):
                assert not step.startswith("SCAN") or "_history" not in step, (query.sql, plan)
                is_bounded = "_history" not in step or not step.endswith("(tenant=?)")
                assert is_bounded, (query.sql, plan)


async def test_agent_with_very_many_heartbeats_is_found_as_quickly(tmp_path: Path) -> None:
    path = tmp_path / "quorate.db"
    async with RandomHistory(SqliteDatabase(path), 7, mail=False) as history:
        await history.run(10)
        events = await follow(history.log, 100)
        queries = Reader(history.log, lambda: history.now)._queries
        dialect = history.log.database.dialect
        (agent_id, *_) = (await find_ids(history.log, TENANTS[0]))["agents"]
    agent, page = (
        statements.past_of(one, dialect) for one in (queries.agent, queries.agents[None])
    )
    given = {"tenant": TENANTS[0], "id": agent_id, "after": "", "limit": 50, "now": history.now}
    with closing(sqlite3.connect(path)) as connection:
        before = [run(connection, one, given, events, events) for one in (agent, page)]
        add_versions(connection, agent_id)
        head = START + HEARTBEATS
        after = [run(connection, one, given, events, head) for one in (agent, page)]
        amid = run(connection, agent, given, START + HEARTBEATS // 2, head)

    assert [rows for rows, _ in after] == [rows for rows, _ in before]
    assert len(before[0][0]) == len(amid[0]) == 1
    assert max(steps for _, steps in (*after, amid)) < STEPS_MAX


def run(
    connection: sqlite3.Connection, query: Query, given: dict[str, Any], position: int, head: int
) -> tuple[list[Any], int]:
    """Return the rows as of a position, and the steps of SQLite's virtual machine in hundreds."""
    path = orjson.dumps(path_to(position, head)).decode()
    values = query.bind({**given, "as_of": position, "as_of_path": path})
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    connection.set_progress_handler(count, 100)
    try:
        return connection.execute(query.sql, values).fetchall(), steps
    finally:
        connection.set_progress_handler(None, 0)


def add_versions(connection: sqlite3.Connection, agent_id: str) -> None:
    """Give an agent very many versions after all others, as heartbeats would."""
    table = HISTORY[agents].name
    ((*row,),) = connection.execute(
        f"SELECT * FROM {table} WHERE id = ? AND node = ?",  # noqa: S608 - a constant.
        (agent_id, OPEN),
    )
    count, end = len(agents.columns), START + HEARTBEATS
    connection.execute(
        f"UPDATE {table} SET from_position = ? WHERE id = ? AND node = ?",  # noqa: S608
        (end, agent_id, OPEN),
    )
    spans = [(row[count], START), *((one, one + 1) for one in range(START, end))]
    versions = [(*row[:count], *span, node_of(*span), False) for span in spans]
    marks = ", ".join("?" * len(row))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", versions)  # noqa: S608
