"""Attacks across tenants of a shared service have no effect."""

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.e2e.service.http_clients import (
    AGENT,
    COORDINATION,
    EVENTS,
    LEASE,
    Caller,
    Operator,
    Tenant,
    rejection,
    success,
)
from tests.e2e.service.raw_socket import post, send_and_disconnect
from tests.e2e.service.service_process import Json

LEASES = f"{COORDINATION}/leases"
CONTACT = "user@example.com"
DISCONNECTIONS = 100
SEQUENCE_MAX = 2**53 - 1


# -- Tenant ids of other tenants ---------------------------------------------


async def test_tenant_id_of_another_tenant_is_rejected(tenant: Tenant, other: Tenant) -> None:
    body = {"agentName": "ann", "tenantId": other.id}

    in_body = rejection(await tenant.request("POST", f"{AGENT}/register", body))
    in_query = rejection(await tenant.request("GET", LEASES, query={"tenantId": other.id}))
    unknown = rejection(await tenant.request("GET", LEASES, query={"tenantId": "unknown-tenant"}))

    assert in_body["status"] == in_query["status"] == 403
    assert in_body["code"] == in_query["code"] == "tenant_forbidden"
    assert in_query | {"requestId": ""} == unknown | {"requestId": ""}, (
        "an existing tenant looks unknown"
    )
    assert await other.request_list(f"{AGENT}/agents") == []


@pytest.mark.parametrize("own_first", [True, False])
async def test_different_tenants_in_one_request_are_rejected(
    tenant: Tenant, other: Tenant, own_first: bool
) -> None:
    ann = await tenant.create_agent("ann")
    in_query, in_body = (tenant.id, other.id) if own_first else (other.id, tenant.id)
    head = await tenant.head()
    for method, path, body in (
        ("PUT", f"{AGENT}/agents/{ann.id}/config", {"humanizer_enabled": True}),
        ("POST", LEASE, {"agentName": "ann", "contactEmail": CONTACT}),
        ("POST", f"{AGENT}/register", {"agentName": "bob"}),
    ):
        sent: Json = {**body, "tenantId": in_body}
        response = await tenant.request(method, path, sent, query={"tenantId": in_query})
        problem = rejection(response)

        assert (problem["status"], problem["code"]) == (400, "tenant_ambiguous"), path
    assert await tenant.head() == head


async def test_duplicate_key_in_a_body_is_rejected(tenant: Tenant, other: Tenant) -> None:
    for first, second in ((tenant.id, other.id), (other.id, tenant.id), (tenant.id, tenant.id)):
        body = f'{{"tenantId": "{first}", "agentName": "ann", "tenantId": "{second}"}}'

        problem = rejection(await tenant.request("POST", f"{AGENT}/register", content=body))

        assert (problem["status"], problem["code"]) == (400, "malformed_request")
    escaped = f'{{"tenantId": "{tenant.id}", "agentName": "ann", "tenant\\u0049d": "{other.id}"}}'
    assert (
        rejection(await tenant.request("POST", f"{AGENT}/register", content=escaped))["status"]
        == 400
    )
    assert (
        await other.request_list(f"{AGENT}/agents")
        == await tenant.request_list(f"{AGENT}/agents")
        == []
    )


