"""An agent that was disconnected, slow or restarted reads every missed notification."""

import json

import pytest

from tests.e2e.service.http_clients import Agent, Operator, Tenant, rejection
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.notification_readers import (
    NOTIFICATIONS,
    notification_names,
    read_all,
    read_page,
)
from tests.e2e.service.service_process import Json

CONTACT = "user@example.com"
NOTIFICATION_FIELDS = {
    *("specversion", "id", "source", "type", "time", "datacontenttype", "sequence", "data"),
}


async def contention(tenant: Tenant) -> tuple[Agent, Agent]:
    """Ann holds the contact, and Bob's request is rejected."""
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    return ann, bob


async def cause_notifications(ann: Agent, bob: Agent) -> None:
    """Cause notifications for one agent and for all, and events without notifications."""
    lease = await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT)
    await bob.request_send(bob.id, CONTACT)
    await ann.release(lease["id"])
    request = await bob.propose(bob.id)
    for agent in (ann, bob):
        await agent.vote(request["id"], agent.id, "approve")
        await agent.lease(agent.id, f"{agent.name}@example.com")


# -- Pages ---------------------------------------------------------------------


async def test_agent_reads_its_notifications_in_order(tenant: Tenant) -> None:
    ann, bob = await contention(tenant)
    for agent in (ann, bob):
        found = await read_page(agent)

        assert notification_names(found["notifications"]) == [
            "agent_registered",
            "agent_registered",
            "lease_conflict",
        ]
        assert {frozenset(notification) for notification in found["notifications"]} == {
            frozenset(NOTIFICATION_FIELDS)
        }
        assert found["next"] == found["head"] == await tenant.head()
        assert found["gap"] is None


async def test_notifications_before_the_cursor_are_not_returned(tenant: Tenant) -> None:
    ann, bob = await contention(tenant)
    notifications = await read_all(ann)
    for notification in notifications:
        later = await read_page(ann, notification["sequence"])
        assert later["notifications"] == [
            one for one in notifications if one["sequence"] > notification["sequence"]
        ]
    assert (await read_page(bob, await tenant.head()))["notifications"] == []


