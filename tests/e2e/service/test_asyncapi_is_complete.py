"""All that the service says on NATS is heard where the AsyncAPI document says, and as it says."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.service.asyncapi_client import Stranger, strangers_of
from tests.e2e.service.http_clients import Agent, Operator, Tenant, alive
from tests.e2e.service.nats_listener import until
from tests.e2e.service.service_process import Running

SERVE = ("--heartbeat-window-seconds", "2")
ONE_SECOND = 1 / 60  # In minutes.
CONTACT = "user@example.com"


@pytest.fixture
async def strangers(tenant: Tenant) -> AsyncIterator[list[Stranger]]:
    async with strangers_of(tenant, "ann", "bob") as strangers:
        yield strangers


async def test_every_notification_is_heard_where_and_as_it_is_described(
    operator: Operator, tenant: Tenant, strangers: list[Stranger]
) -> None:
    ann, bob = (Agent(operator, one.issued) for one in strangers)
    hears, bob_hears = strangers
    for stranger in strangers:
        await stranger.hear_everything()
    for agent in (ann, bob):
        await agent.register(agent.name)
    silent = await tenant.agent_of("silent")
    async with alive(ann, bob):
        lease = await ann.lease(ann.id, CONTACT)
        await bob.acquire(bob.id, CONTACT)
        await bob.request_send(bob.id, CONTACT)
        await ann.release(lease["id"])
        await ann.lease(ann.id, CONTACT, durationMinutes=ONE_SECOND)
        request = await ann.propose(ann.id)
        for agent in (ann, bob):
            await agent.vote(request["id"], agent.id, "approve")
        await ann.propose(ann.id, timeoutMinutes=ONE_SECOND)
        for name in ("lease_expired", "consensus_expired", "agent_lapsed"):
            await hears.notification(name)
    await ann.lease(ann.id, "revoked@example.com")
    await hears.notification("lease_revoked")
    said = {
        name
        for name, one in hears.document.all["operations"].items()
        if one["action"] == "send" and "agent" in one["x-quorate-roles"]
    }
    assert silent.id in {one["data"]["agentId"] for one in hears.heard}
    assert hears.names() | bob_hears.names() == said


async def test_the_whole_log_is_heard_as_it_is_described(
    service: Running, tenant: Tenant, strangers: list[Stranger]
) -> None:
    auditor = Stranger(strangers[0].document, await tenant.issue("auditor"))
    await auditor.connect(service.nats_url)
    try:
        await auditor.hear_everything("auditor")
        ann = await tenant.agent_of("ann")
        await ann.lease(ann.id, CONTACT)
        await until(lambda: "quorate.LeaseAcquired" in {one["type"] for one in auditor.heard})
    finally:
        await auditor.client.close()
    assert {"log", "agent_registered"} <= auditor.names()
    assert auditor.faults == []
