"""Every action of operators that a page offers asks for a reason, and its event holds it."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from quorate.api.console.actions import ACTIONS, Action
from quorate.api.console.caller import BY_NAME
from quorate.application.system_commands import SystemCommands
from quorate.contracts.operator_actions import OPERATOR_ACTIONS
from quorate.domain.mail.delivery_attempts import QueueHeld, RecordFailure
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.shared.state import Command
from quorate.eventlog.event_filter import Filter
from tests.integration.api.console.test_console import log_in, page, post
from tests.integration.api.in_process import InProcess, run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY = "Because <Kim> asked"
OFFERED = [one for one in ACTIONS if one.operation in BY_NAME]
EVERY = pytest.mark.parametrize("action", OFFERED, ids=lambda one: one.operation)
OPPOSITES = {
    "resumeSchedule": "pauseSchedule",
    "thawMailAccount": "freezeMailAccount",
    "resumeTenant": "suspendTenant",
    "unpauseTenant": "pauseTenant",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("actions") / "data") as service:
        yield service


async def ok(service: InProcess, path: str, body: object, *, method: str = "POST") -> Any:  # noqa: ANN401
    response = await service.call(method, path, body)
    assert response.status == 200, (path, response.json)
    return response.json


async def create_target(service: InProcess, action: Action) -> str:
    """Create what an action is about; return its id."""
    name = f"for-{action.operation}".lower()
    if action.parameter == "tenant_id":
        admin = service.credentials["adminKey"]
        created = await service.call("POST", "/v1/tenants", {"tenantId": name}, key=admin)
        assert created.status == 200
        return name
    agent = (await ok(service, "/v1/agent/register", {"agentName": name}))["id"]
    create = {
        "lease_id": lease,
        "consensus_id": proposal,
        "key_id": key,
        "delivery_id": dead_letter,
        "task_id": dead_task if action.operation == "retryTask" else claimed_task,
        "schedule_id": schedule,
    }.get(action.parameter)
    return str(agent) if create is None else str(await create(service, name))


async def lease(service: InProcess, name: str) -> Any:  # noqa: ANN401 - JSON.
    body = {"agentName": name, "contactEmail": f"{name}@example.com"}
    return (await ok(service, "/v1/agent/coordination/lease", body))["id"]


async def proposal(service: InProcess, name: str) -> Any:  # noqa: ANN401 - JSON.
    body = {"proposerAgent": name, "action": "a", "reason": "b", "contactEmail": "c@d.eu"}
    return (await ok(service, "/v1/agent/coordination/consensus", body))["id"]


async def key(service: InProcess, _name: str) -> Any:  # noqa: ANN401 - JSON.
    return (await ok(service, "/v1/keys", {"role": "auditor"}))["id"]


async def schedule(service: InProcess, name: str) -> Any:  # noqa: ANN401 - JSON.
    body = {
        "agent_name": name,
        "action": "create",
        "payload": {"kind": "agentTurn", "message": "Good morning"},
        "schedule": {"every_seconds": 3_600},
    }
    return (await ok(service, "/v1/tools/schedule", body))["schedule"]["id"]


async def dead_letter(service: InProcess, name: str) -> str:
    body = {"agent_name": name, "to": ["kim@example.com"], "subject": "Hello"}
    message = str((await ok(service, "/email/send", body))["message_id"])
    delivery = f"{message}.0"
    running = service.running.service
    system = SystemCommands(running.command_bus, running.clock, lambda _: running.id())
    policy = RetryPolicy(hours=0)
    commands: tuple[Command, ...] = (
        QueueHeld(message_id=message, delivery_id=delivery),
        RecordFailure(message_id=message, delivery_id=delivery, is_permanent=False, policy=policy),
    )
    for command in commands:
        await system.submit("default", command)
    return delivery


async def claim(service: InProcess, name: str) -> Any:  # noqa: ANN401 - JSON.
    """Claim a task that has one attempt."""
    await ok(service, f"/v1/presets/{name}", {"max_attempts": 1}, method="PUT")
    spawn = {"agent_name": name, "task": "t", "nonblocking": True, "preset": name}
    await ok(service, "/v1/tools/spawn_agent", spawn)
    claimed = {"agent_name": name, "presets": [name]}
    return (await ok(service, "/v1/tasks/claim", claimed))["task"]


async def claimed_task(service: InProcess, name: str) -> str:
    return str((await claim(service, name))["task_id"])


async def dead_task(service: InProcess, name: str) -> str:
    task = await claim(service, name)
    failed = {"agent_name": name, "fence": task["fence"], "error": "full", "outcome": "retry"}
    await ok(service, f"/v1/tasks/{task['task_id']}/fail", failed)
    return str(task["task_id"])


async def log_in_as(service: InProcess, action: Action) -> tuple[str, str]:
    """Return the cookie of a key that may act, and the tenant whose log has the event."""
    if "tenant" in BY_NAME[action.operation].roles and action.parameter != "tenant_id":
        return await log_in(service, service.key), "default"
    cookie = await log_in(service, service.credentials["adminKey"])
    return cookie, f"for-{action.operation}".lower()


async def reasons(service: InProcess, tenant: str) -> list[str]:
    """Return the reasons that the events of a tenant hold."""
    found = await service.running.service.log.page(tenant, 0, 1_000, Filter())
    texts = [orjson.loads(one.data) for one in found.events]
    return [one.get("detail") or one.get("reason") or "" for one in texts]


@EVERY
async def test_action_says_what_follows_and_its_event_holds_the_reason(
    service: InProcess, action: Action
) -> None:
    why = f"Because <Kim> asked for {action.operation}"
    id_ = await create_target(service, action)
    cookie, tenant = await log_in_as(service, action)
    path = f"/actions/{action.operation}"
    if (opposite := OPPOSITES.get(action.operation)) is not None:
        await post(service, f"/actions/{opposite}", cookie, id=id_, reason="before")

    shown = (await page(service, f"{path}?id={id_}", cookie)).body.decode()
    assert action.consequence in shown
    assert 'name="reason"' in shown
    assert id_ in shown
    unexplained = await post(service, path, cookie, id=id_, reason=" ")
    assert (unexplained.status, why in await reasons(service, tenant)) == (422, False)

    done = await post(service, path, cookie, id=id_, reason=why)
    assert done.status == 303, done.body.decode()
    assert why in await reasons(service, tenant)


async def test_operations_with_a_reason_of_operators_are_offered() -> None:
    """Control: an operation that is added to the contract and not to the pages is noticed."""
    assert {one.operation for one in OFFERED} == OPERATOR_ACTIONS.keys()


async def test_rejected_action_says_why_and_keeps_the_reason(service: InProcess) -> None:
    cookie = await log_in(service, service.key)
    response = await post(
        service, "/actions/endLease", cookie, id="0193f2a7-0000-7000-8000-0000000000ff", reason=WHY
    )
    assert response.status == 422
    assert "Because &lt;Kim&gt; asked" in response.body.decode()