async def test_duplicate_tenant_in_a_query_is_rejected(tenant: Tenant, other: Tenant) -> None:
    for second in (tenant.id, other.id):
        path = f"{LEASES}?tenantId={tenant.id}&tenantId={second}"

        problem = rejection(await tenant.request("GET", path))

        assert (problem["status"], problem["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    "tenant_id",
    [
        "*",
        ">",
        "a.b",
        "../x",
        "%2e%2e",
        "a b",
        "a\n",
        "",
        "x" * 65,
        "é",
        "a/b",
        "a\u0000",
        ".",
        "~",
    ],
)
async def test_invalid_tenant_id_is_rejected(operator: Operator, tenant_id: str) -> None:
    refused = await operator.request("POST", "/v1/tenants", {"tenantId": tenant_id})

    assert rejection(refused)["status"] == 422


async def test_tenant_id_must_match_exactly(operator: Operator) -> None:
    lower = await operator.create_tenant("sametenant")
    upper = await operator.create_tenant("SAMETENANT")
    await lower.create_agent("ann")

    for spelled in (upper.id, "SameTenant", "sametenant ", " sametenant", "sametenant%00", "sam*"):
        response = await lower.request("GET", LEASES, query={"tenantId": spelled})
        assert rejection(response)["status"] in {403, 422}, spelled
    assert await upper.request_list(f"{AGENT}/agents") == []
    again = await operator.request("POST", "/v1/tenants", {"tenantId": lower.id})
    assert rejection(again)["code"] == "tenant_exists"


@pytest.mark.parametrize("spelled", ["..%2f", "%2e%2e%2f", "%00", "*", "..;/", "%252e%252e%252f"])
async def test_path_traversal_does_not_leave_the_tenant(
    tenant: Tenant, other: Tenant, spelled: str
) -> None:
    ann = await other.create_agent("ann")

    response = await tenant.request("GET", f"{AGENT}/agents/{spelled}{ann.id}")

    assert rejection(response)["status"] in {400, 404}
    assert ann.name not in response.text


# -- Resources of other tenants ----------------------------------------------


async def test_release_of_another_tenants_lease_has_no_effect(
    tenant: Tenant, other: Tenant
) -> None:
    ann = await other.create_agent("ann")
    lease = await ann.lease(ann.id, CONTACT)
    path = f"{LEASE}/{lease['id']}"

    refused = [
        await tenant.request("DELETE", path, query={"tenantId": tenant.id}),
        await tenant.request("POST", f"{path}/renew", {"durationMinutes": 60}),
        await tenant.request("GET", path),
    ]

    assert [rejection(response)["code"] for response in refused] == ["lease_not_found"] * 3
    assert await other.leases() == [lease]


async def test_cursor_of_another_tenant_returns_own_entries_only(
    tenant: Tenant, other: Tenant
) -> None:
    bob = await other.create_agent("bob")
    for number in range(5):
        await bob.lease(bob.id, f"{number}@example.com")
    theirs = await other.events()
    own = await tenant.events()

    for after in (0, 1, len(own), len(theirs), len(theirs) - 1, SEQUENCE_MAX):
        response = await tenant.request("GET", EVENTS, query={"after": str(after)})
        if after > len(own):
            refused_page = rejection(response)
            assert (refused_page["code"], refused_page["head"]) == ("log_mismatch", len(own))
            continue
        page = success(response)
        assert page["events"] == own[after:]
        assert page["head"] == len(own)
    for cursor in (bob.id, theirs[-1]["id"], "-1", "1e3", "0x1", "1 OR 1=1", str(2**63), "\u0661"):
        refused = await tenant.request("GET", EVENTS, query={"after": cursor})
        assert rejection(refused)["status"] == 422, cursor
    by_agent = success(await tenant.request("GET", EVENTS, query={"agentId": bob.id}))
    assert by_agent["events"] == []


async def test_list_after_an_id_of_another_tenant_does_not_reveal_it(
    tenant: Tenant, other: Tenant
) -> None:
    ann, bob = await tenant.create_agent("ann"), await other.create_agent("bob")
    mine = await ann.lease(ann.id, CONTACT)
    theirs = await bob.lease(bob.id, CONTACT)

    for after in (theirs["id"], bob.id, "", "%", "_", "'"):
        for path in (LEASES, f"{AGENT}/agents", f"{COORDINATION}/consensus"):
            found = await tenant.request_list(path, after=after)
            assert {one["id"] for one in found} <= {mine["id"], ann.id}


async def test_same_contact_in_two_tenants_is_no_conflict(tenant: Tenant, other: Tenant) -> None:
    ann, bob = await tenant.create_agent("ann"), await other.create_agent("bob")

    leases = [await agent.lease(agent.id, CONTACT) for agent in (ann, bob)]

    assert {lease["tenantId"] for lease in leases} == {tenant.id, other.id}
    assert await tenant.events("LeaseConflicted") == await other.events("LeaseConflicted") == []
    await ann.release(leases[0]["id"])
    assert await other.leases() == [leases[1]]


# -- Public information ------------------------------------------------------


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/docs", "/metrics"])
async def test_public_endpoint_names_no_tenant_or_agent(tenant: Tenant, path: str) -> None:
    ann = await tenant.create_agent("ann-of-the-secret-name")
    await ann.lease(ann.id, CONTACT)

    text = (await Caller(tenant.connection, None).request("GET", path)).text

    for name in (tenant.id, ann.id, ann.name, tenant.issued.id, tenant.issued.text):
        assert name not in text


async def test_problem_does_not_repeat_the_request(tenant: Tenant) -> None:
    secret = "this-is-a-secret"
    sent: list[Callable[[], Json]] = [
        lambda: {"agentName": secret + " not a name"},
        lambda: {"agentName": "ann", "agentRole": secret * 100},
        lambda: {"agentName": "ann", "tenantId": secret},
    ]
    for body in sent:
        response = await tenant.request("POST", f"{AGENT}/register", body())
        rejection(response)
        assert secret not in response.text


# -- Disconnected clients ----------------------------------------------------


async def test_disconnected_client_leaves_no_partial_state(tenant: Tenant, other: Tenant) -> None:
    """Each request of a disconnected client executes completely or not at all.

    Other tenants are not affected.
    """
    ann, bob = await tenant.create_agent("ann"), await other.create_agent("bob")
    contacts = [f"user{number}@example.com" for number in range(DISCONNECTIONS)]
    bodies = [json.dumps({"agentId": ann.id, "contactEmail": one}).encode() for one in contacts]
    requests = [post(LEASE, ann.issued.text, body) for body in bodies]

    disconnecting = asyncio.gather(
        *(send_and_disconnect(tenant.connection.service, one) for one in requests)
    )
    leases = await asyncio.gather(*(bob.lease(bob.id, contact) for contact in contacts))
    await disconnecting

    assert [lease["contactEmail"] for lease in leases] == contacts
    assert {lease["agentId"] for lease in leases} == {bob.id}
    log = await other.events()
    assert {event["actor"] for event in log[-DISCONNECTIONS:]} == {bob.id}
    assert [event["sequence"] for event in log] == list(range(1, len(log) + 1))
    held = await tenant.leases(limit="1000")
    granted = await tenant.events("LeaseAcquired")
    assert {lease["fence"] for lease in held} == {event["sequence"] for event in granted}
    assert (await ann.lease(ann.id, "after@example.com"))["agentId"] == ann.id
