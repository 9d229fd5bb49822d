"""Notification streams start at any point and deliver each notification once across restarts."""

import asyncio

import pytest

from tests.e2e.service.http_clients import Agent, Operator, Tenant, rejection
from tests.e2e.service.notification_readers import NOTIFICATIONS, open_stream, read_all
from tests.e2e.service.service_process import Json

CONTACT = "user@example.com"


async def hold_contact(tenant: Tenant) -> tuple[Agent, Agent]:
    ann, bob = await tenant.create_agents("ann", "bob")
    await ann.lease(ann.id, CONTACT)
    return ann, bob


async def test_stream_equals_the_pages(tenant: Tenant) -> None:
    ann, bob = await hold_contact(tenant)
    await bob.acquire(bob.id, CONTACT)
    for caller, query in ((ann, ""), (tenant, f"?agentId={ann.id}"), (tenant, "?agentName=ANN")):
        async with open_stream(caller, query=query) as stream:
            for expected in await read_all(ann):
                frame = await stream.frame()
                assert frame.id == str(expected["sequence"])
                assert f"quorate.{frame.event}" == expected["type"]
                assert frame.json() == expected


async def test_stream_delivers_new_entries(tenant: Tenant) -> None:
    ann, bob = await hold_contact(tenant)
    async with (
        open_stream(ann, last=await tenant.head()) as anns,
        open_stream(bob, last=await tenant.head()) as bobs,
    ):
        await bob.acquire(bob.id, CONTACT)
        await bob.lease(bob.id, "lee@example.com")
        await tenant.register("dee")

        for stream in (anns, bobs):
            types = [event["type"] for event in await stream.events(2)]
            assert types == ["quorate.lease_conflict", "quorate.agent_registered"]


async def test_stream_after_a_restart_delivers_each_notification_once(
    operator: Operator,
) -> None:
    tenant = await operator.create_tenant()
    ann, bob = await hold_contact(tenant)
    received: list[Json] = []
    async with open_stream(ann) as stream:
        await bob.acquire(bob.id, CONTACT)
        received += await stream.events(3)
        await asyncio.to_thread(operator.service.stop)
        await stream.end()
    operator.service.start()
    await operator.connection.reconnect()
    await bob.acquire(bob.id, CONTACT)

    async with open_stream(ann, last=received[-1]["sequence"]) as stream:
        await bob.acquire(bob.id, CONTACT)
        received += await stream.events(2)

    assert received == await read_all(ann)


async def test_stream_start_can_be_given_in_the_query(tenant: Tenant) -> None:
    ann, bob = await hold_contact(tenant)
    await bob.acquire(bob.id, CONTACT)
    notifications = await read_all(ann)
    async with open_stream(ann, query=f"?after={notifications[0]['sequence']}") as stream:
        assert await stream.events(2) == notifications[1:]
    async with open_stream(ann, query="?after=1", last=notifications[1]["sequence"]) as stream:
        assert await stream.event() == notifications[2], "Last-Event-ID takes precedence"


async def test_revocation_ends_the_stream(tenant: Tenant) -> None:
    ann = await tenant.create_agent("ann")
    spare = Agent(tenant.operator, await tenant.issue("agent", "ann"))
    async with open_stream(ann) as revoked, open_stream(spare) as remaining:
        await revoked.event()
        await tenant.operator.revoke(ann.issued)

        await revoked.end()

        await remaining.event()
        await tenant.register("dee")
        assert (await remaining.event())["type"] == "quorate.agent_registered"


async def test_agent_key_cannot_stream_another_agents_notifications(tenant: Tenant) -> None:
    ann, bob = await tenant.create_agents("ann", "bob")
    for query in ({"agentId": bob.id}, {"agentName": "bob"}, {"agentName": "unknown"}):
        problem = rejection(await ann.request("GET", f"{NOTIFICATIONS}/stream", query=query))
        assert (problem["status"], problem["code"]) == (403, "acting_as_another")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
async def test_invalid_last_event_id_is_rejected(tenant: Tenant, last: str) -> None:
    ann = await tenant.create_agent("ann")
    response = await ann.request("GET", f"{NOTIFICATIONS}/stream", headers={"Last-Event-ID": last})

    assert rejection(response)["code"] == "malformed_request"


async def test_many_streams_do_not_delay_the_stop(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    ann, bob = await hold_contact(tenant)
    async with open_stream(ann) as first, open_stream(bob) as second, open_stream(ann) as third:
        for stream in (first, second, third):
            await stream.event()

        await asyncio.to_thread(operator.service.stop)  # Asserts that it stops in time.

        for stream in (first, second, third):
            await stream.end()
    operator.service.start()
    await operator.connection.reconnect()
