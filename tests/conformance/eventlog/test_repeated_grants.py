"""A repeated request gets no right that is over, although its first response granted one."""

from typing import Any

import orjson
import pytest

from quorate.domain.coordination.send_gate import Authorization
from quorate.domain.shared.state import Command
from quorate.eventlog.envelopes import Accepted, CommandResult, Rejected
from tests.conformance.eventlog.conformance import Key, Stage, body
from tests.unit.support.sample_commands import (
    TENANT_KEY,
    acquire,
    heartbeat,
    key_of,
    register,
    release,
    renew,
    send,
)

K1, K2 = Key(key="k1"), Key(key="k2")


def lease_id(response: bytes) -> Any:  # noqa: ANN401 - JSON.
    return orjson.loads(response)["id"]


def authorization(response: bytes) -> Authorization | None:
    event = orjson.loads(response)
    return None if "reason" in event else Authorization(fence=event["fence"])


async def lease(stage: Stage, command: Command, key: Key = K1) -> CommandResult:
    return await stage.submit(command, key=key, grant_in=lease_id)


async def ask(stage: Stage, command: Command, key: Key = K1) -> Any:  # noqa: ANN401 - JSON.
    result = await stage.submit(command, key=key, grant_in=authorization)
    return body(result) | {"replayed": result.replayed}


async def activity(stage: Stage, command: Command) -> CommandResult:
    return await stage.submit(command, key=K1, grant_in=lambda _: True)


def ended(result: CommandResult, status: str) -> bool:
    assert isinstance(result, Rejected), result
    assert result.replayed
    assert result.facts["leaseId"] == "l1"
    return (result.code, result.facts["leaseStatus"]) == ("lease_ended", status)


# -- Acquire and renew -------------------------------------------------------------


async def test_valid_lease_is_returned_again(stage: Stage) -> None:
    await stage.create_agents("ann")
    first = await lease(stage, acquire("ann", lease="l1"))
    stage.clock.move(minutes=1)
    events = await stage.events()
    again = await lease(stage, acquire("ann", lease="l2"))

    assert isinstance(again, Accepted)
    assert (again.replayed, body(again)) == (True, body(first))
    assert await stage.events() == events


async def test_expired_lease_is_not_returned_again(stage: Stage) -> None:
    await stage.create_agents("ann")
    await lease(stage, acquire("ann", lease="l1", minutes=1))
    stage.clock.move(minutes=1)

    assert ended(await lease(stage, acquire("ann", lease="l2", minutes=1)), "expired")
    await stage.restart()
    assert ended(await lease(stage, acquire("ann", lease="l3", minutes=1)), "expired")
    assert (await stage.types()).count("LeaseAcquired") == 1
    assert (await stage.types()).count("LeaseExpired") == 1


@pytest.mark.parametrize("rival_follows", [False, True])
async def test_released_lease_is_not_returned_again(stage: Stage, rival_follows: bool) -> None:
    await stage.create_agents("ann", "bob")
    await lease(stage, acquire("ann", lease="l1"))
    await stage.execute(release("l1", by=TENANT_KEY))
    if rival_follows:
        await stage.execute(acquire("bob", lease="l9"))

    assert ended(await lease(stage, acquire("ann", lease="l2")), "released")


async def test_revoked_lease_is_not_returned_again(stage: Stage) -> None:
    await stage.create_agents("ann")
    await lease(stage, acquire("ann", lease="l1"))
    stage.clock.move(minutes=6)

    assert ended(await lease(stage, acquire("ann", lease="l2")), "revoked")


async def test_superseded_lease_is_not_returned_again(stage: Stage) -> None:
    await stage.create_agents("ann")
    await lease(stage, acquire("ann", lease="l1"))
    await stage.execute(register("ann", by=TENANT_KEY), acquire("ann", lease="l2"))

    assert ended(await lease(stage, acquire("ann", lease="l3")), "revoked")


async def test_renewed_lease_is_returned_with_its_present_expiry(stage: Stage) -> None:
    await stage.create_agents("ann")
    first = await lease(stage, acquire("ann", lease="l1", minutes=1))
    await stage.execute(renew("l1", by=key_of("ann"), minutes=4))
    stage.clock.move(minutes=2)  # The first expiry has passed.
    again = body(await lease(stage, acquire("ann", lease="l2", minutes=1)))

    assert (again["id"], again["fence"]) == ("l1", body(first)["fence"])
    assert again["expires_at"] == body(first)["expires_at"] + 3 * 60_000


async def test_renewal_of_an_ended_lease_is_not_returned_again(stage: Stage) -> None:
    await stage.create_agents("ann")
    await stage.execute(acquire("ann", lease="l1"))
    renewal = renew("l1", by=key_of("ann"), minutes=60)
    first = await lease(stage, renewal)
    assert body(await lease(stage, renewal)) == body(first)
    await stage.execute(release("l1", by=TENANT_KEY))

    assert ended(await lease(stage, renewal), "released")


