"""Notifications as server-sent events: from any point on, across restarts, each exactly once."""

import asyncio

import pytest

from tests.e2e.service.http_clients import Agent, Operator, Tenant, refusal
from tests.e2e.service.notification_readers import NOTIFICATIONS, everything, streaming
from tests.e2e.service.service_process import Json

CONTACT = "user@example.com"


async def holding(tenant: Tenant) -> tuple[Agent, Agent]:
    ann, bob = await tenant.agents_of("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    return ann, bob


async def test_the_stream_says_what_the_pages_say(tenant: Tenant) -> None:
    ann, bob = await holding(tenant)
    await bob.acquire(bob.id, CONTACT)
    for caller, query in ((ann, ""), (tenant, f"?agentId={ann.id}"), (tenant, "?agentName=ANN")):
        async with streaming(caller, query=query) as stream:
            for expected in await everything(ann):
                frame = await stream.frame()
                assert frame.id == str(expected["sequence"])
                assert f"quorate.{frame.event}" == expected["type"]
                assert frame.json() == expected


async def test_the_stream_goes_on_as_things_happen(tenant: Tenant) -> None:
    ann, bob = await holding(tenant)
    async with (
        streaming(ann, last=await tenant.head()) as anns,
        streaming(bob, last=await tenant.head()) as bobs,
    ):
        await bob.acquire(bob.id, CONTACT)
        await bob.lease(bob.id, "lee@example.com")
        await tenant.register("dee")

        for stream in (anns, bobs):
            types = [event["type"] for event in await stream.events(2)]
            assert types == ["quorate.lease_conflict", "quorate.agent_registered"]


async def test_who_comes_back_after_a_restart_misses_nothing_and_hears_nothing_twice(
    operator: Operator,
) -> None:
    tenant = await operator.tenant()
    ann, bob = await holding(tenant)
    heard: list[Json] = []
    async with streaming(ann) as stream:
        await bob.acquire(bob.id, CONTACT)
        heard += await stream.events(3)
        await asyncio.to_thread(operator.service.stop)
        await stream.end()
    operator.service.start()
    await operator.line.find_again()
    await bob.acquire(bob.id, CONTACT)

    async with streaming(ann, last=heard[-1]["sequence"]) as stream:
        await bob.acquire(bob.id, CONTACT)
        heard += await stream.events(2)

    assert heard == await everything(ann)


async def test_where_the_stream_begins_can_be_said_in_the_query_too(tenant: Tenant) -> None:
    ann, bob = await holding(tenant)
    await bob.acquire(bob.id, CONTACT)
    told = await everything(ann)
    async with streaming(ann, query=f"?after={told[0]['sequence']}") as stream:
        assert await stream.events(2) == told[1:]
    async with streaming(ann, query="?after=1", last=told[1]["sequence"]) as stream:
        assert await stream.event() == told[2], "what was seen last is the newer word"


async def test_a_stream_ends_with_its_key(tenant: Tenant) -> None:
    ann = await tenant.agent_of("ann")
    spare = Agent(tenant.operator, await tenant.issue("agent", "ann"))
    async with streaming(ann) as ends, streaming(spare) as goes_on:
        await ends.event()
        await tenant.operator.revoke(ann.issued)

        await ends.end()

        await goes_on.event()
        await tenant.register("dee")
        assert (await goes_on.event())["type"] == "quorate.agent_registered"


async def test_an_agents_key_cannot_follow_another_agent(tenant: Tenant) -> None:
    ann, bob = await tenant.agents_of("ann", "bob")
    for query in ({"agentId": bob.id}, {"agentName": "bob"}, {"agentName": "nobody"}):
        problem = refusal(await ann.ask("GET", f"{NOTIFICATIONS}/stream", query=query))
        assert (problem["status"], problem["code"]) == (403, "acting_as_another")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
async def test_a_last_event_id_that_is_no_sequence_is_refused(tenant: Tenant, last: str) -> None:
    ann = await tenant.agent_of("ann")
    response = await ann.ask("GET", f"{NOTIFICATIONS}/stream", headers={"Last-Event-ID": last})

    assert refusal(response)["code"] == "malformed_request"


async def test_many_streams_do_not_keep_the_service_from_ending(operator: Operator) -> None:
    tenant = await operator.tenant()
    ann, bob = await holding(tenant)
    async with streaming(ann) as first, streaming(bob) as second, streaming(ann) as third:
        for stream in (first, second, third):
            await stream.event()

        await asyncio.to_thread(operator.service.stop)  # Which insists that it ends in time.

        for stream in (first, second, third):
            await stream.end()
    operator.service.start()
    await operator.line.find_again()
