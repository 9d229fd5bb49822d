"""Operators list the sessions of all agents with their last message, and tasks of task lists."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from quorate.contracts.sessions.task_models import PREVIEW_LENGTH_MAX
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.task_agents import TaskAgent, create_agent

MAIN = "agent:ann:main"
Row: TypeAlias = tuple[str, str, str | None, list[str]]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as service:
        yield service


async def sessions(service: InProcess, query: str = "") -> dict[str, Any]:
    """Return the sessions by their keys, in the order of the list."""
    response = await service.get(f"/v1/sessions{query}")
    assert response.status == 200, response.body
    return {one["key"]: one for one in response.json}


async def send(agent: TaskAgent, key: str, message: object) -> str:
    sent = await agent.tool("sessions_send", {"key": key, "message": message})
    return str(sent["message_id"])


async def test_sessions_show_their_last_message(service: InProcess) -> None:
    ann, bob = [await create_agent(service, name) for name in ("ann", "bob")]
    await ann.tool("sessions_create", {"key": "agent:ann:empty"})
    await send(bob, "agent:bob:main", {"tool": ["write", 1]})
    await send(bob, MAIN, "first")
    id_ = await send(bob, MAIN, "€" * 1_000)

    found = await sessions(service)

    assert list(found) == [MAIN, "agent:bob:main", "agent:ann:empty"]
    last = found[MAIN]["lastMessage"]
    assert last["text"] == "€" * PREVIEW_LENGTH_MAX
    assert (last["id"], last["index"], last["agentId"], last["role"]) == (id_, 1, bob.id, "user")
    assert last["bytes"] == 3_000
    assert found["agent:bob:main"]["lastMessage"]["text"] == '{"tool":["write",1]}'
    assert found["agent:ann:empty"]["lastMessage"] is None


async def test_branch_shows_the_message_it_shares_until_it_has_one(service: InProcess) -> None:
    ann = await create_agent(service, "ann")
    for text in ("first", "second"):
        await send(ann, MAIN, text)
    body = {"label": "other", "fork_point": 1, "key": MAIN}
    branch = (await ann.tool("branch_session", body))["sessionKey"]

    shared = (await sessions(service))[branch]["lastMessage"]
    await send(ann, branch, "of the branch")
    found = await sessions(service)

    assert (shared["text"], shared["index"]) == ("first", 0)
    assert found[branch]["lastMessage"]["text"] == "of the branch"
    assert found[MAIN]["lastMessage"]["text"] == "second"


async def test_erased_message_has_no_text(service: InProcess) -> None:
    ann = await create_agent(service, "ann")
    id_ = await send(ann, MAIN, "a secret")
    await service.call("POST", f"/v1/sessions/messages/{id_}/erase", {})

    last = (await sessions(service))[MAIN]["lastMessage"]

    assert (last["id"], last["text"]) == (id_, None)


async def test_sessions_are_filtered_and_read_in_pages(service: InProcess) -> None:
    ann = await create_agent(service, "ann")
    for number in range(5):
        await ann.tool("sessions_create", {"key": f"agent:ann:plan{number}"})
        await send(ann, f"agent:ann:plan{number}", str(number))
    await ann.tool("sessions_create", {"key": "agent:ann:other", "label": "The PLAN"})
    expected = ["agent:ann:other", *(f"agent:ann:plan{number}" for number in (4, 3, 2, 1, 0))]

    found: list[str] = []
    path: str | None = "/v1/sessions?filter=plan&limit=2"
    while path is not None:
        response = await service.get(path)
        found += [one["key"] for one in response.json]
        link = response.header("link")
        path = None if link is None else link[1 : link.index(">")]

    assert found == expected
    assert "agent:ann:main" not in found
    invalid = await service.get("/v1/sessions?after=nonsense")
    assert (invalid.status, invalid.json["code"]) == (422, "invalid_request")


async def test_agents_do_not_list_the_sessions_of_others(service: InProcess) -> None:
    ann = await create_agent(service, "ann")
    for path in ("/v1/sessions", "/v1/task-lists/tasks"):
        assert (await ann.refused("GET", path))[:2] == (403, "role_forbidden")


async def test_tasks_of_all_lists_are_listed_with_what_blocks_them(service: InProcess) -> None:
    ann, bob = [await create_agent(service, name) for name in ("ann", "bob")]
    for agent, list_id, blockers in ((ann, "a", []), (bob, "b", []), (ann, "a", ["1"])):
        body = {"list_id": list_id, "subject": f"of {agent.name}", "blocked_by": blockers}
        await agent.tool("task_list", {"action": "create", **body})
    await bob.tool("task_list", {"action": "claim", "list_id": "b", "id": "1"})

    async def listed(query: str = "") -> list[Row]:
        found = (await service.get(f"/v1/task-lists/tasks{query}")).json
        return [(one["list_id"], one["id"], one["owner"], one["blocked_by"]) for one in found]

    first: Row = ("a", "1", None, [])
    second: Row = ("a", "2", None, ["1"])
    claimed: Row = ("b", "1", "bob", [])
    assert await listed() == [first, second, claimed]
    assert await listed("?list_id=a") == [first, second]
    assert await listed("?status=in_progress") == [claimed]
    assert await listed("?limit=1") == [first]
    assert await listed("?after=a/1") == [second, claimed]
