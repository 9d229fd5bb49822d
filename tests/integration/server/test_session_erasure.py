"""Bodies of deleted sessions, and of sessions of removed agents, are erased in the background."""

import asyncio
from pathlib import Path
from typing import Any

from quorate.eventlog.archive.content_verifier import VerifiedContents, verify_contents
from tests.integration.api.asgi_client import AsgiRequest, json_request
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.session_service import SessionAgent, create_agents

MESSAGES = 120  # More than are erased at once.


async def test_deleted_session_loses_its_bodies_and_its_bytes(tmp_path: Path) -> None:
    async with run_in_process(tmp_path / "data") as service:
        ann, bob = await create_agents(service, "ann", "bob")
        key = "agent:ann:work"
        await ann.call("sessions_create", key=key)
        for number in range(MESSAGES):
            await bob.call("sessions_send", key=key, message=f"m{number}")
        await ann.call(
            "session_state", operation="set", namespace="n", key="k", value=1, _session_key=key
        )
        await bob.call("sessions_send", key=bob.main, message="kept")
        kept = await _used(service)
        await ann.call("sessions_delete", key=key)
        await _erased(service)

        assert await _used(service) < 1_024 < kept
        assert await _verified(service) == VerifiedContents(verified=1, erased=MESSAGES + 1)


async def test_sessions_of_a_removed_agent_are_unknown_at_once_and_then_erased(
    tmp_path: Path,
) -> None:
    async with run_in_process(tmp_path / "data") as service:
        ann, bob = await create_agents(service, "ann", "bob")
        await bob.call("sessions_send", key=ann.main, message="old")
        await _remove(service, ann)
        code, _ = await bob.rejection("sessions_history", key=ann.main)
        assert code == "session_not_found"
        assert ann.main not in [one["key"] for one in (await bob.call("sessions_list"))["sessions"]]

        (namesake,) = await create_agents(service, "ann")
        assert (await bob.call("sessions_history", key=namesake.main))["messages"] == []
        await _erased(service)
        assert await _verified(service) == VerifiedContents(erased=1)


async def _remove(service: InProcess, agent: SessionAgent) -> None:
    keys = (await service.get("/v1/keys")).json
    (key_id,) = [one["id"] for one in keys if one.get("agentId") == agent.id]
    headers = [("Authorization", f"Bearer {service.key}")]
    for path in (f"/v1/keys/{key_id}",):
        await service.ask(AsgiRequest(method="DELETE", path=path, headers=headers))
    left = json_request("POST", "/v1/agent/deregister", {"agentName": agent.name}, key=service.key)
    await service.ask(left)
    path = f"/v1/agent/agents/{agent.id}"
    removed = await service.ask(AsgiRequest(method="DELETE", path=path, headers=headers))
    assert removed.status == 200, removed.body


async def _erased(service: InProcess) -> None:
    """Wait until all bodies of a session are erased."""
    subscriptions = service.running.service.subscriptions
    with subscriptions.subscribe_to_log("default", "") as subscription:
        async with asyncio.timeout(20):
            while True:
                subscription.woken.clear()
                found = await service.get("/v1/events?type=SessionErased")
                if found.json["events"]:
                    return
                await subscription.woken.wait()


async def _used(service: InProcess) -> int:
    quotas: Any = (await service.get("/v1/quotas")).json
    (used,) = [one["used"] for one in quotas["quotas"] if one["quota"] == "session_bytes"]
    return int(used)


async def _verified(service: InProcess) -> VerifiedContents:
    return await verify_contents(service.running.service.log.database)
