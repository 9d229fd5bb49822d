"""What the operator sets for tasks: how long they are kept, and how many an agent may have."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from quorate.domain.shared.quotas import Quotas
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.task_agents import TaskAgent, apply_preset, create_agent

pytestmark = pytest.mark.asyncio(loop_scope="module")
RETENTION_DAYS = 0.5
PRESET = "writer"
OPEN_TASKS_MAX = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("limits") / "data"
    quotas = Quotas(open_tasks_per_agent=OPEN_TASKS_MAX)
    async with run_in_process(folder, quotas=quotas, task_retention_days=RETENTION_DAYS) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: InProcess) -> TaskAgent:
    await apply_preset(service, PRESET, {})
    return await create_agent(service, "ann")


async def _submitted(service: InProcess, task_id: str) -> dict[str, Any]:
    """Return the data of the event that submitted the task."""
    events = (await service.get("/v1/events?limit=1000")).json["events"]
    (found,) = [
        one["data"]
        for one in events
        if one["type"] == "TaskSubmitted" and one["data"]["taskId"] == task_id
    ]
    return dict(found)


async def test_task_is_kept_as_long_as_the_operator_set(service: InProcess, ann: TaskAgent) -> None:
    submitted = await _submitted(service, await ann.spawn())
    assert submitted["retentionSeconds"] == RETENTION_DAYS * 86_400


async def test_task_of_a_schedule_is_kept_as_long(service: InProcess, ann: TaskAgent) -> None:
    schedule = {
        "action": "create",
        "schedule": {"every_seconds": 3_600},
        "payload": {"kind": "agentTurn", "message": "Write the report."},
        "preset": PRESET,
    }
    created = (await ann.tool("schedule", schedule))["schedule"]
    await ann.tool("schedule", {"action": "run_now", "id": created["id"]})
    task = (await ann.tool("spawn_list", {"status": "running"}))["tasks"][0]
    submitted = await _submitted(service, task["task_id"])
    assert submitted["retentionSeconds"] == RETENTION_DAYS * 86_400


async def test_open_tasks_of_an_agent_are_limited_and_shown(service: InProcess) -> None:
    cat = await create_agent(service, "cat")
    first, *_ = [await cat.spawn() for _ in range(OPEN_TASKS_MAX)]
    body = {"task": "report", "nonblocking": True}
    refused = await cat.request("POST", "/v1/tools/spawn_agent", body)
    assert (refused.status, refused.json["code"]) == (429, "quota_exceeded")
    assert (refused.json["quota"], refused.json["limit"]) == (
        "open_tasks_per_agent",
        OPEN_TASKS_MAX,
    )
    used = {"quota": "open_tasks_per_agent", "used": OPEN_TASKS_MAX, "limit": OPEN_TASKS_MAX}
    assert used in (await cat.call("GET", "/v1/quotas"))["quotas"]
    await cat.tool("cancel_spawn", {"task_id": first})
    assert used | {"used": OPEN_TASKS_MAX - 1} in (await cat.call("GET", "/v1/quotas"))["quotas"]
    await cat.spawn()
