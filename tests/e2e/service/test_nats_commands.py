"""Commands over NATS get the same responses as over HTTP, for valid and invalid requests."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from quorate.api.registry import NATS_OPERATIONS
from quorate.api.routes import ENDPOINTS
from quorate.contracts.operations import AnyOperation
from tests.e2e.service.http_clients import LEASE, Agent, Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json
from tests.e2e.service.tenant_data import TenantData, create_tenant_data
from tests.e2e.service.test_tenant_isolation import identifying_fields
from tests.e2e.service.two_tenants import (
    SHARED_IN_BODIES,
    TENANT,
    UNKNOWN_VALUES,
    EndpointRequest,
    fields,
    parameters,
)

SERVE = ()
CONTACT = "user@example.com"
ONE_SECOND = 1 / 60  # In minutes.
PAUSE_SECONDS = 1.0  # A sooner heartbeat is not recorded, with a timeout of 300 s.
RIVALS = 8
COMPARED = ("quorate-sequence", "idempotent-replayed", "link", "retry-after")
FROM_TEXT = re.compile(
    r", unable to (?:parse string as an? \w+|interpret input)"
)  # Over HTTP, numbers and booleans of a query are parsed from text.
VARYING = re.compile(
    r"tenant(?:\*\*)?-(?:\*\*)?\d+|agent_[0-9a-f-]{36}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT[0-9:.]+Z|(?:[a-z]+_|unknown-)?[0-9a-f]{32}"
)


def named(endpoint: AnyOperation) -> str:
    return endpoint.name


# -- Equivalence to HTTP -----------------------------------------------------


def unchanged(endpoint_request: EndpointRequest) -> Iterator[EndpointRequest]:
    yield endpoint_request


def with_unknown_field(endpoint_request: EndpointRequest) -> Iterator[EndpointRequest]:
    yield (
        endpoint_request.with_field("nonsense", "1")
        if endpoint_request.endpoint.body
        else endpoint_request.with_query("nonsense", "1")
    )


def for_another_tenant(endpoint_request: EndpointRequest) -> Iterator[EndpointRequest]:
    add = (
        endpoint_request.with_field
        if endpoint_request.endpoint.body
        else endpoint_request.with_query
    )
    yield add(TENANT, "another-tenant")
    yield add(TENANT, "*")


def with_unknown_ids(endpoint_request: EndpointRequest) -> Iterator[EndpointRequest]:
    for name in parameters(endpoint_request.endpoint):
        yield endpoint_request.with_path(name, UNKNOWN_VALUES[name]())
        yield endpoint_request.with_path(name, "x" * 100)
    for name in (
        identifying_fields(endpoint_request.endpoint, fields(endpoint_request.endpoint.body))
        - SHARED_IN_BODIES
    ):
        yield endpoint_request.with_field(name, UNKNOWN_VALUES[name]())
    for name in identifying_fields(
        endpoint_request.endpoint, fields(endpoint_request.endpoint.query)
    ):
        yield endpoint_request.with_query(name, UNKNOWN_VALUES[name]())


def with_invalid_values(endpoint_request: EndpointRequest) -> Iterator[EndpointRequest]:
    add = (
        endpoint_request.with_field
        if endpoint_request.endpoint.body
        else endpoint_request.with_query
    )
    for name in fields(endpoint_request.endpoint.body or endpoint_request.endpoint.query):
        yield add(name, "")
        yield add(name, "\u0001" * 5_000)


VARIANTS = (
    unchanged,
    with_unknown_field,
    for_another_tenant,
    with_unknown_ids,
    with_invalid_values,
)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
@pytest.mark.parametrize("endpoint", NATS_OPERATIONS, ids=named)
async def test_operation_gets_the_same_response_as_over_http(
    endpoint: AnyOperation,
    variant: Callable[[EndpointRequest], Iterator[EndpointRequest]],
    operator: Operator,
) -> None:
    """Compare two tenants with equal logs, one per transport; only ids and times may differ."""
    one, other = await create_tenant_data(operator), await create_tenant_data(operator)
    if endpoint.name == "searchMail":  # Messages are indexed a moment after the send.
        for side in (one, other):
            await wait_until(partial(finds_mail, endpoint, side))
    if endpoint.name == "heartbeat":
        await asyncio.sleep(PAUSE_SECONDS)
    nats_agent = await NatsAgent.of(other.agent)
    for over_http, over_nats in zip(
        variant(EndpointRequest.of(endpoint, one)),
        variant(EndpointRequest.of(endpoint, other)),
        strict=True,
    ):
        response = await over_http.send_as(one.agent)
        received = await nats_agent.request(
            endpoint.name, over_nats.message(), headers={"X-Request-Id": "the-same"}
        )

        headers = {name.lower(): value for name, value in response.headers}
        assert received.status == response.status
        assert mask(received.content, other) == mask(response.body, one)
        assert {name: received.headers.get(name) for name in COMPARED} == {
            name: headers.get(name) for name in COMPARED
        }
        assert received.code == (
            None if received.status == 200 else json.loads(response.body)["code"]
        )
    assert types_of(await one.tenant.events()) == types_of(await other.tenant.events())


async def finds_mail(endpoint: AnyOperation, side: TenantData) -> bool:
    response = await EndpointRequest.of(endpoint, side).send_as(side.agent)
    return bool(json.loads(response.body)["messages"])


def mask(content: bytes, side: TenantData) -> str:
    text = FROM_TEXT.sub("", content.decode().replace(side.tenant.id, "*"))
    return VARYING.sub("*", text)


def types_of(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def test_every_operation_of_an_agent_key_is_available() -> None:
    """The names are listed so that the removal of an operation fails this test."""
    assert {endpoint.name for endpoint in NATS_OPERATIONS} == {
        *("register", "heartbeat", "acquireLease", "renewLease", "releaseLease", "requestSend"),
        *("requestConsensus", "castVote", "putConfig", "getLease", "listLeases", "getConsensus"),
        *("listConsensus", "listVotes", "getConfig", "listAgents", "getAgent", "listNotifications"),
        *("getQuotas", "deregister", "cancelConsensus", "listElectorate"),
        *("sessionsList", "sessionsHistory", "sessionsSearch", "sessionsSend", "sessionsCreate"),
        *("sessionsDelete", "branchSession", "sessionState"),
        *("sendMail", "listInbox", "listSentMail", "getMessage", "getThread", "searchMail"),
        "getAttachment",
        *("starMessage", "markMessageRead", "markMessageUnread", "acknowledgeMessage"),
        *("spawnAgent", "spawnStatus", "spawnResult", "spawnList", "cancelSpawn"),
        *("claimTask", "renewTask", "reportProgress", "addArtifact", "requestInput"),
        *("completeTask", "failTask", "releaseTask", "answerTask", "getTask", "getArtifact"),
        *("taskList", "schedule"),
        *("deleteMessage", "getMailAccount", "getMailPolicy", "setMailPolicy"),
        "listTools",
    }


async def test_other_operations_do_not_exist_on_nats(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))
    others = {endpoint.name for endpoint in ENDPOINTS} - {
        endpoint.name for endpoint in NATS_OPERATIONS
    }
    assert {"issueKey", "revokeKey", "createTenant", "listEvents"} <= others

    for name in (*sorted(others), "nothing", "a.b", "heartbeat.x", "HEARTBEAT", "*"):
        subject = ann.subject("heartbeat").removesuffix("heartbeat") + name
        response = await ann.client.request(subject, b"{}", timeout=10)
        assert json.loads(response.data)["code"] == "not_found", name

    assert types_of(await tenant.events())[-1] == "AgentRegistered"


async def test_subject_determines_the_agent(tenant: Tenant) -> None:
    agent = await tenant.create_agent("ann")
    ann = await NatsAgent.of(agent)

    assert (await ann.request_ok("register"))["id"] == agent.id
    assert (await ann.request_ok("getAgent"))["id"] == agent.id
    assert await ann.request_ok("putConfig", humanizer_style="casual") == {
        "humanizer_style": "casual"
    }
    assert await ann.request_ok("getConfig") == {"humanizer_style": "casual"}
    assert (await ann.request_ok("acquireLease", contactEmail=CONTACT))["agentId"] == agent.id
    assert (await ann.request("heartbeat")).json()["agentId"] == agent.id


async def test_unregistered_agent_registers_over_nats(tenant: Tenant) -> None:
    ann = await NatsAgent.of(Agent(tenant.operator, await tenant.issue("agent", "ann")))

    assert await ann.request_rejected("heartbeat") == "agent_not_found"
    registered = await ann.request_ok("register", agentRole="outbound")

    assert (registered["id"], registered["agentName"]) == (ann.agent.id, "ann")
    assert (await ann.request_ok("heartbeat"))["ok"] is True


async def test_agent_cannot_act_as_another_agent(tenant: Tenant) -> None:
    agent, bob = await tenant.create_agents("ann", "bob")
    ann = await NatsAgent.of(agent)
    lease = await bob.lease(bob.id, CONTACT)
    before = await tenant.events()

    refused = [
        await ann.request_rejected("heartbeat", agentId=bob.id),
        await ann.request_rejected("heartbeat", agentName="bob"),
        await ann.request_rejected("acquireLease", agentId=bob.id, contactEmail=CONTACT),
        await ann.request_rejected("renewLease", leaseId=lease["id"]),
        await ann.request_rejected("releaseLease", leaseId=lease["id"]),
        await ann.request_rejected("register", agentName="bob"),
        await ann.request_rejected("putConfig", agentId=bob.id, humanizer_enabled=True),
    ]

    assert refused == ["acting_as_another"] * len(refused)
    assert await tenant.events() == before


# -- Concurrency -------------------------------------------------------------


async def test_one_of_many_concurrent_acquisitions_is_granted(tenant: Tenant) -> None:
    agents = await tenant.create_agents(*(f"agent-{number}" for number in range(RIVALS)))
    rivals = [await NatsAgent.of(agent) for agent in agents]

    responses = await asyncio.gather(
        *(rival.request("acquireLease", {"contactEmail": CONTACT}) for rival in rivals)
    )

    (won,) = (response for response in responses if response.status == 200)
    lost = [response for response in responses if response is not won]
    assert {response.code for response in lost} == {"lease_conflict"}
    assert {response.json()["leaseHolder"]["agentId"] for response in lost} == {
        won.json()["agentId"]
    }
    (granted,) = await tenant.events("LeaseAcquired")
    assert granted["sequence"] == won.json()["fence"] == int(won.headers["quorate-sequence"])


async def test_one_acquisition_is_granted_across_transports(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    nats_agent = await NatsAgent.of(ann)

    for number in range(20):
        contact = f"{number}@example.com"
        over_nats, over_http = await asyncio.gather(
            nats_agent.request("acquireLease", {"contactEmail": contact}),
            bob.acquire(bob.id, contact),
        )
        assert sorted((over_nats.status, over_http.status_code)) == [200, 409]


async def test_late_duplicates_do_not_affect_the_next_lease(
    tenant: Tenant,
) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    nats_agent = await NatsAgent.of(ann)
    old = (await ann.lease(ann.id, CONTACT, durationMinutes=ONE_SECOND))["id"]

    async def expired() -> bool:
        return await tenant.events("LeaseExpired") != []

    await wait_until(expired)
    new = await bob.lease(bob.id, CONTACT)

    released, renewed, deleted = await asyncio.gather(
        nats_agent.request("releaseLease", {"leaseId": old}),
        nats_agent.request("renewLease", {"leaseId": old}),
        ann.request("DELETE", f"{LEASE}/{old}"),
    )

    assert (released.status, renewed.status, deleted.status_code) == (200, 409, 200)
    assert await tenant.leases() == [new]


async def test_duplicate_commands_all_return_the_first_response(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))
    fields = {"contactEmail": CONTACT, "idempotencyKey": "once"}

    responses = await asyncio.gather(*(ann.request("acquireLease", fields) for _ in range(32)))

    assert len({response.content for response in responses}) == 1
    assert sum("idempotent-replayed" not in response.headers for response in responses) == 1
    assert len(await tenant.events("LeaseAcquired")) == 1


# -- Reply subjects ----------------------------------------------------------


async def test_command_with_a_foreign_reply_subject_is_ignored(
    tenant: Tenant, other: Tenant
) -> None:
    agent, bob = await tenant.create_agents("ann", "bob")
    ann = await NatsAgent.of(agent)
    foreign = await NatsAgent.of(await other.create_agent("eve"))
    foreign_agents = [await NatsAgent.of(bob), foreign]
    expected = [await each.inbox() for each in foreign_agents]
    notifications = await bob.subscribe_to_all()
    before = await tenant.events()

    for reply in (
        "",
        *expected,
        f"quorate.{tenant.id}.agent.{bob.id}.lease_conflict",
        f"quorate.{tenant.id}.all.consensus_decided",
        f"quorate.{tenant.id}.log.LeaseAcquired",
        "$JS.API.STREAM.PURGE.QUORATE_LOG",
        "$SYS.REQ.SERVER.PING",
    ):
        await ann.client.publish(
            ann.subject("acquireLease"), b'{"contactEmail": "x@example.com"}', reply=reply
        )

    assert (await ann.request("listLeases")).json() == []
    assert await tenant.events() == before
    for each in (*foreign_agents, ann):
        await each.client.flush()
        assert [m for m in each.listener.messages if m.subject in expected] == []
    assert notifications.messages == []
    assert tenant.connection.service.log_entries("nats.command_reply_invalid")


async def test_only_the_agents_own_key_may_publish_its_commands(
    tenant: Tenant, other: Tenant
) -> None:
    agent, bob = await tenant.create_agents("ann", "bob")
    ann = await NatsAgent.of(agent)
    auditor = await tenant.create_auditor()
    others = [
        await bob.listen(),
        await tenant.listen(),
        await auditor.listen(),
        await other.listen(),
        await (await other.create_agent("ann")).listen(),
    ]
    before = await tenant.events()

    for foreign in others:
        await foreign.client.publish(ann.subject("heartbeat"), b"{}", reply="_INBOX.x")
        await foreign.client.flush()

    for foreign in others:
        (error,) = foreign.errors
        assert "permissions violation for publish" in error
    assert await tenant.events() == before
    assert (await ann.request_ok("heartbeat"))["ok"] is True


async def test_long_poll_does_not_delay_other_commands(
    tenant: Tenant,
) -> None:
    agent, bob = await tenant.create_agents("ann", "bob")
    ann = await NatsAgent.of(agent)
    head = (await ann.request_ok("listNotifications"))["next"]
    waiting = asyncio.create_task(ann.request("listNotifications", {"after": head, "wait": 20}))
    await ann.request_ok("acquireLease", contactEmail=CONTACT)
    assert not waiting.done()

    await bob.acquire(bob.id, CONTACT)

    (notification,) = (await waiting).json()["notifications"]
    assert notification["data"]["contactEmail"] == CONTACT