async def test_repetition_in_the_batch_of_the_grant_is_judged(stage: Stage) -> None:
    await stage.create_agents("ann")
    pending = [
        stage.start(acquire("ann", lease="l1"), key=K1, grant_in=lease_id),
        stage.start(release("l1", by=TENANT_KEY)),
        stage.start(acquire("ann", lease="l2"), key=K1, grant_in=lease_id),
    ]
    first, _, again = [await one for one in pending]

    assert body(first)["id"] == "l1"
    assert ended(again, "released")
    assert len(stage.committed[-1]) == 2  # They were one batch.


# -- The send gate -------------------------------------------------------------------


async def test_authorization_is_replayed_while_the_lease_lasts(stage: Stage) -> None:
    await stage.create_agents("ann")
    fence = body(await stage.submit(acquire("ann")))["fence"]
    first = await ask(stage, send("ann", fence=fence))
    again = await ask(stage, send("ann", fence=fence))

    assert again == {**first, "replayed": True}
    assert (await stage.types()).count("SendAuthorized") == 1


@pytest.mark.parametrize("names_fence", [True, False])
async def test_authorization_under_an_ended_lease_becomes_a_block(
    stage: Stage, names_fence: bool
) -> None:
    await stage.create_agents("ann", "bob")
    fence = body(await stage.submit(acquire("ann", minutes=1)))["fence"]
    question = send("ann", fence=fence if names_fence else None)
    assert "reason" not in await ask(stage, question)
    stage.clock.move(minutes=2)
    await stage.execute(acquire("bob", lease="l2"), send("bob"))
    blocked = await ask(stage, question)

    assert (blocked["reason"], blocked["holder_name"]) == ("lease_conflict", "bob")
    assert not blocked["replayed"]
    assert (await stage.types()).count("SendBlocked") == 1
    await stage.restart()
    assert await ask(stage, question) == {**blocked, "replayed": True}
    assert (await stage.types()).count("SendBlocked") == 1


async def test_authorization_under_a_lease_stays_one_of_that_lease(stage: Stage) -> None:
    """Without a fence in the request, the fence of the first response counts."""
    await stage.create_agents("ann")
    await stage.execute(acquire("ann", minutes=1))
    await ask(stage, send("ann"))
    stage.clock.move(minutes=2)
    await stage.execute(acquire("ann", lease="l2"))

    assert (await ask(stage, send("ann")))["reason"] == "stale_fence"
    assert "reason" not in await ask(stage, send("ann"), K2)


async def test_authorization_of_a_free_contact_becomes_a_block_by_a_lease(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    first = await ask(stage, send("ann"))
    await stage.execute(acquire("bob"))

    assert "reason" not in first
    assert (await ask(stage, send("ann")))["reason"] == "lease_conflict"


async def test_block_stays_a_block(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    await stage.execute(acquire("bob", lease="l1"))
    blocked = await ask(stage, send("ann"))
    await stage.execute(release("l1", by=TENANT_KEY))

    assert await ask(stage, send("ann")) == {**blocked, "replayed": True}


async def test_block_replaces_an_authorization_of_the_same_batch(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    question = {"key": K1, "grant_in": authorization}
    pending = [
        stage.start(send("ann"), **question),
        stage.start(acquire("bob")),
        stage.start(send("ann"), **question),
        stage.start(send("ann"), **question),
    ]
    first, _, second, third = [await one for one in pending]

    assert "reason" not in body(first)
    assert body(second)["reason"] == "lease_conflict"
    assert (third.replayed, body(third)) == (True, body(second))
    assert await ask(stage, send("ann")) == {**body(second), "replayed": True}


# -- Activity ------------------------------------------------------------------------


@pytest.mark.parametrize("command", [heartbeat("ann"), register("ann", by=TENANT_KEY)])
async def test_activity_is_the_present_one(stage: Stage, command: Command) -> None:
    await stage.create_agents("ann")
    await activity(stage, command)
    stage.clock.move(minutes=3)
    beat = await stage.submit(heartbeat("ann"))
    events = await stage.events()
    again = body(await activity(stage, command))

    assert again.get("agent", again)["active_until"] == body(beat)["agent"]["active_until"]
    assert await stage.events() == events


async def test_repeated_heartbeat_of_an_inactive_agent_counts(stage: Stage) -> None:
    await stage.create_agents("ann")
    await activity(stage, heartbeat("ann"))
    stage.clock.move(minutes=6)
    again = await activity(stage, heartbeat("ann"))

    assert not again.replayed
    assert body(again)["agent"]["status"] == "active"
    assert body(again)["agent"]["active_until"] > stage.clock.now
    assert (await stage.types())[-2:] == ["AgentLapsed", "HeartbeatReceived"]
    assert body(await activity(stage, heartbeat("ann"))) == body(again)
    assert (await stage.types())[-1] == "HeartbeatReceived"


async def test_repeated_registration_of_an_inactive_agent_says_so(stage: Stage) -> None:
    await stage.create_agents("ann")
    await activity(stage, register("ann", by=TENANT_KEY))
    stage.clock.move(minutes=6)
    again = body(await activity(stage, register("ann", by=TENANT_KEY)))

    assert (again["status"], again["incarnation"]) == ("lapsed", 2)
    assert (await stage.types()).count("AgentReregistered") == 1
