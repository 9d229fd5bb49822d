"""The JSON inputs of seed 003 work as printed, over HTTP and over MCP, with the same answers."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest

from quorate.domain.shared.records import record
from tests.e2e.service.http_clients import Agent, Tenant, success
from tests.e2e.service.mcp_clients import call_ok, connect_http
from tests.e2e.service.nats_listener import wait_until
from tests.e2e.service.service_process import Json, ServiceProcess

Call: TypeAlias = Callable[[Agent, str, str], Coroutine[Any, Any, Json]]

LIST = """{
  "filter": "optional text",
  "limit": 20
}"""
HISTORY = """{
  "key": "agent:research:main",
  "limit": 20,
  "offset": 0
}"""
SEARCH = """{
  "query": "checkpoint rollback",
  "limit": 5,
  "exclude_current": true
}"""
SEND = """{
  "key": "agent:coder:main",
  "message": "Please implement JWT middleware",
  "wait_for_reply": true,
  "context": "coordinator"
}"""
CLASSIFY = """{
  "task": "Classify whether the reply should be inline, file, or PR.",
  "active_tools": ["classify_destination"],
  "tool_choice": { "type": "tool", "name": "classify_destination" },
  "nonblocking": true
}"""
GENERATE = """{
  "task": "Generate the report and send it as a document.",
  "active_tools": ["write_file", "send_document"],
  "tool_choice": { "type": "auto" }
}"""
AGENT_TURN = """{
  "kind": "agentTurn",
  "message": "Generate the report and send it as a document.",
  "active_tools": ["write_file", "send_document"],
  "tool_choice": { "type": "any" }
}"""
CLAIM = {"presets": ["-"], "wait": 20}


async def call_http(agent: Agent, tool: str, printed: str) -> Json:
    return dict(success(await agent.request("POST", f"/v1/tools/{tool}", content=printed)))


@pytest.fixture
def call_mcp(service: ServiceProcess) -> Call:
    async def call(agent: Agent, tool: str, printed: str) -> Json:
        async with connect_http(service, agent.text, query="?profile=sessions") as client:
            return await call_ok(client, tool, **json.loads(printed))

    return call


@pytest.fixture(params=["HTTP", "MCP"])
def call(request: pytest.FixtureRequest, call_mcp: Call) -> Call:
    return call_http if request.param == "HTTP" else call_mcp


# -- Tools that read ---------------------------------------------------------


@record
class ReadingTool:
    """``items`` names the field with the list, which has ``count`` entries here."""

    name: str
    printed: str
    fields: frozenset[str]
    items: str
    count: int


READING_TOOLS = (
    ReadingTool(
        name="sessions_list",
        printed=LIST,
        fields=frozenset({"sessions", "count"}),
        items="sessions",
        count=1,
    ),
    ReadingTool(
        name="sessions_search",
        printed=SEARCH,
        fields=frozenset({"query", "count", "results"}),
        items="results",
        count=2,
    ),
    ReadingTool(
        name="sessions_history",
        printed=HISTORY,
        fields=frozenset(
            {"key", "label", "messages", "totalMessages", "offset", "count", "hasMore"}
        ),
        items="messages",
        count=1,
    ),
)


@pytest.mark.parametrize("tool", READING_TOOLS, ids=lambda tool: tool.name)
async def test_input_of_the_seed_has_the_output_of_the_original(
    tenant: Tenant, call_mcp: Call, tool: ReadingTool
) -> None:
    research, caller = await tenant.create_agents("research", "coordinator")
    label = json.dumps({"label": "An optional text"})
    created = await call_http(research, "sessions_create", label)
    for key in ("agent:research:main", created["key"]):
        message = {"key": key, "message": "The checkpoint rollback works"}
        await call_http(research, "sessions_send", json.dumps(message))
    answer: Json = {}

    async def has_all() -> bool:  # Messages are indexed after they are stored.
        answer.update(await call_http(caller, tool.name, tool.printed))
        return len(answer[tool.items]) == tool.count

    await wait_until(has_all)

    assert tool.fields <= set(answer)
    assert answer["count"] == tool.count
    assert await call_mcp(caller, tool.name, tool.printed) == answer


# -- Tools that wait or write ------------------------------------------------


async def test_send_of_the_seed_waits_for_the_reply(tenant: Tenant, call: Call) -> None:
    coder, coordinator = await tenant.create_agents("coder", "coordinator")
    printed = json.loads(SEND)
    waiting = asyncio.create_task(call(coordinator, "sessions_send", SEND))
    path = "/v1/agent/notifications?after=0&wait=20"
    found: list[Any] = []
    while not found:
        page = (await coder.request("GET", path)).json()
        path = f"/v1/agent/notifications?after={page['next']}&wait=20"
        found = [one for one in page["notifications"] if one["type"].endswith("session_message")]
    data = found[0]["data"]
    assert (data["content"], data["context"]) == (printed["message"], printed["context"])
    answer = {"key": printed["key"], "message": "Done", "in_reply_to": data["message_id"]}
    await call(coder, "sessions_send", json.dumps(answer))
    sent = await waiting
    assert {"key", "label", "sent", "waitForReply", "result", "message_id", "index"} <= set(sent)
    assert (sent["result"]["text"], sent["reply"]["from"]) == ("Done", coder.id)


@pytest.mark.parametrize("printed", [CLASSIFY, GENERATE], ids=["classify", "generate"])
async def test_task_of_the_seed_reaches_a_worker_with_its_tool_controls(
    tenant: Tenant, call: Call, printed: str
) -> None:
    lead, worker = await tenant.create_agents("lead", "worker")
    spawning = asyncio.create_task(call(lead, "spawn_agent", printed))
    task = (await worker.request_ok("POST", "/v1/tasks/claim", CLAIM))["task"]
    result = {"fence": task["fence"], "text": "inline"}
    given = json.loads(printed)
    if given.get("nonblocking"):
        assert (await spawning)["status"] == "running"  # It does not wait for the result.
    await worker.request_ok("POST", f"/v1/tasks/{task['task_id']}/complete", result)

    answer = await spawning

    assert {name: task[name] for name in given if name != "nonblocking"} == {
        name: value for name, value in given.items() if name != "nonblocking"
    }
    assert {"task_id", "status", "text", "iterations", "tool_calls_made", "model"} <= set(answer)
    assert answer["task_id"] == task["task_id"]
    assert answer["text"] == (None if given.get("nonblocking") else "inline")
    by_id = json.dumps({"task_id": task["task_id"]})
    assert (await call(lead, "spawn_result", by_id))["text"] == "inline"


async def test_agent_turn_of_the_seed_is_scheduled(tenant: Tenant, call: Call) -> None:
    ann = await tenant.create_agent("ann")
    printed = (
        f'{{"action": "create", "schedule": {{"every_seconds": 300}}, "payload": {AGENT_TURN}}}'
    )

    created = await call(ann, "schedule", printed)

    payload = created["schedule"]["payload"]
    assert payload | json.loads(AGENT_TURN) == payload
    got = await call(
        ann, "schedule", json.dumps({"action": "get", "id": created["schedule"]["id"]})
    )
    assert got["schedule"] == created["schedule"]
