"""What an agent asks over NATS is answered as over HTTP, whatever it asks and however badly."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator

import pytest

from quorate.api.nats_commands import NATS_ENDPOINTS
from quorate.api.routes import ENDPOINTS
from quorate.application.operations import Endpoint
from tests.e2e.service.http_clients import LEASE, Agent, Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json
from tests.e2e.service.test_tenant_isolation import pointing
from tests.e2e.service.two_tenants import (
    SHARED_IN_BODIES,
    TENANT,
    UNKNOWN_VALUES,
    EndpointRequest,
    TenantData,
    create_tenant_data,
    fields,
    parameters,
)

SERVE = ()
CONTACT = "user@example.com"
ONE_SECOND = 1 / 60  # In minutes.
RIVALS = 8
COMPARED = ("quorate-sequence", "idempotent-replayed", "link", "retry-after")
FROM_TEXT = re.compile(r", unable to parse string as an? \w+")  # A query's numbers are read so.
VARYING = re.compile(
    r"tenant-\d+|agent_[0-9a-f-]{36}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT[0-9:.]+Z"
)


def named(endpoint: Endpoint) -> str:
    return endpoint.name


# -- The same as over HTTP ---------------------------------------------------


def as_it_is(ask: EndpointRequest) -> Iterator[EndpointRequest]:
    yield ask


def with_a_field_too_many(ask: EndpointRequest) -> Iterator[EndpointRequest]:
    yield ask.with_field("nonsense", "1") if ask.endpoint.body else ask.with_query("nonsense", "1")


def for_another_tenant(ask: EndpointRequest) -> Iterator[EndpointRequest]:
    add = ask.with_field if ask.endpoint.body else ask.with_query
    yield add(TENANT, "somebody-else")
    yield add(TENANT, "*")


def about_nobody(ask: EndpointRequest) -> Iterator[EndpointRequest]:
    for name in parameters(ask.endpoint):
        yield ask.with_path(name, UNKNOWN_VALUES[name]())
        yield ask.with_path(name, "x" * 100)
    for name in pointing(ask.endpoint, fields(ask.endpoint.body)) - SHARED_IN_BODIES:
        yield ask.with_field(name, UNKNOWN_VALUES[name]())
    for name in pointing(ask.endpoint, fields(ask.endpoint.query)):
        yield ask.with_query(name, UNKNOWN_VALUES[name]())


def with_values_of_no_use(ask: EndpointRequest) -> Iterator[EndpointRequest]:
    add = ask.with_field if ask.endpoint.body else ask.with_query
    for name in fields(ask.endpoint.body or ask.endpoint.query):
        yield add(name, "")
        yield add(name, "\u0001" * 5_000)


VARIANTS = (
    as_it_is,
    with_a_field_too_many,
    for_another_tenant,
    about_nobody,
    with_values_of_no_use,
)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
@pytest.mark.parametrize("endpoint", NATS_ENDPOINTS, ids=named)
async def test_operation_gets_the_same_response_as_over_http(
    endpoint: Endpoint,
    variant: Callable[[EndpointRequest], Iterator[EndpointRequest]],
    operator: Operator,
) -> None:
    """Two tenants with the same past, one asked each way: but for ids and times, all is equal."""
    one, other = await create_tenant_data(operator), await create_tenant_data(operator)
    asking = await NatsAgent.of(other.agent)
    for over_http, over_nats in zip(
        variant(EndpointRequest.of(endpoint, one)),
        variant(EndpointRequest.of(endpoint, other)),
        strict=True,
    ):
        told = await over_http.send_as(one.agent)
        heard = await asking.request(
            endpoint.name, over_nats.message(), headers={"X-Request-Id": "the-same"}
        )

        headers = {name.lower(): value for name, value in told.headers}
        assert heard.status == told.status
        assert masked(heard.content, other) == masked(told.body, one)
        assert {name: heard.headers.get(name) for name in COMPARED} == {
            name: headers.get(name) for name in COMPARED
        }
        assert heard.code == (None if heard.status == 200 else json.loads(told.body)["code"])
    assert kinds(await one.tenant.events()) == kinds(await other.tenant.events())


def masked(content: bytes, side: TenantData) -> str:
    text = FROM_TEXT.sub("", content.decode().replace(side.tenant.id, "*"))
    return VARYING.sub("*", text)


def kinds(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def test_every_operation_of_an_agent_key_is_available() -> None:
    """By name, so that nobody loses an operation without noticing."""
    assert {endpoint.name for endpoint in NATS_ENDPOINTS} == {
        *("register", "heartbeat", "acquireLease", "renewLease", "releaseLease", "requestSend"),
        *("requestConsensus", "castVote", "putConfig", "getLease", "listLeases", "getConsensus"),
        *("listConsensus", "listVotes", "getConfig", "listAgents", "getAgent", "listNotifications"),
    }


async def test_other_operations_do_not_exist_on_nats(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))
    others = {endpoint.name for endpoint in ENDPOINTS} - {
        endpoint.name for endpoint in NATS_ENDPOINTS
    }
    assert {"issueKey", "revokeKey", "createTenant", "listEvents"} <= others

    for name in (*sorted(others), "nothing", "a.b", "heartbeat.x", "HEARTBEAT", "*"):
        subject = ann.subject("heartbeat").removesuffix("heartbeat") + name
        answer = await ann.client.request(subject, b"{}", timeout=10)
        assert json.loads(answer.data)["code"] == "not_found", name

    assert kinds(await tenant.events())[-1] == "AgentRegistered"


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


# -- Racing ------------------------------------------------------------------


async def test_one_of_many_concurrent_acquisitions_is_granted(tenant: Tenant) -> None:
    agents = await tenant.create_agents(*(f"agent-{number}" for number in range(RIVALS)))
    rivals = [await NatsAgent.of(agent) for agent in agents]

    answers = await asyncio.gather(
        *(rival.request("acquireLease", {"contactEmail": CONTACT}) for rival in rivals)
    )

    (won,) = (answer for answer in answers if answer.status == 200)
    lost = [answer for answer in answers if answer is not won]
    assert {answer.code for answer in lost} == {"lease_conflict"}
    assert {answer.json()["leaseHolder"]["agentId"] for answer in lost} == {won.json()["agentId"]}
    (granted,) = await tenant.events("LeaseAcquired")
    assert granted["sequence"] == won.json()["fence"] == int(won.headers["quorate-sequence"])


async def test_one_acquisition_is_granted_across_transports(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    asking = await NatsAgent.of(ann)

    for number in range(20):
        contact = f"{number}@example.com"
        heard, told = await asyncio.gather(
            asking.request("acquireLease", {"contactEmail": contact}), bob.acquire(bob.id, contact)
        )
        assert sorted((heard.status, told.status_code)) == [200, 409]


async def test_late_duplicates_do_not_affect_the_next_lease(
    tenant: Tenant,
) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    asking = await NatsAgent.of(ann)
    old = (await ann.lease(ann.id, CONTACT, durationMinutes=ONE_SECOND))["id"]

    async def expired() -> bool:
        return await tenant.events("LeaseExpired") != []

    await wait_until(expired)
    new = await bob.lease(bob.id, CONTACT)

    released, renewed, deleted = await asyncio.gather(
        asking.request("releaseLease", {"leaseId": old}),
        asking.request("renewLease", {"leaseId": old}),
        ann.request("DELETE", f"{LEASE}/{old}"),
    )

    assert (released.status, renewed.status, deleted.status_code) == (200, 409, 200)
    assert await tenant.leases() == [new]


async def test_duplicate_commands_all_return_the_first_response(tenant: Tenant) -> None:
    ann = await NatsAgent.of(await tenant.create_agent("ann"))
    asked = {"contactEmail": CONTACT, "idempotencyKey": "once"}

    answers = await asyncio.gather(*(ann.request("acquireLease", asked) for _ in range(32)))

    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(await tenant.events("LeaseAcquired")) == 1


# -- Answers and whom they reach ---------------------------------------------


async def test_command_with_a_foreign_reply_subject_is_ignored(
    tenant: Tenant, other: Tenant
) -> None:
    agent, bob = await tenant.create_agents("ann", "bob")
    ann = await NatsAgent.of(agent)
    stranger = await NatsAgent.of(await other.create_agent("eve"))
    overheard = [await NatsAgent.of(bob), stranger]
    wanted = [await each.inbox() for each in overheard]
    notifications = await bob.subscribe_to_all()
    before = await tenant.events()

    for reply in (
        "",
        *wanted,
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
    for each in (*overheard, ann):
        await each.client.flush()
        assert [m for m in each.listener.messages if m.subject in wanted] == []
    assert notifications.messages == []
    assert tenant.connection.service.log_entries("nats.command_reply_invalid")


async def test_only_the_agents_own_key_may_publish_its_commands(
    tenant: Tenant, other: Tenant
) -> None:
    agent, bob = await tenant.create_agents("ann", "bob")
    ann = await NatsAgent.of(agent)
    auditor = await tenant.create_auditor()
    strangers = [
        await bob.listen(),
        await tenant.listen(),
        await auditor.listen(),
        await other.listen(),
        await (await other.create_agent("ann")).listen(),
    ]
    before = await tenant.events()

    for stranger in strangers:
        await stranger.client.publish(ann.subject("heartbeat"), b"{}", reply="_INBOX.x")
        await stranger.client.flush()

    for stranger in strangers:
        (error,) = stranger.errors
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
