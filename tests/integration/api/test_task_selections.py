"""Operators list tasks by their state, and the schedules of all agents."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.api.asgi_client import AsgiResponse
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.task_agents import TaskAgent, apply_preset, create_agent

SELECTIONS = ("open", "submitted", "working", "input_required", "ended", "dead")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as service:
        yield service


async def listed(service: InProcess, query: str) -> list[str]:
    response = await service.get(f"/v1/tasks?{query}")
    assert response.status == 200, response.body
    return [one["task_id"] for one in response.json]


async def work(ann: TaskAgent, bob: TaskAgent) -> dict[str, str]:
    """Bring one task into each state; return their ids by the state."""
    ids: dict[str, str] = {}
    for state in ("working", "input_required", "completed"):
        ids[state] = await ann.spawn()
        task = await bob.claimed()
        if state == "input_required":
            await bob.report(task, "input", text="Which one?")
        if state == "completed":
            await bob.report(task, "complete", text="done")
    ids["auth_required"] = await ann.spawn()
    await bob.report(await bob.claimed(), "input", text="May I?", kind="auth")
    ids["dead"] = await ann.spawn(preset="once")
    await bob.report(await bob.claimed("once"), "fail", error="disk full", outcome="retry")
    ids["submitted"] = await ann.spawn()
    return ids


async def test_tasks_are_listed_by_their_state(service: InProcess) -> None:
    await apply_preset(service, "once", {"max_attempts": 1})
    ids = await work(await create_agent(service, "ann"), await create_agent(service, "bob"))
    expected = {
        "submitted": ["submitted"],
        "working": ["working"],
        "input_required": ["input_required", "auth_required"],
        "open": ["working", "input_required", "auth_required", "submitted"],
        "ended": ["dead", "completed"],
        "dead": ["dead"],
    }
    for selection in SELECTIONS:
        found = await listed(service, f"state={selection}")
        assert found == [ids[state] for state in expected[selection]], selection
    assert await listed(service, "") == [ids["dead"]], "the default is as before"
    unknown = await service.get("/v1/tasks?state=lost")
    assert (unknown.status, unknown.json["code"]) == (422, "invalid_request")


async def test_listed_task_shows_its_claim_and_how_its_text_begins(
    service: InProcess,
) -> None:
    ann = await create_agent(service, "ann")
    text = "\u20ac" * 1_000
    await ann.spawn(text, context="a secret")
    await ann.spawn()
    claimed = await ann.claimed()
    first, second = (await service.get("/v1/tasks?state=open")).json
    assert first["claim_expires_at"] == claimed["claim_expires_at"]
    assert (second["claim_expires_at"], second["worker_id"]) == (None, None)
    assert first["task"] == text[:200], "the beginning, in whole characters"
    assert (first["context"], second["task"]) == (None, "report")


async def test_pages_of_open_tasks_follow_each_other(service: InProcess) -> None:
    ann = await create_agent(service, "ann")
    ids = [await ann.spawn(f"{number}") for number in range(5)]
    await ann.claimed()
    path: str | None = "/v1/tasks?state=open&limit=2"
    found: list[str] = []
    while path is not None:
        response: AsgiResponse = await service.get(path)
        found += [one["task_id"] for one in response.json]
        link = response.header("link")
        path = None if link is None else link[1 : link.index(">")]
    assert found == ids


async def test_schedules_of_all_agents_are_listed_without_messages(service: InProcess) -> None:
    ids = []
    for name in ("ann", "bob"):
        agent = await create_agent(service, name)
        turn = {"kind": "agentTurn", "message": "a secret"}
        body = {"action": "create", "schedule": {"every_seconds": 3600}, "payload": turn}
        ids.append((await agent.tool("schedule", body))["schedule"]["id"])
        refused = await agent.refused("GET", "/v1/schedules")
        assert refused[:2] == (403, "role_forbidden")
    first = await service.get("/v1/schedules?limit=1")
    second = await service.get(f"/v1/schedules?after={first.json[0]['id']}")
    assert [one["id"] for one in (*first.json, *second.json)] == ids
    assert b"a secret" not in first.body + second.body
    assert "payload" not in first.json[0]
