"""The programs of seed 002 work after changing only the base URL, the keys and the mail domain."""

import asyncio
import itertools
import json
from typing import Any

import pytest

from tests.e2e.service import seed_002
from tests.e2e.service.http_clients import Agent, Tenant
from tests.e2e.service.seed_002 import SeedDocument
from tests.e2e.service.service_process import Json, ServiceProcess

TASK = {"id": "search", "name": "Web Search", "description": "Search", "deadline": "tomorrow"}


class Scene:
    """Agents of a tenant, and the document for their service."""

    def __init__(self, document: SeedDocument, tenant: Tenant) -> None:
        self.document = document
        self.tenant = tenant

    async def agents(self, *names: str) -> list[Agent]:
        return await self.tenant.create_agents(*names)

    def address(self, name: str) -> str:
        return f"{name}@{self.document.domain}"

    async def run(self, name: str, *addresses: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401
        """Execute a block in a thread, as it blocks."""
        return await asyncio.to_thread(self.document.run, name, *addresses, **given)


@pytest.fixture
async def scene(service: ServiceProcess, tenant: Tenant) -> Scene:
    path = seed_002.find_document()
    if path is None or not path.exists():
        pytest.skip(f"the document is not here; {seed_002.VARIABLE} may name its file")
    probe = await tenant.create_agent("probe")
    account = await probe.request_ok("GET", "/email/account")
    domain = account["email_address"].partition("@")[2]
    return Scene(SeedDocument.read(path, service.url, domain), tenant)


def headers(agent: Agent) -> dict[str, str]:
    return {"X-API-Key": agent.text}


async def inbox(agent: Agent) -> list[Json]:
    return list((await agent.request_ok("GET", "/email/inbox"))["messages"])


async def test_three_primitives(scene: Scene) -> None:
    ann, bob = await scene.agents("ann", "bob")
    task = {"rows": 3}

    await scene.run("direct send", scene.address("bob"), HEADERS=headers(ann), task_payload=task)
    (original,) = await inbox(bob)
    await scene.run("reply", HEADERS=headers(bob), original_message=original, result="done")
    seen: list[Json] = []
    thread_id = original["thread_id"]
    await scene.run(
        "thread", HEADERS=headers(ann), thread_id=thread_id, process_message=seen.append
    )

    assert original["subject"] == "Task: Process customer data"
    assert [one["body_text"] for one in seen] == [json.dumps(task), "done"]
    assert seen[1]["subject"] == "Re: Task: Process customer data"


async def test_orchestrator_delegates_and_polls_for_results(scene: Scene) -> None:
    hub, spoke = await scene.agents("hub", "spoke")
    orchestrator = (await scene.run("orchestrator"))["OrchestratorAgent"](hub.text, "hub")

    thread_id = await asyncio.to_thread(orchestrator.delegate_task, "spoke", TASK)
    collecting = asyncio.create_task(asyncio.to_thread(orchestrator.collect_results, ["search"]))
    (message,) = await inbox(spoke)
    task = json.loads(message["body_text"])
    answer = {"task_id": task["task_id"], "result": 42}
    body = {
        "to": [task["callback"]],
        "subject": f"RESULT:{task['task_id']}",
        "body_text": json.dumps(answer),
    }
    await spoke.request_ok("POST", "/email/send", body)

    assert await collecting == {"search": 42}
    assert (message["kind"], message["task_id"]) == ("TASK", "search")
    assert message["thread_id"] == thread_id


async def test_pipeline_forwards_in_one_thread(scene: Scene) -> None:
    names = ("stage1", "stage2", "stage3", "output")
    agents = dict(zip(names, await scene.agents(*names), strict=True))
    source = (await scene.agents("source"))[0]
    base = (await scene.run("pipeline"))["PipelineAgent"]

    class Doubling(base):  # type: ignore[misc, valid-type]
        def process(self, data: int) -> int:
            return 2 * data

    body = {"to": [scene.address("stage1")], "subject": "Double", "body_text": "1"}
    sent = await source.request_ok("POST", "/email/send", body)
    for name, following in itertools.pairwise(names):
        stage = Doubling(agents[name].text, name, following)
        await asyncio.to_thread(stage.process_and_forward)

    (result,) = await inbox(agents["output"])
    thread = await agents["output"].request_ok("GET", f"/email/thread/{sent['thread_id']}")
    assert result["body_text"] == "8"
    assert [one["body_text"] for one in thread["messages"]] == ["1", "2", "4", "8"]
    assert thread["participant_addresses"] == [scene.address(one) for one in ("source", *names)]


async def test_shared_thread_reaches_all_participants(scene: Scene) -> None:
    ann, bob, eve = await scene.agents("ann", "bob", "eve")
    base = (await scene.run("shared thread"))["SharedThreadCoordinator"]

    def coordinator(agent: Agent) -> Any:  # noqa: ANN401 - a class of the document.
        made = base()
        made.headers = headers(agent)
        return made

    first = coordinator(ann)
    thread_id = await asyncio.to_thread(first.create_discussion, ["bob", "eve"], "Prices")
    await asyncio.to_thread(coordinator(bob).contribute_to_thread, thread_id, "Lower them")
    await asyncio.to_thread(coordinator(eve).contribute_to_thread, thread_id, "Keep them")

    texts = [one["body_text"] for one in await inbox(ann)]
    assert texts == ["Keep them", "Lower them"]


async def test_errors_are_escalated_up_to_a_person(scene: Scene) -> None:
    worker, lead = await scene.agents("worker", "lead")
    chain = [
        scene.address("lead"),
        scene.address("lead"),
        scene.address("absent"),
        "kim@example.com",
    ]
    escalate = (await scene.run("escalation", *chain))["escalate_error"]
    error = {"type": "Timeout", "message": "no response"}

    for level in range(len(chain) + 1):
        await asyncio.to_thread(escalate, worker.text, error, {"attempt": 1}, level)

    sent = (await worker.request_ok("GET", "/email/sent"))["messages"]
    assert [one["status"] for one in reversed(sent)] == [
        "delivered",
        "delivered",
        "bounced",
        "held",
    ]
    assert [(one["kind"], one["level"]) for one in await inbox(lead)] == [
        ("ESCALATION", 1),
        ("ESCALATION", 0),
    ]


async def test_result_is_sent_to_the_callback(scene: Scene) -> None:
    requester, worker = await scene.agents("requester", "worker")
    addresses = (scene.address("worker"), scene.address("requester"))

    names = await scene.run(
        "callbacks", *addresses, HEADERS=headers(requester), WORKER_HEADERS=headers(worker)
    )
    (message,) = await inbox(worker)
    task = json.loads(message["body_text"])
    await asyncio.to_thread(names["complete_and_callback"], task, "the analysis")

    (result,) = await inbox(requester)
    assert (result["subject"], result["body_text"]) == (
        "RESULT: Market analysis complete",
        "the analysis",
    )
    assert (result["kind"], result["task_id"]) == ("RESULT", None)  # The subject has no task id.


async def test_fan_out_with_a_check_of_the_limits(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (ann,) = await scene.agents("ann")
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def send_task(agent_id: str, task: str) -> None:
        body = {"to": [scene.address(agent_id)], "subject": "Task", "body_text": task}
        await ann.request_ok("POST", "/email/send", body)

    fan_out = (await scene.run("fan out", send_task=send_task))["fan_out"]
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", pause)
        await fan_out([("ann", f"{number}") for number in range(6)])
    few = await scene.run("limits", HEADERS=headers(ann), tasks=range(3))
    await scene.run("limits", HEADERS=headers(ann), tasks=range(few["remaining"] + 1))

    hourly = few["account"]["rate_limits"]["hourly"]
    assert pauses == [1]
    assert (hourly["used"], few["remaining"]) == (6, hourly["limit"] - 6)
    assert capsys.readouterr().out == (
        f"Warning: Only {few['remaining']} sends remaining this hour. Queuing the rest.\n"
    )


async def test_audit_prints_the_thread(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    ann, _ = await scene.agents("ann", "bob")
    body = {"to": [scene.address("bob")], "subject": "Plan", "body_text": "one"}
    sent = await ann.request_ok("POST", "/email/send", body)
    audit = (await scene.run("audit"))["audit_workflow"]

    await asyncio.to_thread(audit, sent["thread_id"], ann.text)

    printed = capsys.readouterr().out
    assert "Workflow: Plan\n" in printed
    assert f"Participants: {scene.address('ann')}, {scene.address('bob')}\n" in printed
    assert "Duration: 1 exchanges\n" in printed
    assert "  one...\n" in printed
