"""A long poll ends as soon as there is something for the agent, and for nothing else."""

import asyncio
import time

from tests.e2e.service.http_clients import Agent, Operator, Tenant, refusal
from tests.e2e.service.notification_readers import NOTIFICATIONS, everything, names, page, waiting
from tests.e2e.service.service_process import Json

CONTACT = "user@example.com"
LONG_SECONDS, SHORT_SECONDS = 30.0, 1.0


async def holding(tenant: Tenant) -> tuple[Agent, Agent]:
    ann, bob = await tenant.agents_of("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    return ann, bob


async def test_a_conflict_wakes_the_holder_that_waits(tenant: Tenant) -> None:
    ann, bob = await holding(tenant)
    began = time.monotonic()
    poll = waiting(ann, await tenant.head(), LONG_SECONDS)
    await asyncio.sleep(SHORT_SECONDS / 10)  # So that it most likely waits already.

    await bob.acquire(bob.id, CONTACT)

    found = await poll
    assert names(found["notifications"]) == ["lease_conflict"]
    assert found["next"] == found["head"] == found["notifications"][0]["sequence"]
    assert time.monotonic() - began < LONG_SECONDS / 2


async def test_what_all_are_told_wakes_all_who_wait(tenant: Tenant) -> None:
    agents = await tenant.agents_of("ann", "bob", "cid")
    head = await tenant.head()
    polls = [waiting(agent, head, LONG_SECONDS) for agent in agents]
    polls.append(waiting(tenant, head, LONG_SECONDS, agentName="ann"))

    await tenant.register("dee")

    assert [names((await poll)["notifications"]) for poll in polls] == [["agent_registered"]] * 4


async def test_what_there_is_already_is_answered_at_once(tenant: Tenant) -> None:
    ann, _ = await holding(tenant)
    began = time.monotonic()

    assert await page(ann, wait=LONG_SECONDS) == await page(ann)
    assert time.monotonic() - began < LONG_SECONDS / 2


async def test_what_concerns_others_does_not_end_the_wait(tenant: Tenant) -> None:
    ann, bob = await holding(tenant)
    cid = await tenant.agent_of("cid")
    began = time.monotonic()
    poll = waiting(cid, await tenant.head(), SHORT_SECONDS)
    for number in range(10):
        await bob.acquire(bob.id, CONTACT)
        lease = await ann.lease(ann.id, f"{number}@example.com")
        await ann.release(lease["id"])

    found = await poll

    assert found["notifications"] == []
    assert time.monotonic() - began >= SHORT_SECONDS
    assert found["next"] == found["head"], "and what was passed over need not be looked at again"


async def test_when_nothing_comes_the_wait_ends_with_nothing(tenant: Tenant) -> None:
    ann = await tenant.agent_of("ann")
    head = await tenant.head()
    began = time.monotonic()

    found = await page(ann, head, wait=SHORT_SECONDS / 2)

    assert time.monotonic() - began >= SHORT_SECONDS / 2
    assert found == {"notifications": [], "next": head, "head": head, "gap": None}


async def test_who_waits_again_and_again_misses_nothing(tenant: Tenant) -> None:
    ann, bob = await holding(tenant)
    count = 20
    after = start = await tenant.head()

    async def conflicts() -> None:
        for _ in range(count):
            await bob.acquire(bob.id, CONTACT)

    conflicting = asyncio.create_task(conflicts())
    told: list[Json] = []
    while len(told) < count:
        found = await page(ann, after, wait=LONG_SECONDS)
        assert found["notifications"]
        told += found["notifications"]
        after = found["next"]
    await conflicting

    assert told == await everything(ann, start)
    assert len(told) == count


async def test_a_key_that_is_revoked_waits_no_longer(tenant: Tenant) -> None:
    ann = await tenant.agent_of("ann")
    query = {"after": str(await tenant.head()), "wait": str(LONG_SECONDS)}
    began = time.monotonic()
    poll = asyncio.create_task(ann.ask("GET", NOTIFICATIONS, query=query))
    await asyncio.sleep(SHORT_SECONDS / 10)  # So that it most likely waits already.

    await tenant.operator.revoke(ann.issued)

    assert refusal(await poll)["code"] == "unauthorized"
    assert time.monotonic() - began < LONG_SECONDS / 2


async def test_when_the_service_ends_so_does_every_wait(operator: Operator) -> None:
    tenant = await operator.tenant()
    agents = await tenant.agents_of(*(f"agent{number}" for number in range(20)))
    head = await tenant.head()
    polls = [waiting(agent, head, LONG_SECONDS) for agent in agents]
    await asyncio.sleep(SHORT_SECONDS / 2)  # So that they most likely wait already.

    await asyncio.to_thread(operator.service.stop)  # Which insists that it ends in time.

    for poll in polls:
        assert (await poll)["notifications"] == []
    operator.service.start()
    await operator.line.find_again()
    assert (await page(agents[0], head))["head"] == head
