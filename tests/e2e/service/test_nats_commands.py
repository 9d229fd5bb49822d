"""What an agent asks over NATS is answered as over HTTP, whatever it asks and however badly."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator

import pytest

from quorate.api.nats_commands import SERVED
from quorate.api.routes import ENDPOINTS
from quorate.application.operations import Endpoint
from tests.e2e.service.http_clients import LEASE, Agent, Operator, Tenant
from tests.e2e.service.nats_agent import Asking
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import Json
from tests.e2e.service.test_tenant_isolation import pointing
from tests.e2e.service.two_tenants import (
    FREE_IN_BODIES,
    NOBODY,
    TENANT,
    Ask,
    Side,
    fields,
    parameters,
    side_of,
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


def as_it_is(ask: Ask) -> Iterator[Ask]:
    yield ask


def with_a_field_too_many(ask: Ask) -> Iterator[Ask]:
    yield ask.with_field("nonsense", "1") if ask.endpoint.body else ask.with_query("nonsense", "1")


def for_another_tenant(ask: Ask) -> Iterator[Ask]:
    add = ask.with_field if ask.endpoint.body else ask.with_query
    yield add(TENANT, "somebody-else")
    yield add(TENANT, "*")


def about_nobody(ask: Ask) -> Iterator[Ask]:
    for name in parameters(ask.endpoint):
        yield ask.with_path(name, NOBODY[name]())
        yield ask.with_path(name, "x" * 100)
    for name in pointing(ask.endpoint, fields(ask.endpoint.body)) - FREE_IN_BODIES:
        yield ask.with_field(name, NOBODY[name]())
    for name in pointing(ask.endpoint, fields(ask.endpoint.query)):
        yield ask.with_query(name, NOBODY[name]())


def with_values_of_no_use(ask: Ask) -> Iterator[Ask]:
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
@pytest.mark.parametrize("endpoint", SERVED, ids=named)
async def test_an_operation_is_answered_as_over_http(
    endpoint: Endpoint, variant: Callable[[Ask], Iterator[Ask]], operator: Operator
) -> None:
    """Two tenants with the same past, one asked each way: but for ids and times, all is equal."""
    one, other = await side_of(operator), await side_of(operator)
    asking = await Asking.of(other.agent)
    for over_http, over_nats in zip(
        variant(Ask.of(endpoint, one)), variant(Ask.of(endpoint, other)), strict=True
    ):
        told = await over_http.by(one.agent)
        heard = await asking.ask(
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


def masked(content: bytes, side: Side) -> str:
    text = FROM_TEXT.sub("", content.decode().replace(side.tenant.id, "*"))
    return VARYING.sub("*", text)


def kinds(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


def test_what_an_agents_key_may_ask_for_is_served() -> None:
    """By name, so that nobody loses an operation without noticing."""
    assert {endpoint.name for endpoint in SERVED} == {
        *("register", "heartbeat", "acquireLease", "renewLease", "releaseLease", "requestSend"),
        *("requestConsensus", "castVote", "putConfig", "getLease", "listLeases", "getConsensus"),
        *("listConsensus", "listVotes", "getConfig", "listAgents", "getAgent", "listNotifications"),
    }


async def test_nothing_else_is_served(tenant: Tenant) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))
    others = {endpoint.name for endpoint in ENDPOINTS} - {endpoint.name for endpoint in SERVED}
    assert {"issueKey", "revokeKey", "createTenant", "listEvents"} <= others

    for name in (*sorted(others), "nothing", "a.b", "heartbeat.x", "HEARTBEAT", "*"):
        subject = ann.subject("heartbeat").removesuffix("heartbeat") + name
        answer = await ann.client.request(subject, b"{}", timeout=10)
        assert json.loads(answer.data)["code"] == "not_found", name

    assert kinds(await tenant.events())[-1] == "AgentRegistered"


async def test_an_agent_need_not_say_who_it_is(tenant: Tenant) -> None:
    agent = await tenant.agent_of("ann")
    ann = await Asking.of(agent)

    assert (await ann.must("register"))["id"] == agent.id
    assert (await ann.must("getAgent"))["id"] == agent.id
    assert await ann.must("putConfig", humanizer_style="casual") == {"humanizer_style": "casual"}
    assert await ann.must("getConfig") == {"humanizer_style": "casual"}
    assert (await ann.must("acquireLease", contactEmail=CONTACT))["agentId"] == agent.id
    assert (await ann.ask("heartbeat")).json()["agentId"] == agent.id


async def test_an_agent_that_only_its_key_knows_yet_registers_over_nats(tenant: Tenant) -> None:
    ann = await Asking.of(Agent(tenant.operator, await tenant.issue("agent", "ann")))

    assert await ann.may_not("heartbeat") == "agent_not_found"
    registered = await ann.must("register", agentRole="outbound")

    assert (registered["id"], registered["agentName"]) == (ann.agent.id, "ann")
    assert (await ann.must("heartbeat"))["ok"] is True


async def test_an_agent_acts_as_no_other(tenant: Tenant) -> None:
    agent, bob = await tenant.agents_of("ann", "bob")
    ann = await Asking.of(agent)
    lease = await bob.lease(bob.id, CONTACT)
    before = await tenant.events()

    refused = [
        await ann.may_not("heartbeat", agentId=bob.id),
        await ann.may_not("heartbeat", agentName="bob"),
        await ann.may_not("acquireLease", agentId=bob.id, contactEmail=CONTACT),
        await ann.may_not("renewLease", leaseId=lease["id"]),
        await ann.may_not("releaseLease", leaseId=lease["id"]),
        await ann.may_not("register", agentName="bob"),
        await ann.may_not("putConfig", agentId=bob.id, humanizer_enabled=True),
    ]

    assert refused == ["acting_as_another"] * len(refused)
    assert await tenant.events() == before


# -- Racing ------------------------------------------------------------------


async def test_many_agents_want_one_contact_and_one_gets_it(tenant: Tenant) -> None:
    agents = await tenant.agents_of(*(f"agent-{number}" for number in range(RIVALS)))
    rivals = [await Asking.of(agent) for agent in agents]

    answers = await asyncio.gather(
        *(rival.ask("acquireLease", {"contactEmail": CONTACT}) for rival in rivals)
    )

    (won,) = (answer for answer in answers if answer.status == 200)
    lost = [answer for answer in answers if answer is not won]
    assert {answer.code for answer in lost} == {"lease_conflict"}
    assert {answer.json()["leaseHolder"]["agentId"] for answer in lost} == {won.json()["agentId"]}
    (granted,) = await tenant.events("LeaseAcquired")
    assert granted["sequence"] == won.json()["fence"] == int(won.headers["quorate-sequence"])


async def test_both_ways_race_for_the_same_contact(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    asking = await Asking.of(ann)

    for number in range(20):
        contact = f"{number}@example.com"
        heard, told = await asyncio.gather(
            asking.ask("acquireLease", {"contactEmail": contact}), bob.acquire(bob.id, contact)
        )
        assert sorted((heard.status, told.status_code)) == [200, 409]


async def test_what_comes_late_by_both_ways_does_not_touch_what_another_holds(
    tenant: Tenant,
) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    asking = await Asking.of(ann)
    old = (await ann.lease(ann.id, CONTACT, durationMinutes=ONE_SECOND))["id"]

    async def expired() -> bool:
        return await tenant.events("LeaseExpired") != []

    await until(expired)
    new = await bob.lease(bob.id, CONTACT)

    released, renewed, deleted = await asyncio.gather(
        asking.ask("releaseLease", {"leaseId": old}),
        asking.ask("renewLease", {"leaseId": old}),
        ann.ask("DELETE", f"{LEASE}/{old}"),
    )

    assert (released.status, renewed.status, deleted.status_code) == (200, 409, 200)
    assert await tenant.leases() == [new]


async def test_the_first_of_the_same_commands_counts_and_all_say_so(tenant: Tenant) -> None:
    ann = await Asking.of(await tenant.agent_of("ann"))
    asked = {"contactEmail": CONTACT, "idempotencyKey": "once"}

    answers = await asyncio.gather(*(ann.ask("acquireLease", asked) for _ in range(32)))

    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(await tenant.events("LeaseAcquired")) == 1


# -- Answers and whom they reach ---------------------------------------------


async def test_a_foreign_reply_subject_gets_no_answer_and_does_nothing(
    tenant: Tenant, other: Tenant
) -> None:
    agent, bob = await tenant.agents_of("ann", "bob")
    ann = await Asking.of(agent)
    stranger = await Asking.of(await other.agent_of("eve"))
    overheard = [await Asking.of(bob), stranger]
    wanted = [await each.inbox() for each in overheard]
    notifications = await bob.hear_all()
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

    assert (await ann.ask("listLeases")).json() == []
    assert await tenant.events() == before
    for each in (*overheard, ann):
        await each.client.flush()
        assert [m for m in each.listener.messages if m.subject in wanted] == []
    assert notifications.messages == []
    assert tenant.line.service.logged("nats_command_unanswerable")


async def test_only_an_agents_own_key_commands_for_it(tenant: Tenant, other: Tenant) -> None:
    agent, bob = await tenant.agents_of("ann", "bob")
    ann = await Asking.of(agent)
    auditor = await tenant.auditor()
    strangers = [
        await bob.listen(),
        await tenant.listen(),
        await auditor.listen(),
        await other.listen(),
        await (await other.agent_of("ann")).listen(),
    ]
    before = await tenant.events()

    for stranger in strangers:
        await stranger.client.publish(ann.subject("heartbeat"), b"{}", reply="_INBOX.x")
        await stranger.client.flush()

    for stranger in strangers:
        (error,) = stranger.errors
        assert "permissions violation for publish" in error
    assert await tenant.events() == before
    assert (await ann.must("heartbeat"))["ok"] is True


async def test_a_page_of_notifications_is_waited_for_without_holding_others_up(
    tenant: Tenant,
) -> None:
    agent, bob = await tenant.agents_of("ann", "bob")
    ann = await Asking.of(agent)
    head = (await ann.must("listNotifications"))["next"]
    waiting = asyncio.create_task(ann.ask("listNotifications", {"after": head, "wait": 20}))
    await ann.must("acquireLease", contactEmail=CONTACT)
    assert not waiting.done()

    await bob.acquire(bob.id, CONTACT)

    (notification,) = (await waiting).json()["notifications"]
    assert notification["data"]["contactEmail"] == CONTACT
