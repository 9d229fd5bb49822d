"""What will be tried on a service that several tenants share, and what comes of it: nothing."""

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
    refusal,
    success,
)
from tests.e2e.service.raw_socket import hang_up_after, post
from tests.e2e.service.service_process import Json

LEASES = f"{COORDINATION}/leases"
CONTACT = "user@example.com"
HANG_UPS = 100
SEQUENCE_MAX = 2**53 - 1


# -- Naming another tenant ---------------------------------------------------


async def test_the_tenant_of_another_is_refused_in_body_and_query(
    tenant: Tenant, other: Tenant
) -> None:
    body = {"agentName": "ann", "tenantId": other.id}

    in_body = refusal(await tenant.ask("POST", f"{AGENT}/register", body))
    in_query = refusal(await tenant.ask("GET", LEASES, query={"tenantId": other.id}))
    unknown = refusal(await tenant.ask("GET", LEASES, query={"tenantId": "nobody-is-called-so"}))

    assert in_body["status"] == in_query["status"] == 403
    assert in_body["code"] == in_query["code"] == "tenant_forbidden"
    assert in_query | {"requestId": ""} == unknown | {"requestId": ""}, "it is told from no tenant"
    assert await other.listed(f"{AGENT}/agents") == []


@pytest.mark.parametrize("own_first", [True, False])
async def test_two_different_tenants_in_one_request_are_refused(
    tenant: Tenant, other: Tenant, own_first: bool
) -> None:
    ann = await tenant.agent_of("ann")
    in_query, in_body = (tenant.id, other.id) if own_first else (other.id, tenant.id)
    head = await tenant.head()
    for method, path, body in (
        ("PUT", f"{AGENT}/agents/{ann.id}/config", {"humanizer_enabled": True}),
        ("POST", LEASE, {"agentName": "ann", "contactEmail": CONTACT}),
        ("POST", f"{AGENT}/register", {"agentName": "bob"}),
    ):
        sent: Json = {**body, "tenantId": in_body}
        response = await tenant.ask(method, path, sent, query={"tenantId": in_query})
        problem = refusal(response)

        assert (problem["status"], problem["code"]) == (400, "tenant_ambiguous"), path
    assert await tenant.head() == head


async def test_a_key_that_stands_twice_in_a_body_is_refused(tenant: Tenant, other: Tenant) -> None:
    for first, second in ((tenant.id, other.id), (other.id, tenant.id), (tenant.id, tenant.id)):
        body = f'{{"tenantId": "{first}", "agentName": "ann", "tenantId": "{second}"}}'

        problem = refusal(await tenant.ask("POST", f"{AGENT}/register", content=body))

        assert (problem["status"], problem["code"]) == (400, "malformed_request")
    escaped = f'{{"tenantId": "{tenant.id}", "agentName": "ann", "tenant\\u0049d": "{other.id}"}}'
    assert refusal(await tenant.ask("POST", f"{AGENT}/register", content=escaped))["status"] == 400
    assert await other.listed(f"{AGENT}/agents") == await tenant.listed(f"{AGENT}/agents") == []


