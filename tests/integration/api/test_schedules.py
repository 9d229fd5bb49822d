"""The tool ``schedule`` over HTTP: the payloads of seed 003, answers and errors."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from quorate.contracts.sessions.schedules import ScheduleInfo, ScheduleResult
from quorate.eventlog import pages
from tests.integration.api.asgi_client import json_request
from tests.integration.api.in_process import InProcess, run_in_process

PATH = "/v1/tools/schedule"
# As seed 003 prints it.
PAYLOAD: dict[str, Any] = {
    "kind": "agentTurn",
    "message": "Generate the report and send it as a document.",
    "active_tools": ["write_file", "send_document"],
    "tool_choice": {"type": "any"},
}
WEEKDAYS = {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"}


class Tool:
    def __init__(self, service: InProcess) -> None:
        self.service = service
        self.keys: dict[str, str] = {}

    async def add(self, name: str) -> None:
        for path, fields in (("/v1/agent/register", {}), ("/v1/keys", {"role": "agent"})):
            response = await self.service.call("POST", path, {"agentName": name, **fields})
            assert response.status == 200, response.body
        self.keys[name] = response.json["key"]

    async def ask(self, by: str, action: str, **fields: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 - JSON.
        request = json_request("POST", PATH, {"action": action, **fields}, key=self.keys[by])
        response = await self.service.ask(request)
        return response.status, dict(response.json)

    async def do(self, by: str, action: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        status, body = await self.ask(by, action, **fields)
        assert status == 200, body
        ScheduleResult.from_json(body)
        return body

    async def fail(self, action: str, **fields: Any) -> tuple[int, str]:  # noqa: ANN401
        status, body = await self.ask("ann", action, **fields)
        assert status >= 400, body
        return status, body["detail"]

    async def create(self, by: str = "ann", **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        given = {"schedule": WEEKDAYS, "payload": PAYLOAD} | fields
        created: dict[str, Any] = (await self.do(by, "create", **given))["schedule"]
        return created


@pytest.fixture
async def tool(tmp_path: Path) -> AsyncIterator[Tool]:
    async with run_in_process(tmp_path / "data") as service:
        tool = Tool(service)
        for name in ("ann", "bob"):
            await tool.add(name)
        yield tool


async def test_schedule_is_created_shown_paused_and_deleted(tool: Tool) -> None:
    created = await tool.create(name="report")
    assert created.keys() == ScheduleInfo.model_fields.keys()
    assert created["schedule"] == WEEKDAYS
    assert created["payload"] == PAYLOAD
    assert (created["session_key"], created["preset"]) == ("agent:ann:main", None)
    assert (created["missed"], created["status"], created["fired_count"]) == ("one", "active", 0)
    id_ = created["id"]
    assert (await tool.do("ann", "get", id=id_))["schedule"] == created
    assert (await tool.do("ann", "list")) == {
        "ok": True,
        "schedules": [created],
        "count": 1,
        "next": None,
    }
    paused = (await tool.do("ann", "pause", id=id_))["schedule"]
    assert (paused["status"], paused["paused_reason"]) == ("paused", "requested")
    resumed = (await tool.do("ann", "resume", id=id_))["schedule"]
    assert resumed == created
    assert await tool.do("ann", "delete", id=id_) == {"ok": True, "deleted": True}
    assert await tool.fail("get", id=id_) == (404, f"schedule not found: {id_}")


async def test_schedule_runs_on_request(tool: Tool) -> None:
    created = await tool.create()
    ran = (await tool.do("ann", "run_now", id=created["id"]))["schedule"]
    assert (ran["fired_count"], ran["next_at"]) == (1, created["next_at"])
    response = await tool.service.get("/v1/events?limit=1000")
    types = [one["type"] for one in response.json["events"]]
    assert types[-2:] == ["ScheduleFired", "SessionMessageAppended"]


async def test_agent_sees_only_its_own_schedules(tool: Tool) -> None:
    created = await tool.create()
    assert (await tool.do("bob", "list"))["schedules"] == []
    for action in ("get", "pause", "resume", "delete", "run_now"):
        status, body = await tool.ask("bob", action, id=created["id"])
        assert (status, body["code"]) == (404, "schedule_not_found"), action
    response = await tool.service.call("POST", PATH, {"action": "list"})
    assert response.json["count"] == 1, "a key of the tenant sees all"


async def test_list_continues_after_a_page(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [(await tool.create())["id"] for _ in range(3)]
    monkeypatch.setattr(pages, "PAGE_BYTES_MAX", 1)
    found: list[str] = []
    after: dict[str, str] = {}
    for _ in range(4):
        page = await tool.do("ann", "list", **after)
        found += [one["id"] for one in page["schedules"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == ids


async def test_errors_say_what_is_wrong(tool: Tool) -> None:
    new = {"schedule": WEEKDAYS, "payload": PAYLOAD}
    assert await tool.fail("dance") == (422, "unknown schedule action: dance")
    assert await tool.fail("create") == (422, "missing required parameter: schedule")
    assert await tool.fail("get") == (422, "missing required parameter: id")
    zone = {"cron": "0 9 * * *", "timezone": "Mars/Base"}
    invalid = "invalid schedule: unknown time zone: Mars/Base"
    assert await tool.fail("create", **new | {"schedule": zone}) == (422, invalid)
    past = {"at": "2020-01-01T00:00:00Z"}
    never = "invalid schedule: it does not occur in the future"
    assert await tool.fail("create", **new | {"schedule": past}) == (422, never)
    both = "invalid schedule: preset and session_key exclude each other"
    assert await tool.fail("create", **new, preset="p", session_key="session:1") == (422, both)
    kind = "invalid schedule: payload.kind is agentTurn"
    assert await tool.fail("create", **new | {"payload": PAYLOAD | {"kind": "x"}}) == (422, kind)
    status, text = await tool.fail(
        "create", **new | {"payload": PAYLOAD | {"tool_choice": {"type": "tool"}}}
    )
    assert (status, text.partition(":")[0]) == (422, "invalid tool_choice parameter")
    assert await tool.fail("create", **new, session_key="session:none") == (
        404,
        "session not found: session:none",
    )
