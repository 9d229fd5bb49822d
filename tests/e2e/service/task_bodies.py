"""Tasks of one tenant, and valid requests about them."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.e2e.service.http_clients import Agent
from tests.e2e.service.service_process import Json


async def create_task(agent: Agent) -> dict[str, Any]:
    """Return the fields of TenantData: a task that its own agent has, a file and a question."""
    spawn = {"task": "report", "nonblocking": True}
    await agent.request_ok("POST", "/v1/tools/spawn_agent", spawn)
    claim = {"presets": ["-"], "claim_seconds": 3_600}
    task = (await agent.request_ok("POST", "/v1/tasks/claim", claim))["task"]
    path, held = f"/v1/tasks/{task['task_id']}", {"fence": task["fence"]}
    file = {**held, "name": "a.txt", "text": "a"}
    artifact = await agent.request_ok("POST", f"{path}/artifacts", file)
    question = await agent.request_ok("POST", f"{path}/input", {**held, "text": "which?"})
    return {"task": task, "artifact": artifact["id"], "question": question["id"]}


def _held(side: Any) -> Json:  # noqa: ANN401 - a TenantData.
    return {"fence": side.task["fence"], "agent_id": side.agent.id}


TASK_BODIES: Mapping[str, Callable[[Any], Json]] = {
    "spawnAgent": lambda side: {"task": "t", "nonblocking": True, "agent_id": side.agent.id},
    "spawnList": lambda side: {"agent_id": side.agent.id},
    **dict.fromkeys(
        ("spawnStatus", "spawnResult", "cancelSpawn"),
        lambda side: {"task_id": side.task["task_id"], "agent_id": side.agent.id},
    ),
    "claimTask": lambda side: {"presets": ["-"], "agent_id": side.agent.id},
    "addArtifact": lambda side: {**_held(side), "name": "b.txt", "text": "b"},
    "requestInput": lambda side: {**_held(side), "text": "which?"},
    "completeTask": lambda side: {**_held(side), "text": "done"},
    "failTask": lambda side: {**_held(side), "error": "no"},
    **dict.fromkeys(("renewTask", "reportProgress", "releaseTask"), _held),
    "answerTask": lambda side: {
        "input_id": side.question,
        "text": "this one",
        "agent_id": side.agent.id,
    },
    "retryTask": lambda _: {},
}
