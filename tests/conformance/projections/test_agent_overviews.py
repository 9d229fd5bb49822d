"""Agents are listed by status, and old names are found and removed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.domain.identity.agent_departures import RemoveAgent
from quorate.projections.agent_overviews import AgentOverviews
from tests.conformance.eventlog.conformance import TENANT, WINDOW_SECONDS
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import deregister, heartbeat, id_of, register


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        await stage.create_agents("ann", "bob", "cid")
        yield stage


async def listed(stage: ProjectionStage, status: str | None) -> list[str]:
    found = (await stage.reader.agents(TENANT, "", 9, status)).found
    return [one.agent.name for one in found]


async def test_agents_are_listed_by_status(stage: ProjectionStage) -> None:
    await stage.execute(deregister("cid"))
    stage.clock.move(minutes=4)
    await stage.execute(heartbeat("bob"))
    stage.clock.move(minutes=4)  # The timeout of ann is not recorded.

    for recorded in (False, True):
        if recorded:
            await stage.record_due()
        assert await listed(stage, None) == ["ann", "bob"]
        assert await listed(stage, "active") == ["bob"]
        assert await listed(stage, "inactive") == ["ann"]
        assert await listed(stage, "deregistered") == ["cid"]


async def test_old_names_are_found_and_removed(stage: ProjectionStage) -> None:
    overviews = AgentOverviews(stage.log)
    await stage.execute(deregister("ann"))
    left = stage.clock()
    stage.clock.move(minutes=1)
    await stage.execute(deregister("bob"))

    assert await overviews.find_inactive(left) == []
    stage.clock.move(minutes=60)
    await stage.record_due()
    found = await overviews.find_inactive(stage.clock())
    [old] = [one for one in found if one.command.agent_id == id_of("ann")]
    assert old.tenant == TENANT
    await stage.execute(old.command)

    assert await listed(stage, "deregistered") == ["bob"]
    assert (await stage.reader.agent(TENANT, id_of("ann"))).found is None
    found = await overviews.find_inactive(stage.clock())
    assert {one.command.agent_id for one in found} == {id_of("bob"), id_of("cid")}


async def test_removed_name_is_free_in_the_same_and_in_later_transactions(
    stage: ProjectionStage,
) -> None:
    for _ in range(2):
        await stage.execute(deregister("ann"))
        await stage.execute(RemoveAgent(agent_id=id_of("ann")))
        await stage.execute(register("ann"))

    found = (await stage.reader.agent(TENANT, id_of("ann"))).found
    assert found is not None
    assert found.agent.incarnation == 1


async def test_other_heartbeat_windows_of_active_agents_are_counted(
    stage: ProjectionStage,
) -> None:
    overviews = AgentOverviews(stage.log)
    window = round(WINDOW_SECONDS * 1_000)

    assert await overviews.count_other_windows(window) == {}
    assert await overviews.count_other_windows(1_000) == {window: 3}
    await stage.execute(deregister("ann"))
    assert await overviews.count_other_windows(1_000) == {window: 2}
