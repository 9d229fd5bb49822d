"""An idempotency key identifies one command of an agent, over both transports."""

from collections.abc import Mapping

import pytest

from quorate.api.registry import NATS_OPERATIONS
from quorate.contracts.operations import AnyOperation
from tests.e2e.service.http_clients import LEASE, Agent, Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.service_process import Json
from tests.e2e.service.tenant_data import TenantData, create_tenant_data
from tests.e2e.service.two_tenants import (
    EndpointRequest,
)

CONTACT = "user@example.com"
# These record nothing here: a heartbeat and a renewal at once after another, a mark that is set
# already, and a claim where no task is offered.
UNCHANGED = {"heartbeat", "markMessageUnread", "claimTask", "renewTask"}
# Bodies that change something, where those of the isolation tests do not.
CHANGING: Mapping[str, Json] = {
    "sessionsDelete": {"key": "session:plan"},
    "sessionState": {"operation": "set", "namespace": "plan", "key": "step", "value": 1},
    "taskList": {"action": "create", "subject": "Write it"},
}
COMMANDS = [endpoint for endpoint in NATS_OPERATIONS if endpoint.command]


async def events_of(data: TenantData) -> list[Json]:
    """Return the log without what the service records later: a deleted session has no bodies."""
    return [one for one in await data.tenant.events() if one["type"] != "SessionErased"]


def request_of(endpoint: AnyOperation, data: TenantData) -> EndpointRequest:
    request = EndpointRequest.of(endpoint, data)
    body = CHANGING.get(endpoint.name, request.body)
    return EndpointRequest(endpoint=endpoint, path=request.path, body=body, query=request.query)


def named(endpoint: AnyOperation) -> str:
    return endpoint.name


@pytest.mark.parametrize("http_first", [True, False], ids=["http_first", "nats_first"])
@pytest.mark.parametrize("endpoint", COMMANDS, ids=named)
async def test_idempotency_key_applies_across_transports(
    endpoint: AnyOperation, http_first: bool, operator: Operator
) -> None:
    data = await create_tenant_data(operator)
    endpoint_request, nats_agent = request_of(endpoint, data), await NatsAgent.of(data.agent)
    await data.agent.request_ok("POST", "/v1/tools/sessions_create", {"key": "session:plan"})
    headers = {"Idempotency-Key": "once"}

    async def over_http() -> tuple[bytes, bool]:
        response = await endpoint_request.send_as(data.agent, headers)
        assert response.status == 200
        return response.body, ("idempotent-replayed", "true") in response.headers

    async def over_nats() -> tuple[bytes, bool]:
        response = await nats_agent.request(
            endpoint.name, endpoint_request.message(), headers=headers
        )
        assert response.status == 200
        return response.content, response.headers.get("idempotent-replayed") == "true"

    first, second = (over_http, over_nats) if http_first else (over_nats, over_http)
    before = await events_of(data)
    body, replayed = await first()
    events = await events_of(data)

    assert not replayed
    if events == before:  # Such a response is not kept.
        assert endpoint.name in UNCHANGED, "another command recorded nothing"
        return
    assert await second() == (body, True)
    assert await first() == (body, True)
    assert await events_of(data) == events


async def test_rejection_is_replayed(tenant: Tenant) -> None:
    holder, rival = await tenant.create_agents("ann", "bob")
    lease = await holder.lease(holder.id, CONTACT)
    bob = await NatsAgent.of(rival)
    fields = {"contactEmail": CONTACT, "idempotencyKey": "once"}
    first = await bob.request("acquireLease", fields)
    await holder.release(lease["id"])

    again = await bob.request("acquireLease", fields)
    over_http = await rival.request(
        "POST", LEASE, {"contactEmail": CONTACT}, headers={"Idempotency-Key": "once"}
    )

    assert (first.code, again.code) == ("lease_conflict", "lease_conflict")
    assert again.json()["leaseHolder"] == first.json()["leaseHolder"]
    assert again.headers["idempotent-replayed"] == "true"
    assert over_http.headers["idempotent-replayed"] == "true"
    assert over_http.status_code == 409


async def test_key_in_the_message_equals_key_in_the_header(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))
    fields = {"contactEmail": CONTACT}
    named = {"idempotency-KEY": "k"}  # Header names are case-insensitive.

    first = await ann.request("acquireLease", fields, headers=named)
    second = await ann.request("acquireLease", {**fields, "idempotencyKey": "k"})
    both = await ann.request("acquireLease", {**fields, "idempotencyKey": "k"}, headers=named)
    other = await ann.request("acquireLease", {**fields, "intent": "x", "idempotencyKey": "k"})

    assert first.content == second.content == both.content
    assert "idempotent-replayed" not in first.headers
    assert both.headers["idempotent-replayed"] == "true"
    assert (other.status, other.code) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "é", "x" * 256, "a\tb", 1, True, ["k"], {"k": 1}], ids=repr)
async def test_invalid_idempotency_key_is_rejected(tenant: Tenant, key: object) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))

    assert await ann.request_rejected("heartbeat", idempotencyKey=key) == "idempotency_key_invalid"


async def test_different_keys_in_header_and_message_are_rejected(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))

    response = await ann.request(
        "heartbeat", {"idempotencyKey": "a"}, headers={"Idempotency-Key": "b"}
    )

    assert response.code == "idempotency_key_invalid"


async def test_query_accepts_no_idempotency_key(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))

    assert await ann.request_rejected("listLeases", idempotencyKey="k") == "invalid_request"


async def test_idempotency_keys_are_separate_per_agent(tenant: Tenant) -> None:
    for agent in await tenant.create_agents("ann", "bob"):
        response = await (await NatsAgent.of(agent)).request(
            "acquireLease", {"contactEmail": f"{agent.name}@x.de", "idempotencyKey": "k"}
        )
        assert response.json()["agentId"] == agent.id


async def test_other_api_key_of_the_same_agent_gets_the_replay(tenant: Tenant) -> None:
    """A command sent with the old API key is replayed for the new one."""
    agent = await tenant.create_agent("ann")
    renewed = Agent(tenant.operator, await tenant.issue("agent", "ann"))
    fields = {"contactEmail": CONTACT, "idempotencyKey": "k"}

    first = await (await NatsAgent.of(agent)).request("acquireLease", fields)
    second = await (await NatsAgent.of(renewed)).request("acquireLease", fields)

    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"