async def test_pages_of_any_length_contain_all_notifications(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    await cause_notifications(ann, bob)
    for agent in (ann, bob):
        notifications = await read_all(agent)
        for limit in (1, 2, 3, len(notifications)):
            assert await read_all(agent, limit=limit) == notifications
            assert len((await read_page(agent, limit=limit))["notifications"]) == limit


async def test_large_page_is_cut_and_the_next_page_continues(tenant: Tenant) -> None:
    """Every page fits into a NATS message, even with much text."""
    ann = await tenant.create_agent("ann")
    text = "\N{ROCKET}" * 4_000
    count = 50
    requests = [(await ann.propose(ann.id, reason=text))["id"] for _ in range(count)]
    first = await read_page(ann, 1, limit=1_000)
    subject = f"quorate.{tenant.id}.cmd.{ann.id}.listNotifications"
    nats_agent = await ann.listen()

    over_nats = await nats_agent.client.request(subject, b'{"after": 1, "limit": 1000}', timeout=10)

    assert json.loads(over_nats.data) == first
    assert first["next"] == first["notifications"][-1]["sequence"] < first["head"]
    notifications = await read_all(ann, 1, limit=1_000)
    assert [
        one["data"]["requestId"] for one in notifications if "reason" in one["data"]
    ] == requests


async def test_listed_notification_equals_the_published_bytes(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    after = await tenant.head()
    listeners = {agent.id: await agent.subscribe_to_all() for agent in (ann, bob)}
    await cause_notifications(ann, bob)
    for agent in (ann, bob):
        notifications = await read_all(agent, after)
        await wait_for_messages(listeners[agent.id], notifications)
        response = await agent.request("GET", NOTIFICATIONS, query={"after": str(after)})

        published = [message.data for message in listeners[agent.id].messages]
        assert b'"notifications":[' + b",".join(published) + b"]" in response.content


async def wait_for_messages(listener: Listener, expected: list[Json]) -> None:
    """Wait until as many messages were received as expected."""
    await wait_until(lambda: len(listener.messages) >= len(expected))


async def test_list_over_nats_equals_the_list_over_http(tenant: Tenant) -> None:
    ann, _ = await contention(tenant)
    nats_agent = await ann.listen()
    subject = f"quorate.{tenant.id}.cmd.{ann.id}.listNotifications"

    response = await nats_agent.client.request(subject, b'{"after": 2, "limit": 2}', timeout=10)

    expected = await read_page(ann, 2, limit=2)
    assert len(expected["notifications"]) == 2
    assert json.loads(response.data) == expected


async def test_long_poll_over_nats_ends_with_a_notification(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    nats_agent = await ann.listen()
    payload = json.dumps({"after": await tenant.head(), "wait": 30}).encode()
    subject = f"quorate.{tenant.id}.cmd.{ann.id}.listNotifications"
    poll = nats_agent.client.request(subject, payload, timeout=29)

    await bob.acquire(bob.id, CONTACT)

    assert notification_names(json.loads((await poll).data)["notifications"]) == ["lease_conflict"]


# -- Permissions -----------------------------------------------------------------


async def test_agent_key_reads_only_its_own_notifications(tenant: Tenant) -> None:
    ann, bob = await contention(tenant)
    own = await read_all(ann)
    assert await read_all(ann, agentId=ann.id) == own
    assert await read_all(ann, agentName="ANN") == own
    for query in (
        {"agentId": bob.id},
        {"agentName": "bob"},
        {"agentName": "unknown"},
        {"agentId": ann.id, "agentName": "bob"},
    ):
        problem = rejection(await ann.request("GET", NOTIFICATIONS, query=query))
        assert (problem["status"], problem["code"]) == (403, "acting_as_another")
        assert problem["agentId"] == ann.id


async def test_tenant_key_reads_notifications_of_a_named_agent(
    tenant: Tenant, other: Tenant
) -> None:
    ann, _ = await contention(tenant)
    eve = await other.create_agent("eve")
    own = await read_all(ann)
    assert await read_all(tenant, agentId=ann.id) == own
    assert await read_all(tenant, agentName="Ann") == own
    foreign = {"agentId": eve.id}, {"agentName": "eve"}, {"agentId": ann.id, "agentName": "bob"}
    for query in ({}, *foreign):
        for path in (NOTIFICATIONS, f"{NOTIFICATIONS}/stream"):
            problem = rejection(await tenant.request("GET", path, query=query))
            assert (problem["status"], problem["code"]) == (404, "agent_not_found")


async def test_unregistered_agent_reads_the_notifications_for_all(
    tenant: Tenant,
) -> None:
    ann = await tenant.create_agent("ann")
    dee = Agent(tenant.operator, await tenant.issue("agent", "dee"))

    notifications = await read_all(dee)

    assert [notification["data"]["agentId"] for notification in notifications] == [ann.id]
    assert await read_all(tenant, agentName="dee") == notifications


async def test_notifications_of_other_tenants_are_not_returned(
    tenant: Tenant, other: Tenant
) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    eve, fay = await other.create_agents("eve", "fay")
    before = await read_all(ann)
    await cause_notifications(eve, fay)

    assert await read_all(ann) == before
    assert {notification["source"] for notification in await read_all(eve)} == {
        f"quorate/{other.id}"
    }
    assert bob.id not in json.dumps(await read_all(eve))


# -- Detecting missed notifications ----------------------------------------------


async def test_heartbeat_returns_the_last_notification(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    for _ in range(2):
        for agent in (ann, bob):
            response = await agent.heartbeat(agent.id)
            assert response["lastNotification"] == (await read_all(agent))[-1]["sequence"]
            assert response == await tenant.heartbeat(agent.id)
        await cause_notifications(ann, bob)


async def test_agent_that_read_to_the_last_notification_missed_none(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    seen = (await ann.heartbeat(ann.id))["lastNotification"]
    await ann.lease(ann.id, CONTACT)
    assert (await ann.heartbeat(ann.id))["lastNotification"] == seen, (
        "own requests cause no notification"
    )

    await bob.acquire(bob.id, CONTACT)

    last = (await ann.heartbeat(ann.id))["lastNotification"]
    assert last > seen
    assert notification_names((await read_page(ann, seen))["notifications"]) == ["lease_conflict"]
    assert (await read_page(ann, last))["notifications"] == []


# -- Free contacts ---------------------------------------------------------------


async def test_contender_is_notified_when_the_contact_is_free(tenant: Tenant) -> None:
    ann, bob, cid = await tenant.create_agents("ann", "bob", "cid")
    listeners = {agent.id: await agent.subscribe_to_all() for agent in (ann, bob, cid)}
    lease = await ann.lease(ann.id, CONTACT)
    await bob.acquire(bob.id, CONTACT.title())
    await bob.acquire(bob.id, CONTACT)
    after = await tenant.head()
    await ann.release(lease["id"])

    (free,) = await read_all(bob, after)
    (own,) = await read_all(ann, after)

    assert notification_names([free, own]) == ["lease_available", "lease_released"]
    data = {
        "leaseId": lease["id"],
        "contactKey": CONTACT,
        "contactEmail": CONTACT,
        "agentId": ann.id,
    }
    assert free["data"] == own["data"] == data
    assert await listeners[bob.id].notification("lease_available") == free
    assert await listeners[ann.id].notification("lease_released") == own
    assert await read_all(cid, after) == []
    await listeners[cid.id].client.flush()
    assert "lease_available" not in listeners[cid.id].names()


async def test_contender_is_notified_when_the_lease_expires(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    listener = await bob.subscribe_to_all()
    await ann.lease(ann.id, CONTACT, durationMinutes=1 / 60)
    await bob.acquire(bob.id, CONTACT)

    published = await listener.notification("lease_available")

    assert (await read_all(bob))[-1] == published
    assert (await read_all(ann))[-1]["type"] == "quorate.lease_expired"
    await bob.lease(bob.id, CONTACT)


# -- Invalid queries -------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": limit} for limit in ("0", "-1", "1001", "ten", "1.5", "")),
        *({"after": after} for after in ("-1", "x", "1.5", str(2**53))),
        *({"wait": wait} for wait in ("-1", "30.1", "nan", "inf", "1e400", "soon", "")),
        *({name: "1"} for name in ("type", "until", "position")),
    ],
    ids=str,
)
async def test_invalid_page_query_is_rejected(tenant: Tenant, query: dict[str, str]) -> None:
    ann = await tenant.create_agent("ann")

    assert rejection(await ann.request("GET", NOTIFICATIONS, query=query))["status"] == 422


async def test_notifications_are_readable_after_a_restart(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    ann, bob = await contention(tenant)
    notifications = await read_all(ann)
    last = (await bob.heartbeat(bob.id))["lastNotification"]

    operator.service.restart()
    await operator.connection.reconnect()

    assert await read_all(ann) == notifications
    assert (await bob.heartbeat(bob.id))["lastNotification"] == last
