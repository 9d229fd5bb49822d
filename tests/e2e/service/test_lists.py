"""Lists are JSON arrays, as in the seeds, and have pages that link to the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import pytest

from tests.e2e.service.http_clients import (
    AGENT,
    CONSENSUS,
    COORDINATION,
    KEYS,
    Tenant,
    rejection,
    success,
)
from tests.e2e.service.service_process import Json

ITEMS = 7
LEASES = f"{COORDINATION}/leases"
AGENTS = f"{AGENT}/agents"

CreateItems: TypeAlias = Callable[[Tenant], Awaitable[str]]


async def agents(tenant: Tenant) -> str:
    await asyncio.gather(*(tenant.register(f"agent-{number}") for number in range(ITEMS)))
    return AGENTS


async def leases(tenant: Tenant) -> str:
    ann = await tenant.register("ann")
    contacts = [f"{number}@example.com" for number in range(ITEMS)]
    await asyncio.gather(*(tenant.lease(ann["id"], contact) for contact in contacts))
    return LEASES


async def proposals(tenant: Tenant) -> str:
    ann = await tenant.register("ann")
    await asyncio.gather(*(tenant.propose(ann["id"]) for _ in range(ITEMS)))
    return CONSENSUS


async def votes(tenant: Tenant) -> str:
    voters = [(await tenant.register(f"agent-{number}"))["id"] for number in range(2 * ITEMS)]
    request = await tenant.propose(voters[0])
    for voter in voters[:ITEMS]:
        await tenant.vote(request["id"], voter, "approve")
    return f"{CONSENSUS}/{request['id']}/votes"


async def keys(tenant: Tenant) -> str:
    for _ in range(ITEMS - 1):  # The tenant's own key already exists.
        await tenant.issue("auditor")
    return KEYS


LISTS: Mapping[str, CreateItems] = {
    "agents": agents,
    "proposals": proposals,
    "keys": keys,
    "leases": leases,
    "votes": votes,
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [1, 3, ITEMS, ITEMS + 1])
async def test_linked_pages_contain_every_item_once(tenant: Tenant, name: str, limit: int) -> None:
    path = await LISTS[name](tenant)
    complete = await tenant.request_list(path)
    found: list[Json] = []
    link: str | None = f"{path}?limit={limit}&tenantId={tenant.id}"
    for _ in range(ITEMS + 1):
        if link is None:
            break
        response = await tenant.request("GET", link)
        found += success(response)
        link = response.links.get("next", {}).get("url")

    assert link is None, "the last page has no link"
    assert found == complete
    assert len(complete) == ITEMS


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", "1.5", ""])
async def test_page_limit_outside_1_to_1000_is_rejected(
    tenant: Tenant, name: str, limit: str
) -> None:
    path = await LISTS[name](tenant)

    assert rejection(await tenant.request("GET", path, query={"limit": limit}))["status"] == 422


async def test_leases_can_be_filtered_by_agent_and_contact(tenant: Tenant) -> None:
    ann, bob = await tenant.register("ann"), await tenant.register("bob")
    first = await tenant.lease(ann["id"], "A@example.com")
    second = await tenant.lease(ann["id"], "b@example.com")
    third = await tenant.lease(bob["id"], "c@example.com")

    assert await tenant.leases(agentId=ann["id"]) == [first, second]
    assert await tenant.leases(contactEmail="a@EXAMPLE.com") == [first]
    assert await tenant.leases(agentId=bob["id"], contactEmail="a@example.com") == []
    await tenant.release(second["id"])
    assert await tenant.leases() == [first, third], "ended leases are not listed"


async def test_proposals_can_be_filtered_by_status(tenant: Tenant) -> None:
    ann = await tenant.register("ann")
    pending = await tenant.propose(ann["id"])
    await tenant.register("bob")
    decided = await tenant.propose(ann["id"])
    for agent in await tenant.request_list(AGENTS):
        await tenant.vote(decided["id"], agent["id"], "reject")

    found = {
        status: [one["id"] for one in await tenant.request_list(CONSENSUS, status=status)]
        for status in ("pending", "approved", "rejected", "expired")
    }

    assert found == {
        "pending": [pending["id"]],
        "approved": [],
        "rejected": [decided["id"]],
        "expired": [],
    }


async def test_read_after_a_command_shows_its_effect(tenant: Tenant) -> None:
    ann = await tenant.register("ann")
    for number in range(20):
        lease = await tenant.lease(ann["id"], f"{number}@example.com")
        assert await tenant.request_ok("GET", f"{COORDINATION}/lease/{lease['id']}") == lease
        assert (await tenant.agent(ann["id"]))["leasesHeld"] == number + 1
