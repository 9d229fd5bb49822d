"""Lists of tasks by their state read only their page, at any number of tasks."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from quorate.projections.sessions.task_queries import ListedTask, TaskQueries
from quorate.projections.snapshots import Size
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import DATABASES, open_stage
from tests.unit.sessions.sample_tasks import cancel, claim, spawn

SEARCHES = {
    "dead": "tasks_dead (tenant=? AND sequence>?)",
    "ended": "tasks_ended (tenant=? AND sequence<?)",
    "submitted": "tasks_open (tenant=? AND state=? AND sequence>?)",
    "working": "tasks_open (tenant=? AND state=? AND sequence>?)",
    "input_required": "tasks_open (tenant=? AND state=? AND sequence>?)",
    "open": "tasks_open (tenant=? AND state=? AND sequence>?)",
}


async def test_each_selection_is_found_by_its_index(tmp_path: Path) -> None:
    async with open_stage("sqlite", tmp_path) as stage:
        selections = TaskQueries(stage.log, stage.clock)._selections
        assert selections.keys() == SEARCHES.keys()
        for name, query in selections.items():
            with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
                values = [None] * len(query.parameters)
                found = connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", values)
                plan = [row[3] for row in found]
            searches = {line for line in plan if "tasks" in line}
            assert searches == {f"SEARCH tasks USING INDEX {SEARCHES[name]}"}, (name, plan)


@pytest.mark.parametrize("database", DATABASES)
async def test_selections_are_pages_in_the_order_of_submission(
    database: str, tmp_path: Path
) -> None:
    async with open_stage(database, tmp_path) as stage:
        await stage.create_agents("ann", "bob")
        for number in range(4):
            await stage.execute(spawn(f"task{number}"))
        await stage.execute(claim("bob"), cancel("task2"))
        queries = TaskQueries(stage.log, stage.clock)

        async def pages(name: str, tenant: str = TENANT) -> list[list[str]]:
            found: list[list[str]] = []
            after = ""
            while True:
                size: Size[ListedTask] = Size(of=lambda _task, _now: 1, bytes_max=2**20)
                page = await queries.selection(tenant, name, after, 2, size)
                if page.found:
                    found.append([one.id for one in page.found])
                if not page.has_more:
                    return found
                after = str(page.found[-1].task.sequence)

        assert await pages("open") == [["task0", "task1"], ["task3"]]
        assert await pages("submitted") == [["task1", "task3"]]
        assert await pages("working") == [["task0"]]
        assert await pages("input_required") == await pages("dead") == []
        assert await pages("open", "elsewhere") == []
        assert await pages("ended") == [["task2"]]
        await stage.execute(cancel("task0"), cancel("task3"))
        assert await pages("ended") == [["task3", "task2"], ["task0"]]
