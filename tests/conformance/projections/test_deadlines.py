"""What a reader sees does not depend on how punctual the timer is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quorate.domain.shared.deadlines import RecordDue
from quorate.projections import deadlines as overdue_module
from quorate.projections.deadlines import Overdue
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.scene import DATABASES, Scene, opened
from tests.unit.support.scenario import LEE, acquire, heartbeat, id_of, propose, register
from tests.unit.support.specification import NOON, after

ANN = id_of("ann")


@pytest.fixture(params=DATABASES)
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(request.param, tmp_path) as scene:
        await scene.create_agents("ann", "bob")
        yield scene


async def lease_status(scene: Scene, lease: str = "new-lease") -> str:
    seen = await scene.reader.lease(TENANT, lease)
    assert seen.found is not None
    return seen.found.status


async def live(scene: Scene) -> list[str]:
    seen = await scene.reader.live_leases(TENANT, "", 99, None, None)
    return [lease.id for lease in seen.found]


async def request_status(scene: Scene) -> str:
    seen = await scene.reader.request(TENANT, "request")
    assert seen.found is not None
    return seen.found.request.status


async def pending_and_expired(scene: Scene) -> tuple[int, int]:
    pending = await scene.reader.requests(TENANT, "", 99, "pending")
    expired = await scene.reader.requests(TENANT, "", 99, "expired")
    return len(pending.found), len(expired.found)


async def held(scene: Scene, agent_id: str = ANN) -> int:
    """How many leases an agent holds, as both look-ups must say alike."""
    one = await scene.reader.agent(TENANT, agent_id)
    listed = {row.agent.id: row for row in (await scene.reader.agents(TENANT, "", 99)).found}
    assert one.found == listed[agent_id]
    return listed[agent_id].leases_held


# -- Leases --------------------------------------------------------------------


async def test_a_lease_is_valid_until_and_not_at_its_end(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=2))
    scene.clock.move(minutes=2, milliseconds=-1)
    assert (await lease_status(scene), await live(scene)) == ("active", ["new-lease"])
    assert await held(scene) == 1

    scene.clock.move(milliseconds=1)
    assert (await lease_status(scene), await live(scene)) == ("expired", [])
    assert await held(scene) == 0


async def test_a_lease_ends_with_its_holders_window(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=30))
    scene.clock.move(minutes=5)
    assert (await lease_status(scene), await live(scene)) == ("active", ["new-lease"])
    assert await held(scene) == 1

    scene.clock.move(milliseconds=1)
    assert (await lease_status(scene), await live(scene)) == ("revoked", [])
    assert await held(scene) == 0


async def test_a_lease_that_ran_out_before_its_holder_lapsed_has_expired(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=2), acquire("ann", LEE, lease="long"))
    scene.clock.move(minutes=6)

    assert await lease_status(scene) == "expired"
    assert await lease_status(scene, "long") == "revoked"


@pytest.mark.parametrize("minutes", [0, 2, 4, 5, 6, 40])
async def test_leases_look_the_same_before_and_after_the_timer_looked(
    scene: Scene, minutes: float
) -> None:
    await scene.execute(acquire("ann", minutes=2), acquire("ann", LEE, lease="long"))
    await scene.execute(propose("bob", minutes=4))
    scene.clock.move(minutes=minutes)

    async def looks() -> object:
        leases = [await lease_status(scene), await lease_status(scene, "long")]
        requests = [await request_status(scene), await pending_and_expired(scene)]
        return leases, await live(scene), await held(scene), requests

    before = await looks()
    await scene.settle()
    assert await looks() == before


async def test_an_agent_is_shown_with_what_says_whether_it_is_active(scene: Scene) -> None:
    scene.clock.move(minutes=5, milliseconds=1)
    seen = await scene.reader.agent(TENANT, ANN)

    assert seen.found is not None
    assert not seen.found.agent.is_active(seen.now)
    assert (seen.found.agent.last_heartbeat, seen.now) == (NOON, scene.clock.now)


# -- Requests ------------------------------------------------------------------


async def test_a_request_is_pending_until_and_not_at_its_timeout(scene: Scene) -> None:
    await scene.execute(propose("ann", minutes=4))
    scene.clock.move(minutes=4, milliseconds=-1)
    assert await request_status(scene) == "pending"
    assert await pending_and_expired(scene) == (1, 0)

    scene.clock.move(milliseconds=1)
    assert await request_status(scene) == "expired"
    assert await pending_and_expired(scene) == (0, 1)


async def test_the_list_shows_each_request_as_it_stands(scene: Scene) -> None:
    await scene.execute(propose("ann", request="r1", minutes=1), propose("ann", request="r2"))
    scene.clock.move(minutes=2)
    seen = await scene.reader.requests(TENANT, "", 99, None)

    found = [(row.request.id, row.request.status) for row in seen.found]
    assert found == [("r1", "expired"), ("r2", "pending")]


# -- Time ----------------------------------------------------------------------


async def test_a_reader_whose_clock_is_behind_reads_at_the_time_of_the_log(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=2))
    scene.clock.move(minutes=3)
    await scene.execute(heartbeat("ann"))
    scene.clock.move(hours=-2)
    seen = await scene.reader.lease(TENANT, "new-lease")

    assert seen.now == after(minutes=3)
    assert await lease_status(scene) == "expired"


async def test_an_answer_names_the_head_of_the_log_it_was_read_from(scene: Scene) -> None:
    await scene.create_agents("cid", tenant=OTHER_TENANT)
    await scene.execute(acquire("ann"))

    assert (await scene.reader.lease(TENANT, "new-lease")).sequence == 4
    assert (await scene.reader.lease(OTHER_TENANT, "new-lease")).sequence == 2
    assert (await scene.reader.agents("nobody", "", 9)).sequence == 0


# -- What the timer finds ------------------------------------------------------


async def test_nothing_is_due_before_its_time(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=2), propose("bob", minutes=4))
    assert await scene.due() == []
    scene.clock.move(minutes=2, milliseconds=-1)
    assert await scene.due() == []


async def test_each_thing_is_found_when_it_is_due(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=2), propose("bob", minutes=4))
    lease = Overdue(tenant=TENANT, command=RecordDue(aggregate="lease", id="new-lease"))
    request = Overdue(tenant=TENANT, command=RecordDue(aggregate="consensus", id="request"))
    agents = [  # Whose lapse, and what else ends with it.
        Overdue(
            tenant=TENANT, command=RecordDue(aggregate="agent", id=id_of(name)), events=1 + leases
        )
        for name, leases in (("ann", 1), ("bob", 0))
    ]

    scene.clock.now = after(minutes=2)
    assert await scene.due() == [lease]
    scene.clock.now = after(minutes=4)
    assert await scene.due() == [lease, request]
    scene.clock.now = after(minutes=5)  # Still active: only later are they not.
    assert await scene.due() == [lease, request]
    scene.clock.now = after(minutes=5, milliseconds=1)
    assert await scene.due() == [*agents, lease, request]


async def test_what_is_settled_is_not_found_again(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=2), acquire("bob", LEE, lease="l2"), propose("bob"))
    scene.clock.move(minutes=6)
    await scene.settle()

    assert await scene.due() == []
    types = (await scene.types(TENANT))[6:]
    assert sorted(types) == [
        "AgentLapsed",
        "AgentLapsed",
        "ConsensusExpired",
        "LeaseExpired",
        "LeaseRevoked",
    ]


async def test_what_two_timers_find_happens_once(scene: Scene) -> None:
    await scene.execute(acquire("ann", minutes=2), propose("bob"))
    scene.clock.move(minutes=6)
    found = await scene.due()
    for overdue in [*found, *reversed(found)]:
        await scene.submit(overdue.command, tenant=overdue.tenant)

    types = await scene.types(TENANT)
    assert len(types) == len(found) + 5
    for type_ in ("LeaseExpired", "ConsensusExpired"):
        assert types.count(type_) == 1


async def test_tenants_are_found_alike(scene: Scene) -> None:
    await scene.create_agents("ann", tenant=OTHER_TENANT)
    await scene.execute(acquire("ann", minutes=1))
    await scene.execute(acquire("ann", minutes=1), tenant=OTHER_TENANT)
    scene.clock.move(minutes=1)

    assert {overdue.tenant for overdue in await scene.due()} == {TENANT, OTHER_TENANT}


async def test_the_oldest_are_found_first_and_not_too_many_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue_module, "OVERDUE_PER_LOOK_MAX", 3)
    await scene.restart()
    for number in range(1, 6):
        scene.clock.now = after(minutes=number)
        await scene.execute(register(f"agent{number}"))
    await scene.execute(heartbeat("ann"))
    scene.clock.now = after(minutes=30)

    found = [overdue.command for overdue in await scene.due()]
    oldest = ("bob", "agent1", "agent2")
    assert found == [RecordDue(aggregate="agent", id=id_of(name)) for name in oldest]
    while await scene.due():
        await scene.settle()
    assert (await scene.types(TENANT)).count("AgentLapsed") == 7
