"""A pause is decided in the log: no event of a pausable command follows it, on every database."""

import asyncio

import orjson

from quorate.domain.identity.tenants import PauseTenant, SuspendTenant, UnpauseTenant
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import iso
from quorate.eventlog.envelopes import Accepted, CommandResult, Rejected
from tests.conformance.eventlog.conformance import TENANT, Key, Stage, body
from tests.unit.support.sample_commands import KIM, LEE, TENANT_KEY, acquire, heartbeat, release

PAUSE = PauseTenant(tenant_id=TENANT, detail="Too much mail")
UNPAUSE = UnpauseTenant(tenant_id=TENANT, detail="Corrected")
KEY = Key(key="k1")


async def attempt(stage: Stage, command: Command, key: Key | None = None) -> CommandResult:
    grant_in = None if key is None else lambda response: orjson.loads(response)["id"]
    return await stage.submit(command, pausable=True, key=key, grant_in=grant_in)


def is_refused(result: CommandResult) -> bool:
    return isinstance(result, Rejected) and result.code == "tenant_paused"


async def test_pausable_command_is_refused_until_the_tenant_is_unpaused(stage: Stage) -> None:
    await stage.create_agents("ann")
    paused_at = stage.clock.now
    await stage.execute(PAUSE)
    stage.clock.move(minutes=1)
    refused = await attempt(stage, acquire("ann", lease="l1"))
    recorded = await stage.types()
    await stage.execute(UNPAUSE)

    assert isinstance(refused, Rejected)
    assert (refused.code, refused.facts) == ("tenant_paused", {"pausedAt": iso(paused_at)})
    assert recorded[-1] == "TenantPaused"
    assert isinstance(await attempt(stage, acquire("ann", lease="l2")), Accepted)


async def test_pause_counts_within_its_own_transaction(stage: Stage) -> None:
    await stage.create_agents("ann")
    tasks = [
        stage.start(acquire("ann", KIM, lease="l1"), pausable=True),
        stage.start(PAUSE),
        stage.start(acquire("ann", LEE, lease="l2"), pausable=True),
        stage.start(UNPAUSE),
        stage.start(acquire("ann", LEE, lease="l3"), pausable=True),
    ]
    before = len(stage.committed)
    results = await asyncio.gather(*tasks)

    assert len(stage.committed) == before + 1, "this test needs one transaction"
    assert [is_refused(one) for one in results] == [False, False, True, False, False]


async def test_pause_outlives_a_restart_and_a_suspension(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(PAUSE, SuspendTenant(tenant_id=TENANT))
    await stage.restart()

    assert is_refused(await attempt(stage, acquire("ann")))


async def test_other_tenant_is_not_paused(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.create_agents("ann", tenant="other")
    await stage.execute(PAUSE)
    accepted = await stage.submit(acquire("ann"), tenant="other", pausable=True)

    assert isinstance(accepted, Accepted)


async def test_what_is_not_pausable_goes_on(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(acquire("ann", lease="l1"), PAUSE)
    stage.clock.move(minutes=1)
    await stage.execute(heartbeat("ann"), release("l1", by=TENANT_KEY))

    assert (await stage.types())[-2:] == ["HeartbeatReceived", "LeaseReleased"]


async def test_time_goes_on_in_a_paused_tenant(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(acquire("ann", lease="l1", minutes=1), PAUSE)
    stage.clock.move(minutes=1)
    await stage.execute(RecordDue(aggregate="lease", id="l1"))

    assert (await stage.types())[-1] == "LeaseExpired"


async def test_refused_command_records_what_is_due(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("ann", lease="l1", minutes=1), PAUSE)
    stage.clock.move(minutes=1)
    refused = await attempt(stage, acquire("bob", lease="l2"))

    assert is_refused(refused)
    assert (await stage.types())[-1] == "LeaseExpired"


async def test_stored_response_is_repeated_while_it_is_true(stage: Stage) -> None:
    await stage.create_agents("ann")
    first = await attempt(stage, acquire("ann", lease="l1"), KEY)
    await stage.execute(PAUSE)
    again = await attempt(stage, acquire("ann", lease="l2"), KEY)

    assert isinstance(again, Accepted)
    assert (again.replayed, body(again)) == (True, body(first))


async def test_refusal_is_not_stored_under_the_idempotency_key(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(PAUSE)
    refused = await attempt(stage, acquire("ann", lease="l1"), KEY)
    await stage.execute(UNPAUSE)
    accepted = await attempt(stage, acquire("ann", lease="l2"), KEY)

    assert is_refused(refused)
    assert isinstance(accepted, Accepted)
    assert not accepted.replayed
