"""Nested tasks are found on every database, and end in bounded steps after their parent."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from quorate.domain.sessions.task_claims import ClaimTask
from quorate.projections.sessions import nested_tasks
from quorate.projections.sessions.nested_tasks import NestedTasks
from quorate.projections.sessions.task_queries import TaskQueries
from quorate.server.nested_tasks import NestedTaskCancellation
from tests.conformance.eventlog.conformance import TENANT, body, until
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.sessions.sample_tasks import cancel, claim, complete, spawn

STEP, CHILDREN = 2, 5


async def fill(stage: ProjectionStage) -> int:
    """Nest CHILDREN in a task, and one in the first of them; return the fence of the parent."""
    await stage.create_agents("ann", "bob", "cat")
    await stage.execute(spawn("parent"))
    fence = await claimed(stage, claim("bob"))
    await stage.execute(*(spawn(f"child{n}", "parent", by="bob") for n in range(CHILDREN)))
    await claimed(stage, claim("cat"))
    await stage.execute(spawn("grandchild", "child0", by="cat"), spawn("other"))
    return fence


async def claimed(stage: ProjectionStage, command: ClaimTask) -> int:
    answer = await stage.submit(command, render=lambda found: b"%d" % found.task.claim.fence)
    return int(body(answer))


async def canceled(stage: ProjectionStage) -> set[str]:
    queries = TaskQueries(stage.log, stage.clock)
    found = (await queries.page(TENANT, None, "canceled", None, 100)).found
    return {task.id for task in found}


def cancellation(stage: ProjectionStage) -> NestedTaskCancellation:
    nested = NestedTasks(stage.log)
    return NestedTaskCancellation(
        stage.command_bus, nested, lambda: stage.clock.now, stage.event_ids
    )


NESTED = {f"child{n}" for n in range(CHILDREN)} | {"grandchild"}


@pytest.mark.parametrize("database", DATABASES)
async def test_nested_tasks_are_found_in_bounded_steps(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nested_tasks, "NESTED_PER_COMMAND_MAX", STEP)
    async with open_stage(database, tmp_path) as stage:
        await fill(stage)
        nested = NestedTasks(stage.log)
        parents = [(TENANT, "parent"), ("elsewhere", "parent"), (TENANT, "unknown")]
        assert await nested.search() == await nested.find(parents) == []
        await stage.execute(cancel("parent"))
        assert await nested.find([("elsewhere", "parent"), (TENANT, "child0")]) == []
        ended = 0
        while found := await nested.find(parents):
            (one,) = found
            assert len(one.command.task_ids) == min(STEP, CHILDREN - ended)
            await stage.execute(one.command, tenant=one.tenant)
            ended += len(one.command.task_ids)
        assert await canceled(stage) == {"parent"} | NESTED - {"grandchild"}
        (last,) = await nested.search()
        assert last.command.task_ids == ("grandchild",)


@pytest.mark.parametrize("database", DATABASES)
async def test_all_levels_end_after_the_parent(database: str, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path) as stage:
        await fill(stage)
        await stage.execute(cancel("parent"))
        await cancellation(stage).cancel_all()
        assert await canceled(stage) == {"parent"} | NESTED


@pytest.mark.parametrize("database", DATABASES)
async def test_nothing_ends_with_a_completed_parent(database: str, tmp_path: Path) -> None:
    async with open_stage(database, tmp_path) as stage:
        await stage.execute(complete("bob", "parent", await fill(stage)))
        nested = NestedTasks(stage.log)
        assert await nested.search() == await nested.find([(TENANT, "parent")]) == []
        await cancellation(stage).cancel_all()
        assert await canceled(stage) == set()


async def test_leader_finds_what_it_missed_and_follows_commits(tmp_path: Path) -> None:
    async with open_stage("sqlite", tmp_path) as stage:
        await fill(stage)
        await stage.execute(cancel("parent"))  # Nothing follows commits yet.
        follower = cancellation(stage)
        running = asyncio.create_task(follower.run())
        try:
            # The search ends a level; the end of that level is followed.
            await until(lambda: all_canceled(stage, NESTED))
            await claimed(stage, claim("bob"))
            await stage.execute(spawn("last", "other", by="bob"), cancel("other"))
            follower.wake(stage.committed[-1])
            await until(lambda: all_canceled(stage, {"last"}))
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def all_canceled(stage: ProjectionStage, ids: set[str]) -> bool:
    return await canceled(stage) >= ids


async def test_tasks_of_a_parent_are_found_by_their_index(tmp_path: Path) -> None:
    async with open_stage("sqlite", tmp_path) as stage:
        statement = NestedTasks(stage.log)._of_parents.sql
        values = ('[["acme","parent"]]', *["x"] * (statement.count("?") - 3), 100, 0)
        with closing(sqlite3.connect(tmp_path / "quorate.db")) as connection:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
        assert "SEARCH tasks USING INDEX tasks_nested (parent_id=?)" in plan, plan
