"""The JSON inputs of seed 003 work as printed, over HTTP and over NATS."""

import asyncio
from typing import Any

import pytest

from tests.e2e.service.http_clients import Agent, Tenant

LIST = {"filter": "optional text", "limit": 20}
HISTORY = {"key": "agent:research:main", "limit": 20, "offset": 0}
SEARCH = {"query": "checkpoint rollback", "limit": 5, "exclude_current": True}
SEND = {
    "key": "agent:coder:main",
    "message": "Please implement JWT middleware",
    "wait_for_reply": True,
    "context": "coordinator",
}


async def call(agent: Agent, tool: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON.
    response = await agent.request("POST", f"/v1/tools/{tool}", body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    ("tool", "body", "fields"),
    [
        ("sessions_list", LIST, {"sessions", "count"}),
        ("sessions_search", SEARCH, {"query", "count", "results"}),
        (
            "sessions_history",
            HISTORY,
            {"key", "label", "messages", "totalMessages", "offset", "count", "hasMore"},
        ),
    ],
)
async def test_input_of_the_seed_has_the_output_of_the_original(
    tenant: Tenant, tool: str, body: dict[str, Any], fields: set[str]
) -> None:
    await tenant.create_agent("research")
    caller = await tenant.create_agent("coordinator")
    assert fields <= set(await call(caller, tool, body))


async def test_send_of_the_seed_waits_for_the_reply(tenant: Tenant) -> None:
    coder = await tenant.create_agent("coder")
    coordinator = await tenant.create_agent("coordinator")
    waiting = asyncio.create_task(call(coordinator, "sessions_send", SEND))
    path = "/v1/agent/notifications?after=0&wait=20"
    found: list[Any] = []
    while not found:
        page = (await coder.request("GET", path)).json()
        path = f"/v1/agent/notifications?after={page['next']}&wait=20"
        found = [one for one in page["notifications"] if one["type"].endswith("session_message")]
    data = found[0]["data"]
    assert (data["content"], data["context"]) == (SEND["message"], SEND["context"])
    answer = {"key": SEND["key"], "message": "Done", "in_reply_to": data["message_id"]}
    await call(coder, "sessions_send", answer)
    sent = await waiting
    assert {"key", "label", "sent", "waitForReply", "result", "message_id", "index"} <= set(sent)
    assert (sent["result"]["text"], sent["reply"]["from"]) == ("Done", coder.id)
