"""A long poll ends with a notification for the agent, and for no other event."""

import asyncio
import time

from tests.e2e.service.http_clients import Agent, Operator, Tenant, rejection
from tests.e2e.service.notification_readers import (
    NOTIFICATIONS,
    notification_names,
    read_all,
    read_page,
    start_long_poll,
)
from tests.e2e.service.service_process import Json

CONTACT = "user@example.com"
LONG_SECONDS, SHORT_SECONDS = 30.0, 1.0


async def hold_contact(tenant: Tenant) -> tuple[Agent, Agent]:
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    return ann, bob


async def test_conflict_ends_the_long_poll_of_the_holder(tenant: Tenant) -> None:
    ann, bob = await hold_contact(tenant)
    began = time.monotonic()
    poll = start_long_poll(ann, await tenant.head(), LONG_SECONDS)
    await asyncio.sleep(SHORT_SECONDS / 10)  # By now the long poll is most likely waiting.

    await bob.acquire(bob.id, CONTACT)

    found = await poll
    assert notification_names(found["notifications"]) == ["lease_conflict"]
    assert found["next"] == found["head"] == found["notifications"][0]["sequence"]
    assert time.monotonic() - began < LONG_SECONDS / 2


async def test_notification_for_all_ends_every_long_poll(tenant: Tenant) -> None:
    agents = await tenant.create_agents("ann", "bob", "cid")
    head = await tenant.head()
    polls = [start_long_poll(agent, head, LONG_SECONDS) for agent in agents]
    polls.append(start_long_poll(tenant, head, LONG_SECONDS, agentName="ann"))

    await tenant.register("dee")

    assert [notification_names((await poll)["notifications"]) for poll in polls] == [
        ["agent_registered"]
    ] * 4


async def test_existing_notification_is_returned_immediately(tenant: Tenant) -> None:
    ann, _ = await hold_contact(tenant)
    began = time.monotonic()

    assert await read_page(ann, wait=LONG_SECONDS) == await read_page(ann)
    assert time.monotonic() - began < LONG_SECONDS / 2


async def test_notification_for_another_agent_does_not_end_the_long_poll(tenant: Tenant) -> None:
    ann, bob = await hold_contact(tenant)
    cid = await tenant.create_agent("cid")
    began = time.monotonic()
    poll = start_long_poll(cid, await tenant.head(), SHORT_SECONDS)
    for number in range(10):
        await bob.acquire(bob.id, CONTACT)
        lease = await ann.lease(ann.id, f"{number}@example.com")
        await ann.release(lease["id"])

    found = await poll

    assert found["notifications"] == []
    assert time.monotonic() - began >= SHORT_SECONDS
    assert found["next"] == found["head"], "skipped events are not read again"


async def test_long_poll_returns_an_empty_page_after_the_timeout(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    head = await tenant.head()
    began = time.monotonic()

    found = await read_page(ann, head, wait=SHORT_SECONDS / 2)

    assert time.monotonic() - began >= SHORT_SECONDS / 2
    assert found.pop("logId")
    assert found == {"notifications": [], "next": head, "head": head, "gap": None}


async def test_repeated_long_polls_miss_no_notification(tenant: Tenant) -> None:
    ann, bob = await hold_contact(tenant)
    count = 20
    after = start = await tenant.head()

    async def conflicts() -> None:
        for _ in range(count):
            await bob.acquire(bob.id, CONTACT)

    conflicting = asyncio.create_task(conflicts())
    notifications: list[Json] = []
    while len(notifications) < count:
        found = await read_page(ann, after, wait=LONG_SECONDS)
        assert found["notifications"]
        notifications += found["notifications"]
        after = found["next"]
    await conflicting

    assert notifications == await read_all(ann, start)
    assert len(notifications) == count


async def test_revocation_ends_the_long_poll(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    query = {"after": str(await tenant.head()), "wait": str(LONG_SECONDS)}
    began = time.monotonic()
    poll = asyncio.create_task(ann.request("GET", NOTIFICATIONS, query=query))
    await asyncio.sleep(SHORT_SECONDS / 10)  # By now the long poll is most likely waiting.

    await tenant.operator.revoke(ann.issued)

    assert rejection(await poll)["code"] == "unauthorized"
    assert time.monotonic() - began < LONG_SECONDS / 2


async def test_service_stop_ends_every_long_poll(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    agents = await tenant.create_agents(*(f"agent{number}" for number in range(20)))
    head = await tenant.head()
    polls = [start_long_poll(agent, head, LONG_SECONDS) for agent in agents]
    await asyncio.sleep(SHORT_SECONDS / 2)  # By now the long polls are most likely waiting.

    await asyncio.to_thread(operator.service.stop)  # Asserts that it stops in time.

    for poll in polls:
        assert (await poll)["notifications"] == []
    operator.service.start()
    await operator.connection.reconnect()
    assert (await read_page(agents[0], head))["head"] == head
