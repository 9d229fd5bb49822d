"""Tasks over HTTP: handed over, claimed, reported on, ended, and refused where they must be."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from quorate.domain.sessions.task_submission import DEPTH_MAX
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.task_agents import TaskAgent, apply_preset, create_agent

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROUTER = "destination-router"
CONTROLS = {
    "tool_controls": {
        "active_tools": ["classify_destination"],
        "tool_choice": {"type": "tool", "name": "classify_destination"},
    }
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("tasks") / "data") as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(service: InProcess) -> TaskAgent:
    await apply_preset(service, ROUTER, CONTROLS)
    await apply_preset(service, "once", {"max_attempts": 1})
    return await create_agent(service, "ann")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bob(service: InProcess) -> TaskAgent:
    return await create_agent(service, "bob")


# -- The course of a task --------------------------------------------------------


async def test_task_is_claimed_reported_on_and_completed(ann: TaskAgent, bob: TaskAgent) -> None:
    spawned = await ann.tool(
        "spawn_agent", {"task": "route it", "context": "c", "preset": ROUTER, "nonblocking": True}
    )
    assert (spawned["status"], spawned["state"], spawned["preset"]) == (
        *("running", "submitted"),
        ROUTER,
    )
    task = await bob.claimed(ROUTER)
    assert (task["task_id"], task["task"], task["context"]) == (spawned["task_id"], "route it", "c")
    assert task["active_tools"] == ["classify_destination"]
    assert task["tool_choice"] == {"type": "tool", "name": "classify_destination"}
    assert (task["attempt"], task["timeout_seconds"]) == (1, 300)

    progress = {"percent": 40, "message": "reading", "output": "so far"}
    assert (await bob.report(task, "progress", **progress))["state"] == "working"
    file = await bob.report(task, "artifacts", name="a.txt", text="file")
    status = await ann.tool("spawn_status", {"task_id": task["task_id"]})
    assert (status["percent"], status["message"], status["worker_id"]) == (40, "reading", bob.id)
    assert status["text"] is None
    body = await ann.call("GET", f"/v1/tasks/{task['task_id']}/artifacts/{file['id']}")
    assert (body["name"], b64decode(body["data"])) == ("a.txt", b"file")
    [output] = status["outputs"]
    body = await ann.call("GET", f"/v1/tasks/{task['task_id']}/artifacts/{output}")
    assert b64decode(body["data"]) == b"so far"

    ended = await bob.report(task, "complete", text="inline", iterations=2, tool_calls_made=3)
    assert (ended["state"], ended["claim_expires_at"]) == ("completed", None)
    result = await ann.tool("spawn_result", {"task_id": task["task_id"]})
    assert (result["status"], result["text"], result["iterations"]) == ("completed", "inline", 2)
    assert (result["tool_calls_made"], result["error"]) == (3, None)


async def test_blocking_spawn_returns_the_result(ann: TaskAgent, bob: TaskAgent) -> None:
    waiting = asyncio.create_task(ann.tool("spawn_agent", {"task": "add 2 and 3"}))
    task = await bob.claimed(wait=10)
    await bob.report(task, "complete", text="5")

    assert (await waiting)["text"] == "5"


async def test_blocking_spawn_reports_the_failure(ann: TaskAgent, bob: TaskAgent) -> None:
    waiting = asyncio.create_task(ann.refused_tool("spawn_agent", {"task": "add"}))
    task = await bob.claimed(wait=10)
    await bob.report(task, "fail", error="no numbers")

    assert await waiting == (409, "spawned_task_failed", "no numbers")


async def test_blocking_spawn_ends_when_the_task_times_out(ann: TaskAgent, bob: TaskAgent) -> None:
    body = {"task": "too slow", "timeout_seconds": 1}
    refused = asyncio.create_task(ann.refused_tool("spawn_agent", body))
    task = await bob.claimed(wait=10)

    assert await refused == (409, "spawned_task_failed", "sub-agent timed out after 1s")
    assert (await bob.refused_report(task, "complete", text="late"))[1] == "stale_fence"


async def test_worker_asks_and_is_answered(ann: TaskAgent, bob: TaskAgent) -> None:
    task_id = await ann.spawn()
    task = await bob.claimed()
    asked = await bob.report(task, "input", text="which one?")
    assert asked["state"] == "input_required"
    [question] = (await ann.tool("spawn_status", {"task_id": task_id}))["inputs"]
    assert (question["text"], question["answer"]) == ("which one?", None)

    path = f"/v1/tasks/{task_id}?wait=10&after={asked['version']}"
    waiting = asyncio.create_task(bob.call("GET", path))
    answer = {"input_id": question["input_id"], "text": "the first"}
    assert (await ann.call("POST", f"/v1/tasks/{task_id}/answer", answer))["state"] == "working"
    [answered] = (await waiting)["inputs"]
    assert answered["answer"] == "the first"
    refused = await ann.refused("POST", f"/v1/tasks/{task_id}/answer", answer)
    assert refused[1] == "task_already_answered"
    await bob.report(task, "complete", text="done")


# -- Claims ------------------------------------------------------------------------


async def test_oldest_task_of_the_named_presets_is_claimed(ann: TaskAgent, bob: TaskAgent) -> None:
    first = await ann.spawn(preset="once")
    second = await ann.spawn(preset=ROUTER)
    claimed = [await bob.claimed(ROUTER, "once") for _ in range(2)]
    assert [one["task_id"] for one in claimed] == [first, second]
    assert await bob.claim(ROUTER, "once", "-") is None
    for task in claimed:
        await bob.report(task, "complete", text="")


async def test_many_workers_get_each_task_once(ann: TaskAgent, bob: TaskAgent) -> None:
    waiting = [asyncio.create_task(bob.claim(wait=20)) for _ in range(40)]
    spawned = await asyncio.gather(*(ann.spawn(f"task {number}") for number in range(40)))
    claimed = await asyncio.gather(*waiting)

    tasks = [one for one in claimed if one is not None]
    assert sorted(one["task_id"] for one in tasks) == sorted(spawned)
    assert len({one["fence"] for one in tasks}) == len(tasks)
    await asyncio.gather(*(bob.report(one, "complete", text="") for one in tasks))


async def test_claim_of_a_bound_key_is_limited_to_its_preset(
    service: InProcess, ann: TaskAgent
) -> None:
    bound = await create_agent(service, "bound", preset=ROUTER)
    await ann.spawn(preset=ROUTER)
    body = {"presets": ["once"]}
    assert (await bound.refused("POST", "/v1/tasks/claim", body))[1] == "claim_denied"
    await bound.report(await bound.claimed(ROUTER), "complete", text="")


async def test_task_that_is_given_back_is_offered_again(ann: TaskAgent, bob: TaskAgent) -> None:
    task_id = await ann.spawn()
    first = await bob.claimed()
    await bob.report(first, "release")
    second = await bob.claimed()

    assert (second["task_id"], second["attempt"]) == (task_id, 2)
    assert second["fence"] > first["fence"]
    for action, fields in (("renew", {}), ("progress", {}), ("complete", {"text": "x"})):
        assert (await bob.refused_report(first, action, **fields))[:2] == (409, "stale_fence")
    await bob.report(second, "complete", text="")


async def test_expired_claim_is_offered_again(ann: TaskAgent, bob: TaskAgent) -> None:
    await ann.spawn()
    first = await bob.claimed(claim_seconds=1)
    second = await bob.claimed(wait=20)

    assert (second["task_id"], second["attempt"]) == (first["task_id"], 2)
    assert (await bob.refused_report(first, "complete", text="late"))[1] == "stale_fence"
    await bob.report(second, "complete", text="")


async def test_claim_ends_with_its_worker(service: InProcess, ann: TaskAgent) -> None:
    leaving = await create_agent(service, "leaving")
    staying = await create_agent(service, "staying")
    task_id = await ann.spawn()
    task = await leaving.claimed()
    await leaving.call("POST", "/v1/agent/deregister", {})

    assert (await staying.claimed(wait=20))["task_id"] == task_id
    await leaving.call("POST", "/v1/agent/register", {"agentName": "leaving"})
    assert (await leaving.refused_report(task, "complete", text=""))[1] == "stale_fence"


async def test_dead_letter_is_listed_and_retried(
    service: InProcess, ann: TaskAgent, bob: TaskAgent
) -> None:
    task_id = await ann.spawn(preset="once")
    await bob.report(await bob.claimed("once"), "fail", error="disk full", outcome="retry")
    status = await ann.tool("spawn_status", {"task_id": task_id})
    assert (status["status"], status["error"]) == ("failed", "disk full")
    listed = (await service.get("/v1/tasks")).json
    assert [one["task_id"] for one in listed] == [task_id]

    retry = f"/v1/tasks/{task_id}/retry"
    assert (await service.call("POST", retry, {})).json["state"] == "submitted"
    assert (await service.call("POST", retry, {})).json["code"] == "task_not_a_dead_letter"
    await bob.report(await bob.claimed("once"), "complete", text="")
    assert (await service.get("/v1/tasks")).json == []


# -- Cancellation --------------------------------------------------------------------


async def test_cancelled_task_accepts_no_result(ann: TaskAgent, bob: TaskAgent) -> None:
    task_id = await ann.spawn()
    task = await bob.claimed()
    cancelled = await ann.tool("cancel_spawn", {"task_id": task_id})
    assert (cancelled["cancelled"], cancelled["status"]) == (True, "cancelled")
    assert cancelled["error"] == "cancelled by caller"

    assert (await bob.refused_report(task, "complete", text="late"))[:2] == (409, "stale_fence")
    again = await ann.tool("cancel_spawn", {"task_id": task_id})
    assert (again["cancelled"], again["status"]) == (False, "cancelled")


# -- Who may do what -------------------------------------------------------------------


async def test_errors_are_those_of_the_original(ann: TaskAgent, bob: TaskAgent) -> None:
    spawn = "spawn_agent"
    refused = [
        await ann.refused_tool(spawn, {}),
        await ann.refused_tool(spawn, {"task": "x", "preset": "nope"}),
        await ann.refused_tool(spawn, {"task": "x", "tool_choice": "sometimes"}),
        await ann.refused_tool("spawn_status", {"task_id": "nope"}),
    ]
    assert [one[2].split(": type")[0] for one in refused] == [
        "missing required parameter: task",
        "spawn preset 'nope' not found in config.agents.presets",
        "invalid tool_choice parameter",
        "spawn task not found: nope",
    ]
    own = await ann.spawn()
    denied = await bob.refused_tool("spawn_status", {"task_id": own})
    assert denied == (403, "task_access_denied", "spawn task access denied")
    assert (await bob.refused_tool("cancel_spawn", {"task_id": own}))[0] == 403
    await ann.tool("cancel_spawn", {"task_id": own})


async def test_list_contains_own_tasks_only(service: InProcess, bob: TaskAgent) -> None:
    cat = await create_agent(service, "cat")
    spawned = [await cat.spawn(f"task {number}") for number in range(3)]
    await cat.tool("cancel_spawn", {"task_id": spawned[0]})
    page = await cat.tool("spawn_list", {"limit": 2})
    assert [one["task_id"] for one in page["tasks"]] == [spawned[2], spawned[1]]
    last = await cat.tool("spawn_list", {"limit": 2, "cursor": page["cursor"]})
    assert ([one["task_id"] for one in last["tasks"]], last["cursor"]) == ([spawned[0]], None)
    running = await cat.tool("spawn_list", {"status": "running"})
    assert running["count"] == 2
    mine = (await bob.tool("spawn_list", {}))["tasks"]
    assert not {one["task_id"] for one in mine} & set(spawned)
    for task_id in spawned:
        await cat.tool("cancel_spawn", {"task_id": task_id})


async def test_task_runs_under_its_policy(ann: TaskAgent, bob: TaskAgent) -> None:
    await ann.spawn(deny_tools=["spawn_list"])
    task = await bob.claimed()
    in_run = {"Quorate_Task": task["task_id"]}
    assert (await bob.refused_tool("spawn_list", {}, **in_run))[1] == "tool_denied"
    denied = await bob.refused_tool("spawn_agent", {"task": "x"}, **in_run)
    assert denied[2] == "tool access denied: spawn_agent"
    assert (await bob.tool("spawn_list", {}))["count"] == 0
    assert (await ann.refused_tool("spawn_list", {}, **in_run))[1] == "stale_fence"
    await bob.report(task, "complete", text="")


async def test_active_tools_hold_for_the_tools_of_the_service(
    ann: TaskAgent, bob: TaskAgent
) -> None:
    await ann.spawn(active_tools=["spawn_list"])
    task = await bob.claimed()
    in_run = {"Quorate_Task": task["task_id"]}
    assert (await bob.tool("spawn_list", {}, **in_run))["count"] == 0
    refused = await bob.refused_tool("spawn_status", {"task_id": "x"}, **in_run)
    assert refused[1] == "tool_denied"
    await bob.report(task, "complete", text="")


async def test_nesting_is_counted_and_limited(ann: TaskAgent, bob: TaskAgent) -> None:
    agent, tasks = ann, []
    headers: dict[str, str] = {}
    for depth in range(1, DEPTH_MAX + 1):
        body = {"task": f"level {depth}", "delegate_only": True, "nonblocking": True}
        await agent.tool("spawn_agent", body, **headers)
        tasks.append(await bob.claimed())
        assert tasks[-1]["depth"] == depth
        agent, headers = bob, {"Quorate_Task": tasks[-1]["task_id"]}
    refused = await bob.refused_tool("spawn_agent", {"task": "deeper"}, **headers)
    assert refused[2] == "maximum sub-agent nesting depth (3) exceeded"
    for task in tasks:
        await bob.report(task, "complete", text="")


async def test_nested_task_ends_with_its_parent(
    service: InProcess, ann: TaskAgent, bob: TaskAgent
) -> None:
    cat = await create_agent(service, "cat")
    parent_id = await ann.spawn("outer", delegate_only=True)
    await bob.claimed()
    body = {"task": "inner", "nonblocking": True}
    nested_id = (await bob.tool("spawn_agent", body, Quorate_Task=parent_id))["task_id"]
    nested = await cat.claimed()
    assert nested["task_id"] == nested_id
    known = await cat.call("GET", f"/v1/tasks/{nested_id}")
    await ann.tool("cancel_spawn", {"task_id": parent_id})
    path = f"/v1/tasks/{nested_id}?wait=25&after={known['version']}"
    ended = await bob.call("GET", path)
    assert (ended["state"], ended["status"]) == ("canceled", "cancelled")
    assert ended["error"] == f"cancelled by the end of task {parent_id}"
    assert (await cat.refused_report(nested, "complete", text="late"))[1] == "stale_fence"
    page = await cat.call("GET", "/v1/agent/notifications?after=0&limit=1000")
    told = [one["data"] for one in page["notifications"] if one["type"].endswith("task_cancelled")]
    assert told == [{"task_id": nested_id, "fence": nested["fence"], "reason": "cancelled"}]
