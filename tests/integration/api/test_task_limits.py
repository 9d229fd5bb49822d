"""What the operator sets for tasks: how long they are kept."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.task_agents import TaskAgent, apply_preset, create_agent

pytestmark = pytest.mark.asyncio(loop_scope="module")
RETENTION_DAYS = 0.5
PRESET = "writer"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    folder = tmp_path_factory.mktemp("limits") / "data"
    async with run_in_process(folder, task_retention_days=RETENTION_DAYS) as service:
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
