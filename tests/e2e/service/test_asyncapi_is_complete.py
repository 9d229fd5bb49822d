"""Every message that the service publishes on NATS matches the AsyncAPI document."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.service.asyncapi_client import DocumentedClient, documented_clients
from tests.e2e.service.http_clients import Agent, Operator, Tenant, keep_active
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import ServiceProcess

SERVE = ("--heartbeat-window-seconds", "6")
ONE_SECOND = 1 / 60  # In minutes.
CONTACT = "user@example.com"


@pytest.fixture
async def clients(tenant: Tenant) -> AsyncIterator[list[DocumentedClient]]:
    async with documented_clients(tenant, "ann", "bob") as clients:
        yield clients


async def test_every_notification_matches_its_description(
    operator: Operator, tenant: Tenant, clients: list[DocumentedClient]
) -> None:
    ann, bob = (Agent(operator, one.issued) for one in clients)
    ann_client, bob_client = clients
    for client in clients:
        await client.subscribe_to_all()
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
        cancelled = await ann.propose(ann.id)
        path = f"/v1/agent/coordination/consensus/{cancelled['id']}/cancel"
        await ann.request("POST", path, {"agentId": ann.id})
        mailbox = (await ann.request("GET", "/email/account")).json()["email_address"]
        unknown = f"unknown@{mailbox.partition('@')[2]}"
        await bob.request("POST", "/email/send", {"to": [mailbox, unknown], "subject": "Hello"})
        await _work_on_tasks(ann, bob)
        await _plan_work(ann, bob)
        body = {"key": f"agent:{ann.name}:main", "message": "Hello"}
        await bob.request("POST", "/v1/tools/sessions_send", body)
        marked = {"key": f"agent:{ann.name}:main", "mark_read": True}
        await ann.request("POST", "/v1/tools/sessions_history", marked)
        leaver = await tenant.create_agent("leaver")
        await leaver.request("POST", "/v1/agent/deregister", {"agentId": leaver.id})
        for name in (
            *("lease_expired", "consensus_expired", "agent_lapsed"),
            *("consensus_cancelled", "agent_deregistered"),
        ):
            await ann_client.notification(name)
    await ann.lease(ann.id, "revoked@example.com")
    await ann_client.notification("lease_revoked")
    published = {
        name
        for name, one in ann_client.document.all["operations"].items()
        if one["action"] == "send" and "agent" in one["x-quorate-roles"]
    }
    assert silent.id in {one["data"].get("agentId") for one in ann_client.received}
    # It takes at least half an hour: tests/conformance/projections/test_mail_notifications.py.
    assert ann_client.names() | bob_client.names() == published - {"acknowledgement_due"}


async def _work_on_tasks(ann: Agent, bob: Agent) -> None:
    """Cause each notification of tasks: to the agent that hands over, and to the one that works."""
    spawn = {"task": "report", "nonblocking": True}
    spawned = await ann.request_ok("POST", "/v1/tools/spawn_agent", spawn)
    task = (await bob.request_ok("POST", "/v1/tasks/claim", {"presets": ["-"]}))["task"]
    path, held = f"/v1/tasks/{task['task_id']}", {"fence": task["fence"]}
    await bob.request_ok("POST", f"{path}/progress", {**held, "message": "reading"})
    await bob.request_ok("POST", f"{path}/input", {**held, "text": "which?"})
    cancel = {"task_id": spawned["task_id"]}
    await ann.request_ok("POST", "/v1/tools/cancel_spawn", cancel)


async def _plan_work(ann: Agent, bob: Agent) -> None:
    """Change a task of a list that another agent follows, and fire a schedule."""
    tasks, schedule = "/v1/tools/task_list", "/v1/tools/schedule"
    await bob.request_ok("POST", tasks, {"action": "create", "subject": "Write it"})
    await ann.request_ok("POST", tasks, {"action": "follow"})
    await bob.request_ok("POST", tasks, {"action": "claim", "id": "1"})
    turn = {"kind": "agentTurn", "message": "Report"}
    body = {"action": "create", "schedule": {"every_seconds": 86_400}, "payload": turn}
    created = await ann.request_ok("POST", schedule, body)
    run = {"action": "run_now", "id": created["schedule"]["id"]}
    await ann.request_ok("POST", schedule, run)


async def test_log_events_match_their_description(
    service: ServiceProcess, tenant: Tenant, clients: list[DocumentedClient]
) -> None:
    auditor = DocumentedClient(clients[0].document, await tenant.issue("auditor"))
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
