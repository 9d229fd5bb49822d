"""Query results do not depend on delays of the deadline scheduler."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.domain.shared.deadlines import RecordDue
from quorate.projections import deadlines as overdue_module
from quorate.projections.deadlines import OverdueInstance
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import LEE, acquire, heartbeat, id_of, propose, register
from tests.unit.support.specification import NOON, after

ANN = id_of("ann")


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        await stage.create_agents("ann", "bob")
        yield stage


async def lease_status(stage: ProjectionStage, lease: str = "new-lease") -> str:
    result = await stage.reader.lease(TENANT, lease)
    assert result.found is not None
    return result.found.status


async def live_leases(stage: ProjectionStage) -> list[str]:
    result = await stage.reader.live_leases(TENANT, "", 99, None, None)
    return [lease.id for lease in result.found]


async def request_status(stage: ProjectionStage) -> str:
    result = await stage.reader.request(TENANT, "request")
    assert result.found is not None
    return result.found.request.status


async def pending_and_expired(stage: ProjectionStage) -> tuple[int, int]:
    pending = await stage.reader.requests(TENANT, "", 99, "pending")
    expired = await stage.reader.requests(TENANT, "", 99, "expired")
    return len(pending.found), len(expired.found)


async def leases_held(stage: ProjectionStage, agent_id: str = ANN) -> int | None:
    """Return how many leases an agent holds; both queries must agree."""
    one = await stage.reader.agent(TENANT, agent_id)
    listed = {row.agent.id: row for row in (await stage.reader.agents(TENANT, "", 99)).found}
    assert one.found == listed[agent_id]
    return listed[agent_id].leases_held


# -- Leases --------------------------------------------------------------------


async def test_lease_is_active_until_but_not_at_its_expiry(stage: ProjectionStage) -> None:
    await stage.execute(acquire("ann", minutes=2))
    stage.clock.move(minutes=2, milliseconds=-1)
    assert (await lease_status(stage), await live_leases(stage)) == ("active", ["new-lease"])
    assert await leases_held(stage) == 1

    stage.clock.move(milliseconds=1)
    assert (await lease_status(stage), await live_leases(stage)) == ("expired", [])
    assert await leases_held(stage) == 0


async def test_lease_is_revoked_when_its_holder_times_out(stage: ProjectionStage) -> None:
    await stage.execute(acquire("ann", minutes=30))
    stage.clock.move(minutes=5)
    assert (await lease_status(stage), await live_leases(stage)) == ("active", ["new-lease"])
    assert await leases_held(stage) == 1

    stage.clock.move(milliseconds=1)
    assert (await lease_status(stage), await live_leases(stage)) == ("revoked", [])
    assert await leases_held(stage) == 0


async def test_lease_expires_when_it_ends_before_its_holder_times_out(
    stage: ProjectionStage,
) -> None:
    await stage.execute(acquire("ann", minutes=2), acquire("ann", LEE, lease="long"))
    stage.clock.move(minutes=6)

    assert await lease_status(stage) == "expired"
    assert await lease_status(stage, "long") == "revoked"


@pytest.mark.parametrize("minutes", [0, 2, 4, 5, 6, 40])
async def test_results_are_equal_before_and_after_deadlines_are_recorded(
    stage: ProjectionStage, minutes: float
) -> None:
    await stage.execute(acquire("ann", minutes=2), acquire("ann", LEE, lease="long"))
    await stage.execute(propose("bob", minutes=4))
    stage.clock.move(minutes=minutes)

    async def current_results() -> object:
        leases = [await lease_status(stage), await lease_status(stage, "long")]
        requests = [await request_status(stage), await pending_and_expired(stage)]
        return leases, await live_leases(stage), await leases_held(stage), requests

    before = await current_results()
    await stage.record_due()
    assert await current_results() == before


async def test_agent_is_returned_with_its_last_heartbeat_and_the_time_of_the_query(
    stage: ProjectionStage,
) -> None:
    stage.clock.move(minutes=5, milliseconds=1)
    result = await stage.reader.agent(TENANT, ANN)

    assert result.found is not None
    assert not result.found.agent.is_active(result.now)
    assert (result.found.agent.last_heartbeat, result.now) == (NOON, stage.clock.now)


# -- Proposals -----------------------------------------------------------------


async def test_proposal_is_pending_until_but_not_at_its_timeout(stage: ProjectionStage) -> None:
    await stage.execute(propose("ann", minutes=4))
    stage.clock.move(minutes=4, milliseconds=-1)
    assert await request_status(stage) == "pending"
    assert await pending_and_expired(stage) == (1, 0)

    stage.clock.move(milliseconds=1)
    assert await request_status(stage) == "expired"
    assert await pending_and_expired(stage) == (0, 1)


async def test_list_shows_the_current_status_of_each_proposal(stage: ProjectionStage) -> None:
    await stage.execute(propose("ann", request="r1", minutes=1), propose("ann", request="r2"))
    stage.clock.move(minutes=2)
    result = await stage.reader.requests(TENANT, "", 99, None)

    found = [(row.request.id, row.request.status) for row in result.found]
    assert found == [("r1", "expired"), ("r2", "pending")]


# -- Time ----------------------------------------------------------------------


async def test_query_uses_the_time_of_the_log_when_the_clock_is_behind(
    stage: ProjectionStage,
) -> None:
    await stage.execute(acquire("ann", minutes=2))
    stage.clock.move(minutes=3)
    await stage.execute(heartbeat("ann"))
    stage.clock.move(hours=-2)
    result = await stage.reader.lease(TENANT, "new-lease")

    assert result.now == after(minutes=3)
    assert await lease_status(stage) == "expired"


async def test_result_contains_the_head_sequence_of_its_tenant(stage: ProjectionStage) -> None:
    await stage.create_agents("cid", tenant=OTHER_TENANT)
    await stage.execute(acquire("ann"))

    assert (await stage.reader.lease(TENANT, "new-lease")).sequence == 4
    assert (await stage.reader.lease(OTHER_TENANT, "new-lease")).sequence == 2
    assert (await stage.reader.agents("unknown", "", 9)).sequence == 0


# -- Passed deadlines ----------------------------------------------------------


async def test_nothing_is_due_before_its_deadline(stage: ProjectionStage) -> None:
    await stage.execute(acquire("ann", minutes=2), propose("bob", minutes=4))
    assert await stage.find_due() == []
    stage.clock.move(minutes=2, milliseconds=-1)
    assert await stage.find_due() == []


async def test_each_aggregate_is_found_at_its_deadline(stage: ProjectionStage) -> None:
    await stage.execute(acquire("ann", minutes=2), propose("bob", minutes=4))
    lease = OverdueInstance(tenant=TENANT, command=RecordDue(aggregate="lease", id="new-lease"))
    request = OverdueInstance(tenant=TENANT, command=RecordDue(aggregate="consensus", id="request"))
    agents = [  # The timeout of an agent, and the leases that end with it.
        OverdueInstance(
            tenant=TENANT, command=RecordDue(aggregate="agent", id=id_of(name)), events=1 + leases
        )
        for name, leases in (("ann", 1), ("bob", 0))
    ]

    stage.clock.now = after(minutes=2)
    assert await stage.find_due() == [lease]
    stage.clock.now = after(minutes=4)
    assert await stage.find_due() == [lease, request]
    stage.clock.now = after(minutes=5)  # Agents time out after this instant.
    assert await stage.find_due() == [lease, request]
    stage.clock.now = after(minutes=5, milliseconds=1)
    assert await stage.find_due() == [*agents, lease, request]


async def test_recorded_deadlines_are_not_found_again(stage: ProjectionStage) -> None:
    await stage.execute(acquire("ann", minutes=2), acquire("bob", LEE, lease="l2"), propose("bob"))
    stage.clock.move(minutes=6)
    await stage.record_due()

    assert await stage.find_due() == []
    types = (await stage.types(TENANT))[6:]
    assert sorted(types) == [
        "AgentLapsed",
        "AgentLapsed",
        "ConsensusExpired",
        "LeaseExpired",
        "LeaseRevoked",
    ]


async def test_deadline_found_twice_is_recorded_once(stage: ProjectionStage) -> None:
    await stage.execute(acquire("ann", minutes=2), propose("bob"))
    stage.clock.move(minutes=6)
    found = await stage.find_due()
    for overdue in [*found, *reversed(found)]:
        await stage.submit(overdue.command, tenant=overdue.tenant)

    types = await stage.types(TENANT)
    assert len(types) == len(found) + 5
    for type_ in ("LeaseExpired", "ConsensusExpired"):
        assert types.count(type_) == 1


async def test_deadlines_of_all_tenants_are_found(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", tenant=OTHER_TENANT)
    await stage.execute(acquire("ann", minutes=1))
    await stage.execute(acquire("ann", minutes=1), tenant=OTHER_TENANT)
    stage.clock.move(minutes=1)

    assert {overdue.tenant for overdue in await stage.find_due()} == {TENANT, OTHER_TENANT}


async def test_oldest_deadlines_are_found_first_up_to_the_limit(
    stage: ProjectionStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue_module, "OVERDUE_PER_QUERY_MAX", 3)
    await stage.restart()
    for number in range(1, 6):
        stage.clock.now = after(minutes=number)
        await stage.execute(register(f"agent{number}"))
    await stage.execute(heartbeat("ann"))
    stage.clock.now = after(minutes=30)

    found = [overdue.command for overdue in await stage.find_due()]
    oldest = ("bob", "agent1", "agent2")
    assert found == [RecordDue(aggregate="agent", id=id_of(name)) for name in oldest]
    while await stage.find_due():
        await stage.record_due()
    assert (await stage.types(TENANT)).count("AgentLapsed") == 7