async def test_a_tenant_that_stands_twice_in_a_query_is_refused(
    tenant: Tenant, other: Tenant
) -> None:
    for second in (tenant.id, other.id):
        path = f"{LEASES}?tenantId={tenant.id}&tenantId={second}"

        problem = refusal(await tenant.ask("GET", path))

        assert (problem["status"], problem["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    "wanted",
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
async def test_a_tenants_id_is_a_plain_word(operator: Operator, wanted: str) -> None:
    refused = await operator.ask("POST", "/v1/tenants", {"tenantId": wanted})

    assert refusal(refused)["status"] == 422


async def test_a_tenants_id_matches_exactly_or_not_at_all(operator: Operator) -> None:
    lower = await operator.tenant("sametenant")
    upper = await operator.tenant("SAMETENANT")
    await lower.agent_of("ann")

    for spelled in (upper.id, "SameTenant", "sametenant ", " sametenant", "sametenant%00", "sam*"):
        response = await lower.ask("GET", LEASES, query={"tenantId": spelled})
        assert refusal(response)["status"] in {403, 422}, spelled
    assert await upper.listed(f"{AGENT}/agents") == []
    again = await operator.ask("POST", "/v1/tenants", {"tenantId": lower.id})
    assert refusal(again)["code"] == "tenant_exists"


@pytest.mark.parametrize("spelled", ["..%2f", "%2e%2e%2f", "%00", "*", "..;/", "%252e%252e%252f"])
async def test_a_path_cannot_climb_out_of_the_tenant(
    tenant: Tenant, other: Tenant, spelled: str
) -> None:
    ann = await other.agent_of("ann")

    response = await tenant.ask("GET", f"{AGENT}/agents/{spelled}{ann.id}")

    assert refusal(response)["status"] in {400, 404}
    assert ann.name not in response.text


# -- Naming another tenant's things ------------------------------------------


async def test_releasing_a_lease_of_another_tenant_leaves_it_as_it_is(
    tenant: Tenant, other: Tenant
) -> None:
    ann = await other.agent_of("ann")
    lease = await ann.lease(ann.id, CONTACT)
    path = f"{LEASE}/{lease['id']}"

    refused = [
        await tenant.ask("DELETE", path, query={"tenantId": tenant.id}),
        await tenant.ask("POST", f"{path}/renew", {"durationMinutes": 60}),
        await tenant.ask("GET", path),
    ]

    assert [refusal(response)["code"] for response in refused] == ["lease_not_found"] * 3
    assert await other.leases() == [lease]


async def test_the_cursor_of_another_tenant_shows_ones_own_only(
    tenant: Tenant, other: Tenant
) -> None:
    bob = await other.agent_of("bob")
    for number in range(5):
        await bob.lease(bob.id, f"{number}@example.com")
    theirs = await other.events()
    own = await tenant.events()

    for after in (0, 1, len(own), len(theirs), len(theirs) - 1, SEQUENCE_MAX):
        page = success(await tenant.ask("GET", EVENTS, query={"after": str(after)}))
        assert page["events"] == own[after:]
        assert page["head"] == len(own)
    for cursor in (bob.id, theirs[-1]["id"], "-1", "1e3", "0x1", "1 OR 1=1", str(2**63), "\u0661"):
        refused = await tenant.ask("GET", EVENTS, query={"after": cursor})
        assert refusal(refused)["status"] == 422, cursor
    by_agent = success(await tenant.ask("GET", EVENTS, query={"agentId": bob.id}))
    assert by_agent["events"] == []


async def test_lists_go_on_after_an_id_of_another_tenant_without_showing_it(
    tenant: Tenant, other: Tenant
) -> None:
    ann, bob = await tenant.agent_of("ann"), await other.agent_of("bob")
    mine = await ann.lease(ann.id, CONTACT)
    theirs = await bob.lease(bob.id, CONTACT)

    for after in (theirs["id"], bob.id, "", "%", "_", "'"):
        for path in (LEASES, f"{AGENT}/agents", f"{COORDINATION}/consensus"):
            found = await tenant.listed(path, after=after)
            assert {one["id"] for one in found} <= {mine["id"], ann.id}


async def test_one_contact_is_leased_in_two_tenants_without_a_conflict(
    tenant: Tenant, other: Tenant
) -> None:
    ann, bob = await tenant.agent_of("ann"), await other.agent_of("bob")

    leases = [await agent.lease(agent.id, CONTACT) for agent in (ann, bob)]

    assert {lease["tenantId"] for lease in leases} == {tenant.id, other.id}
    assert await tenant.events("LeaseConflicted") == await other.events("LeaseConflicted") == []
    await ann.release(leases[0]["id"])
    assert await other.leases() == [leases[1]]


# -- What anybody may see ----------------------------------------------------


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/docs", "/metrics"])
async def test_what_needs_no_key_names_no_tenant_and_no_agent(tenant: Tenant, path: str) -> None:
    ann = await tenant.agent_of("ann-of-the-secret-name")
    await ann.lease(ann.id, CONTACT)

    text = (await Caller(tenant.line, None).ask("GET", path)).text

    for name in (tenant.id, ann.id, ann.name, tenant.issued.id, tenant.issued.text):
        assert name not in text


async def test_a_problem_does_not_repeat_what_was_sent(tenant: Tenant) -> None:
    secret = "this-is-somebodys-secret"
    sent: list[Callable[[], Json]] = [
        lambda: {"agentName": secret + " not a name"},
        lambda: {"agentName": "ann", "agentRole": secret * 100},
        lambda: {"agentName": "ann", "tenantId": secret},
    ]
    for body in sent:
        response = await tenant.ask("POST", f"{AGENT}/register", body())
        refusal(response)
        assert secret not in response.text


# -- Going away in the middle ------------------------------------------------


async def test_who_hangs_up_leaves_nothing_half_done_and_nothing_to_others(
    tenant: Tenant, other: Tenant
) -> None:
    """Of requests whose callers are gone each is done or not; nobody else joins or hears them."""
    ann, bob = await tenant.agent_of("ann"), await other.agent_of("bob")
    contacts = [f"user{number}@example.com" for number in range(HANG_UPS)]
    bodies = [json.dumps({"agentId": ann.id, "contactEmail": one}).encode() for one in contacts]
    requests = [post(LEASE, ann.issued.text, body) for body in bodies]

    hanging_up = asyncio.gather(*(hang_up_after(tenant.line.service, one) for one in requests))
    leases = await asyncio.gather(*(bob.lease(bob.id, contact) for contact in contacts))
    await hanging_up

    assert [lease["contactEmail"] for lease in leases] == contacts
    assert {lease["agentId"] for lease in leases} == {bob.id}
    log = await other.events()
    assert {event["actor"] for event in log[-HANG_UPS:]} == {bob.id}
    assert [event["sequence"] for event in log] == list(range(1, len(log) + 1))
    held = await tenant.leases(limit="1000")
    granted = await tenant.events("LeaseAcquired")
    assert {lease["fence"] for lease in held} == {event["sequence"] for event in granted}
    assert (await ann.lease(ann.id, "after@example.com"))["agentId"] == ann.id
