"""The tool ``task_list`` over HTTP, with the inputs, outputs and texts of seed 003's original."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from quorate.contracts.sessions.task_lists import ListTask, TaskListResult
from quorate.eventlog import pages
from tests.integration.api.asgi_client import json_request
from tests.integration.api.in_process import InProcess, run_in_process

PATH = "/v1/tools/task_list"


class Tool:
    def __init__(self, service: InProcess) -> None:
        self.service = service
        self.keys: dict[str, str] = {}

    async def add(self, name: str, preset: str | None = None) -> None:
        await self._post("/v1/agent/register", agentName=name)
        fields = {} if preset is None else {"preset": preset}
        issued = await self._post("/v1/keys", role="agent", agentName=name, **fields)
        self.keys[name] = issued["key"]

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON.
        response = await self.service.call("POST", path, body)
        assert response.status == 200, response.body
        return dict(response.json)

    async def ask(self, name: str, action: str, **fields: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401
        request = json_request("POST", PATH, {"action": action, **fields}, key=self.keys[name])
        response = await self.service.ask(request)
        return response.status, dict(response.json)

    async def do(self, name: str, action: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        status, body = await self.ask(name, action, **fields)
        assert status == 200, body
        TaskListResult.from_json(body)
        return body

    async def fail(self, name: str, action: str, **fields: Any) -> tuple[int, str]:  # noqa: ANN401
        status, body = await self.ask(name, action, **fields)
        assert status >= 400, body
        return status, body["detail"]


@pytest.fixture
async def tool(tmp_path: Path) -> AsyncIterator[Tool]:
    async with run_in_process(tmp_path / "data") as service:
        tool = Tool(service)
        for name in ("ann", "bob"):
            await tool.add(name)
        yield tool


async def test_actions_answer_as_in_the_original(tool: Tool) -> None:
    created = await tool.do("ann", "create", subject="Write", description="All of it")
    task = created["task"]
    assert created["ok"] is True
    assert task.keys() == ListTask.model_fields.keys()
    assert task | {"created_at": "", "updated_at": "", "item_id": "", "owner_id": None} == {
        "id": "1",
        "subject": "Write",
        "description": "All of it",
        "status": "pending",
        "owner": None,
        "owner_id": None,
        "blocked_by": [],
        "created_at": "",
        "updated_at": "",
        "list_id": "default",
        "item_id": "",
        "version": 1,
    }
    await tool.do("ann", "create", subject="Review", list_id="other")
    both = await tool.do("bob", "list")
    assert [(one["list_id"], one["id"]) for one in both["tasks"]] == [
        ("default", "1"),
        ("other", "1"),
    ]
    assert (both["count"], both["next"]) == (2, None)
    assert await tool.do("bob", "list", list_id="*") == both
    lists = await tool.do("bob", "list_lists")
    assert lists == {"ok": True, "list_ids": ["default", "other"], "count": 2}
    assert (await tool.do("bob", "get", id="1"))["task"] == task
    assert (await tool.do("bob", "get", id=task["item_id"]))["task"] == task
    assert await tool.do("bob", "get", id="7") == {"ok": False, "task": None}
    assert await tool.do("bob", "get", id="item_7") == {"ok": False, "task": None}
    claimed = await tool.do("bob", "claim", id="1", owner="agent:bob:main")
    assert (claimed["task"]["owner"], claimed["task"]["status"]) == ("bob", "in_progress")
    assert (await tool.do("ann", "list", status="in_progress"))["tasks"] == [claimed["task"]]
    done = await tool.do("bob", "update", id="1", status="completed")
    assert done["task"]["status"] == "completed"
    assert await tool.do("ann", "delete", id="1") == {"ok": True, "deleted": True}
    assert await tool.do("ann", "delete", list_id="default") == {"ok": True, "deleted": True}
    followed = await tool.do("ann", "follow", list_id="other")
    assert followed == {"ok": True, "list_id": "other", "following": True}
    assert (await tool.do("ann", "unfollow", list_id="other"))["following"] is False


async def test_errors_have_the_texts_of_the_original(tool: Tool) -> None:
    await tool.do("ann", "create", subject="one")
    await tool.do("ann", "create", subject="two", blocked_by=["1"])
    assert await tool.fail("ann", "dance") == (422, "unknown task_list action: dance")
    assert await tool.fail("ann", "list", status="x") == (422, "unknown task status: x")
    assert await tool.fail("ann", "create") == (422, "missing required parameter: subject")
    assert await tool.fail("ann", "claim") == (422, "missing required parameter: id")
    assert await tool.fail("ann", "claim", id="9") == (404, "task not found: 9")
    blocked = "task 2 is blocked by incomplete tasks: 1"
    assert await tool.fail("ann", "claim", id="2") == (409, blocked)
    await tool.do("ann", "claim", id="1")
    claimed = "task 1 cannot be claimed: current status is in_progress"
    assert await tool.fail("bob", "claim", id="1") == (409, claimed)
    status, _ = await tool.fail("bob", "claim", id="1", owner="ann")
    assert status == 403
    circle = "blocked_by makes a circle: 1 -> 2 -> 1"
    assert await tool.fail("ann", "update", id="1", blocked_by=["2"]) == (422, circle)
    unknown = "blocked_by names a task that does not exist: x"
    assert await tool.fail("ann", "update", id="1", blocked_by=["x"]) == (422, unknown)


@pytest.mark.parametrize("list_id", ["../etc/passwd", "a b", "a/b", "", ".hidden", "a" * 65])
async def test_id_of_a_list_is_validated(tool: Tool, list_id: str) -> None:
    status, _ = await tool.ask("ann", "create", subject="one", list_id=list_id)
    assert status == 422


async def test_pages_end_at_their_limits_and_continue(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for list_id in ("a-b", "a", "b"):
        for _ in range(12 if list_id == "a" else 1):
            await tool.do("ann", "create", subject="s", list_id=list_id)
    whole = (await tool.do("ann", "list"))["tasks"]
    assert [one["list_id"] for one in whole] == ["a"] * 12 + ["a-b", "b"]
    assert [one["id"] for one in whole[:12]] == [str(number) for number in range(1, 13)]
    for limits in ({"limit": 5}, {}):
        if not limits:
            monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 1)
        found: list[Any] = []
        after: dict[str, str] = {}
        while True:
            page = await tool.do("ann", "list", **limits, **after)
            found += page["tasks"]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert found == whole


async def test_restricted_caller_sees_only_its_lists(tool: Tool) -> None:
    presets = {"own": {"sessions": {"can_send": True}}, "none": {"tools": {"deny": ["task_list"]}}}
    await apply_presets(tool.service, presets)
    await tool.add("cid", "own")
    await tool.add("dee", "none")
    await tool.do("ann", "create", subject="hidden", list_id="a")
    await tool.do("cid", "create", subject="mine", list_id="c")
    page = await tool.do("cid", "list", limit=1)
    assert [one["subject"] for one in page["tasks"]] == ["mine"]
    assert page["next"] in {None, "c/1"}
    assert (await tool.do("cid", "list_lists"))["list_ids"] == ["c"]
    for action, fields in (("list", {"list_id": "a"}), ("get", {"id": "1", "list_id": "a"})):
        assert await tool.fail("cid", action, **fields) == (403, "session access denied: list:a")
    assert await tool.fail("dee", "list") == (403, "tool access denied: task_list")


async def apply_presets(service: InProcess, presets: dict[str, Any]) -> None:
    """Apply presets without their operation."""
    from quorate.domain.identity.principals import Principal  # noqa: PLC0415
    from quorate.domain.sessions.presets import ApplyPreset  # noqa: PLC0415
    from quorate.eventlog.envelopes import CommandEnvelope  # noqa: PLC0415

    tenant = service.credentials["tenantId"]
    caller = Principal(key_id="key", role="tenant", tenant=tenant)
    for name, fields in presets.items():
        command = ApplyPreset(caller=caller, name=name, fields=fields, count=0)
        await service.running.service.command_bus.submit(
            CommandEnvelope(
                tenant=tenant,
                actor="key",
                command_id=name,
                command=command,
                render=lambda _: b"",
            )
        )


async def test_request_with_the_same_key_creates_one_task(tool: Tool) -> None:
    body = {"action": "create", "subject": "once"}
    answers = []
    for _ in range(2):
        headers = {"Idempotency-Key": "one"}
        request = json_request("POST", PATH, body, key=tool.keys["ann"], headers=headers)
        answers.append((await tool.service.ask(request)).json)
    assert answers[0] == answers[1]
    assert (await tool.do("ann", "list"))["count"] == 1
