"""Daily quotas are decided in the transaction, from what the log contains, on every database."""

import asyncio

from sqlalchemy import select

from quorate.domain.identity.tenants import SetTenantLimits, TenantLimits
from quorate.domain.shared.daily_quotas import EVENT_BYTES
from quorate.domain.shared.quotas import Quotas
from quorate.eventlog.envelopes import Accepted, CommandResult, Rejected
from quorate.eventlog.transactions import Query
from quorate.projections.tables import usage
from tests.conformance.eventlog.conformance import TENANT, Key, Stage
from tests.unit.support.sample_commands import acquire, heartbeat, register

ANN, BOB = "agent_ann", "agent_bob"


async def metered(stage: Stage, actor: str, *, urgent: bool = False) -> CommandResult:
    """Register an agent again, which records one event."""
    return await stage.submit(register("ann"), actor=actor, metered=True, urgent=urgent)


async def stored(stage: Stage) -> dict[str, tuple[int, int]]:
    """Return the events and the bytes of each owner."""
    async with stage.log.read() as transaction:
        rows = await transaction.fetch(Query(select(usage), stage.database.dialect), {})
    return {row.owner: (row.events, row.bytes) for row in rows}


async def set_quotas(stage: Stage, quotas: Quotas) -> None:
    stage.quotas = quotas
    await stage.restart()


async def test_use_of_the_tenant_and_its_agents_is_stored(stage: Stage) -> None:
    await stage.create_agents("ann")
    await metered(stage, ANN)
    await asyncio.gather(*(metered(stage, BOB) for _ in range(3)))
    sizes = [len(event.data) + EVENT_BYTES for event in await stage.events()]

    assert await stored(stage) == {
        "": (6, sum(sizes)),
        ANN: (1, sizes[2]),
        BOB: (3, sum(sizes[3:])),
    }


async def test_agent_is_rejected_until_the_next_day(stage: Stage) -> None:
    await set_quotas(stage, Quotas(events_per_day_per_agent=2))
    await stage.create_agents("ann")
    results = await asyncio.gather(*(metered(stage, ANN) for _ in range(3)))  # One transaction.
    events = await stage.types()

    assert [type(result) for result in results] == [Accepted, Accepted, Rejected]
    assert isinstance(results[2], Rejected)
    assert results[2].code == "daily_quota_exceeded"
    assert results[2].facts["quota"] == "events_per_day_per_agent"
    assert isinstance(await metered(stage, ANN), Rejected)
    assert await stage.types() == events
    assert isinstance(await metered(stage, BOB), Accepted)
    stage.clock.move(hours=12)
    assert isinstance(await metered(stage, ANN), Accepted)


async def test_quota_counts_across_a_restart(stage: Stage) -> None:
    await stage.create_agents("ann")
    await metered(stage, ANN)
    await set_quotas(stage, Quotas(events_per_day_per_agent=1))

    assert isinstance(await metered(stage, ANN), Rejected)


async def test_urgent_command_is_accepted_above_the_quota(stage: Stage) -> None:
    await set_quotas(stage, Quotas(events_per_day_per_agent=4))
    await stage.create_agents("ann")
    for _ in range(4):
        await metered(stage, ANN)

    assert isinstance(await metered(stage, ANN), Rejected)
    assert isinstance(await metered(stage, ANN, urgent=True), Accepted)
    assert isinstance(await metered(stage, ANN, urgent=True), Rejected)


async def test_command_that_records_nothing_is_accepted_above_the_quota(stage: Stage) -> None:
    await set_quotas(stage, Quotas(events_per_day=2))
    await stage.create_agents("ann")

    assert isinstance(await stage.submit(heartbeat("ann"), metered=True), Accepted)


async def test_conflict_is_not_recorded_above_the_quota(stage: Stage) -> None:
    await set_quotas(stage, Quotas(events_per_day_per_agent=1))
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann"))
    conflict = await stage.submit(acquire("bob"), actor=BOB, metered=True)
    exceeded = await stage.submit(acquire("bob"), actor=BOB, metered=True)

    assert [one.code for one in (conflict, exceeded) if isinstance(one, Rejected)] == [
        "lease_conflict",
        "daily_quota_exceeded",
    ]
    assert (await stage.types()).count("LeaseConflicted") == 1


async def test_command_of_an_operator_is_not_metered(stage: Stage) -> None:
    await set_quotas(stage, Quotas(events_per_day=1))
    await stage.create_agents("ann", "bob")

    assert isinstance(await stage.submit(register("ann")), Accepted)


async def test_limits_of_the_tenant_replace_those_of_the_service(stage: Stage) -> None:
    await set_quotas(stage, Quotas(events_per_day=1))
    await stage.create_agents("ann")
    assert isinstance(await metered(stage, ANN), Rejected)
    more = SetTenantLimits(tenant_id=TENANT, limits=TenantLimits(events_per_day=5))
    await stage.submit(more, render=lambda _: b"{}")

    assert isinstance(await metered(stage, ANN), Accepted)
    none = SetTenantLimits(tenant_id=TENANT, limits=TenantLimits(events_per_day=0))
    await stage.submit(none, render=lambda _: b"{}")
    assert isinstance(await metered(stage, ANN), Accepted)
    await stage.submit(
        SetTenantLimits(tenant_id=TENANT, limits=TenantLimits()), render=lambda _: b"{}"
    )
    assert isinstance(await metered(stage, ANN), Rejected)


async def test_response_is_replayed_above_the_quota(stage: Stage) -> None:
    await set_quotas(stage, Quotas(events_per_day_per_agent=1))
    await stage.create_agents("ann")
    key = Key(key="k1")
    await stage.submit(register("ann"), actor=ANN, metered=True, key=key)
    again = await stage.submit(register("ann"), actor=ANN, metered=True, key=key)

    assert isinstance(again, Accepted)
    assert again.replayed
