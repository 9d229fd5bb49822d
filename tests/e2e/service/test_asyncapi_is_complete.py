"""All that the service says on NATS is heard where the AsyncAPI document says, and as it says."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.service.asyncapi_client import DocumentedClient, documented_clients
from tests.e2e.service.http_clients import Agent, Operator, Tenant, keep_active
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess

SERVE = ("--heartbeat-window-seconds", "2")
ONE_SECOND = 1 / 60  # In minutes.
CONTACT = "user@example.com"


@pytest.fixture
async def strangers(tenant: Tenant) -> AsyncIterator[list[DocumentedClient]]:
    async with documented_clients(tenant, "ann", "bob") as strangers:
        yield strangers


async def test_every_notification_matches_its_description(
    operator: Operator, tenant: Tenant, strangers: list[DocumentedClient]
) -> None:
    ann, bob = (Agent(operator, one.issued) for one in strangers)
    hears, bob_hears = strangers
    for stranger in strangers:
        await stranger.subscribe_to_all()
    for agent in (ann, bob):
        await agent.register(agent.name)
    silent = await tenant.create_agent("silent")
    async with keep_active(ann, bob):
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
    assert silent.id in {one["data"]["agentId"] for one in hears.received}
    assert hears.names() | bob_hears.names() == said


async def test_log_events_match_their_description(
    service: ServiceProcess, tenant: Tenant, strangers: list[DocumentedClient]
) -> None:
    auditor = DocumentedClient(strangers[0].document, await tenant.issue("auditor"))
    await auditor.connect(service.nats_url)
    try:
        await auditor.subscribe_to_all("auditor")
        ann = await tenant.create_agent("ann")
        await ann.lease(ann.id, CONTACT)
        await wait_until(
            lambda: "quorate.LeaseAcquired" in {one["type"] for one in auditor.received}
        )
    finally:
        await auditor.client.close()
    assert {"log", "agent_registered"} <= auditor.names()
    assert auditor.faults == []
