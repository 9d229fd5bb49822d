"""A repeated request gets no right that is over: over HTTP and NATS, with the fast lanes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import pytest

from tests.e2e.service.http_clients import LEASE, Agent, Tenant
from tests.e2e.service.nats_agent import NatsAgent

CONTACT = "user@example.com"
KEY = {"Idempotency-Key": "once"}
PATHS = {
    "acquireLease": LEASE,
    "requestSend": "/v1/agent/request-send",
    "register": "/v1/agent/register",
}

Answer: TypeAlias = tuple[int, Mapping[str, Any], bool]  # Status, body, and whether it is replayed.
Ask: TypeAlias = Callable[..., Awaitable[Answer]]
WAYS = ["http", "nats"]


async def way_of(name: str, agent: Agent) -> Ask:
    async def over_http(operation: str, **fields: object) -> Answer:
        path = PATHS.get(operation) or f"{LEASE}/{fields.pop('leaseId')}/renew"
        response = await agent.request("POST", path, fields, headers=KEY)
        return response.status_code, response.json(), "idempotent-replayed" in response.headers

    over_nats = await NatsAgent.of(agent) if name == "nats" else None

    async def over_the_bus(operation: str, **fields: object) -> Answer:
        assert over_nats is not None
        response = await over_nats.request(operation, dict(fields), headers=KEY)
        return response.status, response.json(), "idempotent-replayed" in response.headers

    return over_http if over_nats is None else over_the_bus


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
async def test_repeated_authorization_becomes_a_block(
    first: str, second: str, tenant: Tenant
) -> None:
    agent, rival = await tenant.create_agents("ann", "bob")
    lease = await agent.lease(agent.id, CONTACT)
    fields = {"contactEmail": CONTACT, "fence": lease["fence"]}
    one, two = await way_of(first, agent), await way_of(second, agent)

    _, granted, _ = await one("requestSend", **fields)
    _, again, replayed = await two("requestSend", **fields)
    assert (granted["status"], replayed) == ("authorized", True)
    assert again == granted
    await agent.release(lease["id"])
    following = await rival.lease(rival.id, CONTACT)
    await rival.request_send(rival.id, CONTACT, fence=following["fence"])

    status, blocked, replayed = await two("requestSend", **fields)
    assert (status, blocked["status"], blocked["reason"]) == (200, "blocked", "lease_conflict")
    assert (blocked["leaseHolder"]["agentName"], replayed) == ("bob", False)
    assert await one("requestSend", **fields) == (200, blocked, True)
    assert len(await tenant.events("SendBlocked")) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_repeated_acquisition_does_not_return_a_lease_that_is_over(
    way: str, tenant: Tenant
) -> None:
    agent = await tenant.create_agent("ann")
    ask = await way_of(way, agent)
    fields = {"contactEmail": CONTACT}

    _, granted, _ = await ask("acquireLease", **fields)
    assert await ask("acquireLease", **fields) == (200, granted, True)
    await agent.release(granted["id"])
    status, problem, replayed = await ask("acquireLease", **fields)

    assert (status, problem["code"], replayed) == (409, "lease_ended", True)
    assert (problem["leaseId"], problem["leaseStatus"]) == (granted["id"], "released")
    assert len(await tenant.events("LeaseAcquired")) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_repeated_renewal_does_not_return_a_lease_that_is_over(
    way: str, tenant: Tenant
) -> None:
    agent = await tenant.create_agent("ann")
    ask = await way_of(way, agent)
    lease = await agent.lease(agent.id, CONTACT)
    fields = {"leaseId": lease["id"], "durationMinutes": 60}

    _, renewed, _ = await ask("renewLease", **fields)
    assert await ask("renewLease", **fields) == (200, renewed, True)
    await agent.release(lease["id"])
    status, problem, _ = await ask("renewLease", **fields)

    assert (status, problem["code"], problem["leaseStatus"]) == (409, "lease_ended", "released")


@pytest.mark.parametrize("way", WAYS)
async def test_holders_of_one_agent_exclude_each_other(way: str, tenant: Tenant) -> None:
    agent = await tenant.create_agent("ann")
    lease = await agent.lease(agent.id, CONTACT, holder="first", intent="sales")
    ask = await way_of(way, agent)

    status, problem, _ = await ask("acquireLease", contactEmail=CONTACT, holder="second")
    assert (status, problem["code"], problem["willNotify"]) == (409, "lease_conflict", True)
    assert problem["leaseHolder"] == {
        "agentId": agent.id,
        "agentName": "ann",
        "expiresAt": lease["expiresAt"],
        "holder": "first",
    }
    renewed = await agent.lease(agent.id, CONTACT, holder="first")
    assert [renewed[name] for name in ("id", "fence", "intent")] == [
        lease[name] for name in ("id", "fence", "intent")
    ]
    status, problem, _ = await ask("renewLease", leaseId=lease["id"], holder="second")
    assert (status, problem["code"]) == (409, "lease_conflict")


async def test_later_registration_gets_a_new_fence_and_the_gate_blocks_the_old_one(
    tenant: Tenant,
) -> None:
    agent = await tenant.create_agent("ann")
    lease = await agent.lease(agent.id, CONTACT)
    await agent.request("POST", PATHS["register"], {})
    following = await agent.lease(agent.id, CONTACT)
    old = await agent.request_send(agent.id, CONTACT, fence=lease["fence"])
    new = await agent.request_send(agent.id, CONTACT, fence=following["fence"])

    assert following["fence"] > lease["fence"]
    assert (old["status"], old["reason"]) == ("blocked", "stale_fence")
    assert new["status"] == "authorized"
    (revoked,) = await tenant.events("LeaseRevoked")
    assert (revoked["data"]["leaseId"], revoked["data"]["reason"]) == (lease["id"], "superseded")
