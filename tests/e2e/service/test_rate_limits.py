"""Rate limits and quotas apply to each caller and tenant, over HTTP and NATS together."""

import httpx2

from quorate.bus.flood_guard import BURST_MIN
from quorate.client import Agent as SdkAgent
from tests.e2e.service.http_clients import AGENT, Agent, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until

RATE, BURST = 5, 20
SETTINGS_BYTES = 100
SERVE = (
    *("--rate-per-key", str(RATE), "--burst-per-key", str(BURST)),
    *("--quota-live-leases", "3", "--quota-live-leases-per-agent", "2"),
    *("--quota-settings-bytes", str(SETTINGS_BYTES)),
)
FLOOD = 10 * int(BURST_MIN)
TRIES_MAX = 3 * BURST
ATTEMPTS = 10
CONTACT = "user{}@example.com"


async def test_rate_limit_rejects_reads_before_commands_and_heartbeats(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")

    async def send_until_rejected(method: str, path: str, body: object = None) -> httpx2.Response:
        for _ in range(TRIES_MAX):
            response = await ann.request(method, path, body)
            if response.status_code != 200:
                return response
        raise AssertionError("no request was rejected")

    read = await send_until_rejected("GET", f"{AGENT}/agents/{ann.id}")
    command = await send_until_rejected("PUT", f"{AGENT}/agents/{ann.id}/config", {"config": {}})

    for refused in (read, command):
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (429, "rate_limited")
        assert problem["limitedBy"] == "key"
        assert 0 < problem["retryAfterSeconds"] <= int(refused.headers["retry-after"])
    await ann.heartbeat(ann.id)
    await bob.heartbeat(bob.id)


async def test_rate_limit_is_shared_by_http_and_nats(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    nats_agent = await NatsAgent.of(ann)
    for _ in range(ATTEMPTS):  # On a slow machine, a permit may be added between two requests.
        for _ in range(TRIES_MAX):
            over_nats = await nats_agent.request("getAgent", {"agentId": ann.id})
            if over_nats.status == 429:
                break
        over_http = await ann.request("GET", f"{AGENT}/agents/{ann.id}")
        if over_http.status_code == 429:
            break

    assert (over_nats.status, over_nats.code) == (429, "rate_limited")
    assert int(over_nats.headers["retry-after"]) >= 1
    assert over_http.status_code == 429  # Fewer requests than the burst were sent over HTTP.
    assert (await nats_agent.request("heartbeat", {"agentId": ann.id})).status == 200


async def test_agent_that_floods_nats_is_disconnected_and_others_are_served(
    tenant: Tenant, other: Tenant
) -> None:
    ann, bob = await tenant.create_agent("ann"), await other.create_agent("bob")
    flooding, quiet = await NatsAgent.of(ann), await NatsAgent.of(bob)
    service = ann.operator.service

    for _ in range(FLOOD):
        if not flooding.client.is_connected:
            break
        await flooding.client.publish(flooding.subject("heartbeat"), b"{}")
    assert (await quiet.request("heartbeat", {"agentId": bob.id})).status == 200

    await wait_until(lambda: bool(service.log_entries("nats.client_disconnected")))
    found = service.log_entries("nats.client_disconnected")
    assert [(one["reason"], one["key_id"], one["tenant"]) for one in found] == [
        ("flood", ann.issued.id, tenant.id)
    ]
    assert (await quiet.request("heartbeat", {"agentId": bob.id})).status == 200


async def test_caller_that_waits_for_retry_after_is_accepted(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    service = ann.operator.service
    async with SdkAgent.connect(service.url, ann.text, name=ann.name) as agent:
        for _ in range(BURST):  # Reads may use only a part of the bucket.
            assert await agent.get_config() is not None


async def test_tenant_quota_is_enforced(tenant: Tenant, other: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    held = [await ann.lease(ann.id, CONTACT.format(number)) for number in range(2)]
    held.append(await bob.lease(bob.id, CONTACT.format(2)))

    refused = await bob.acquire(bob.id, CONTACT.format(3))
    over_nats = await (await NatsAgent.of(bob)).request(
        "acquireLease", {"contactEmail": CONTACT.format(3)}
    )

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (429, "quota_exceeded")
    assert (problem["quota"], problem["limit"]) == ("live_leases", 3)
    assert (over_nats.status, over_nats.code) == (429, "quota_exceeded")
    assert (await ann.acquire(ann.id, CONTACT.format(0))).status_code == 200
    foreign = await other.create_agent("ann")
    await foreign.lease(foreign.id, CONTACT.format(3))

    await ann.release(held[0]["id"])
    await bob.lease(bob.id, CONTACT.format(3))


async def test_agent_quota_is_enforced_per_agent(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    for number in range(2):
        await ann.lease(ann.id, CONTACT.format(number))

    by_agent = await ann.acquire(ann.id, CONTACT.format(2))
    by_tenant = await tenant.acquire(ann.id, CONTACT.format(2))

    for refused in (by_agent, by_tenant):
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (429, "quota_exceeded")
        assert (problem["quota"], problem["limit"]) == ("live_leases_per_agent", 2)
    bob = await tenant.create_agent("bob")
    await bob.lease(bob.id, CONTACT.format(2))


async def test_settings_quota_is_enforced(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")

    async def configure(agent: Agent, style: str) -> httpx2.Response:
        body = {"humanizer_style": style}
        return await agent.request("PUT", f"{AGENT}/agents/{agent.id}/config", body)

    assert (await configure(ann, "x" * (SETTINGS_BYTES // 2))).status_code == 200
    refused = await configure(bob, "x" * (SETTINGS_BYTES // 2))

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (429, "quota_exceeded")
    assert (problem["quota"], problem["limit"]) == ("settings_bytes", SETTINGS_BYTES)
    assert (await configure(ann, "plain")).status_code == 200
    assert (await configure(bob, "x" * (SETTINGS_BYTES // 2))).status_code == 200
