"""Each action of operators needs their keys and a reason, and records both with its event, once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from quorate.contracts.operations import AnyOperation
from quorate.contracts.operator_actions import OPERATOR_ACTIONS, REASON_REQUIRED
from quorate.contracts.registry import OPERATIONS_BY_NAME
from tests.integration.api.asgi_client import AsgiResponse, json_request
from tests.integration.api.in_process import InProcess, run_in_process

WHY = "Because \N{LEFT DOUBLE QUOTATION MARK}Kim\N{RIGHT DOUBLE QUOTATION MARK} asked"
REQUIRED = [OPERATIONS_BY_NAME[name] for name in REASON_REQUIRED]
EVERY = pytest.mark.parametrize("operation", REQUIRED, ids=lambda one: one.name)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path / "data") as running:
        yield running


async def ok(service: InProcess, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON.
    response = await service.call(method, path, body)
    assert response.status == 200, (path, response.json)
    return response.json


async def create_resources(service: InProcess) -> dict[str, str]:
    """Create what the actions are about; return the values of the paths."""
    agent = await ok(service, "POST", "/v1/agent/register", {"agentName": "ann"})
    lease = {"agentName": "ann", "contactEmail": "kim@example.com"}
    lease = await ok(service, "POST", "/v1/agent/coordination/lease", lease)
    proposal = {
        "proposerAgent": "ann",
        "action": "pause outreach",
        "contactEmail": "kim@example.com",
        "reason": "Fatigue",
    }
    proposal = await ok(service, "POST", "/v1/agent/coordination/consensus", proposal)
    named = {"agent_name": "ann"}
    task = {**named, "task": "t", "nonblocking": True}
    task = await ok(service, "POST", "/v1/tools/spawn_agent", task)
    await ok(service, "POST", "/v1/tasks/claim", {**named, "presets": ["-"]})
    body = {
        **named,
        "action": "create",
        "schedule": {"every_seconds": 3_600},
        "payload": {"kind": "agentTurn", "message": "Good morning"},
    }
    schedule = await ok(service, "POST", "/v1/tools/schedule", body)
    return {
        "agent_id": agent["id"],
        "lease_id": lease["id"],
        "consensus_id": proposal["id"],
        "task_id": task["task_id"],
        "schedule_id": schedule["schedule"]["id"],
        "tenant_id": "default",
    }


def admin(service: InProcess) -> str:
    return service.credentials["adminKey"]


async def act(
    service: InProcess,
    operation: AnyOperation,
    ids: dict[str, str],
    body: dict[str, Any],
    key: str | None = None,
) -> AsgiResponse:
    path = operation.path.format(**ids)
    return await service.ask(json_request(operation.method, path, body, key=key or service.key))


async def events(service: InProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await service.get("/v1/events?limit=1000")).json["events"]
    return found


def why_of(event: dict[str, Any]) -> object:
    """Return the text of the operator. A cancelled vote has it where agents give their reason."""
    return event["data"].get("reason" if event["type"] == "ConsensusCancelled" else "detail")


async def prepare(service: InProcess, operation: AnyOperation, ids: dict[str, str]) -> None:
    """Bring about the state that a second action undoes."""
    opposites = {"resumeSchedule": "pauseSchedule", "unpauseTenant": "pauseTenant"}
    if (opposite := opposites.get(operation.name)) is not None:
        response = await act(service, OPERATIONS_BY_NAME[opposite], ids, {"reason": "before"})
        assert response.status == 200


@EVERY
async def test_action_records_actor_and_reason_once(
    service: InProcess, operation: AnyOperation
) -> None:
    ids = await create_resources(service)
    await prepare(service, operation, ids)
    before = len(await events(service))
    first = await act(service, operation, ids, {"reason": WHY})
    recorded = (await events(service))[before:]
    again = await act(service, operation, ids, {"reason": "again"})
    after = await events(service)

    assert (first.status, again.status) == (200, 200), (first.json, again.json)
    assert why_of(recorded[0]) == WHY
    key = (await service.get("/v1/keys/self")).json["id"]
    assert recorded[0]["actor"] == key
    assert after[before:] == recorded, "it is recorded twice"
    assert again.json == first.json


@EVERY
async def test_admin_key_acts_for_the_tenant_that_it_names(
    service: InProcess, operation: AnyOperation
) -> None:
    ids = await create_resources(service)
    await prepare(service, operation, ids)
    name = "tenant_id" if operation.has_snake_case else "tenantId"
    unnamed = await act(service, operation, ids, {"reason": WHY}, key=admin(service))
    named = {"reason": WHY, name: "default"}
    done = await act(service, operation, ids, named, key=admin(service))

    if "{tenant_id}" not in operation.path:
        assert (unnamed.status, unnamed.json["code"]) == (422, "invalid_request")
    assert done.status == 200, done.json
    own = (await service.get("/v1/keys/self", key=admin(service))).json["id"]
    acted = [one for one in await events(service) if why_of(one) == WHY]
    assert [one["actor"] for one in acted] == [own]


@EVERY
@pytest.mark.parametrize("role", ["agent", "auditor", "mail"])
async def test_other_keys_are_refused(
    service: InProcess, operation: AnyOperation, role: str
) -> None:
    ids = await create_resources(service)
    issued = {"role": role, **({"agentName": "ann"} if role == "agent" else {})}
    key = (await ok(service, "POST", "/v1/keys", issued))["key"]
    before = await events(service)
    refused = await act(service, operation, ids, {"reason": WHY}, key=key)

    assert (refused.status, refused.json["code"]) == (403, "role_forbidden")
    assert await events(service) == before


@EVERY
@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x" * 4_001}])
async def test_action_needs_a_reason(
    service: InProcess, operation: AnyOperation, body: dict[str, str]
) -> None:
    ids = await create_resources(service)
    before = await events(service)
    refused = await act(service, operation, ids, body)

    assert (refused.status, refused.json["code"]) == (422, "invalid_request")
    assert await events(service) == before


def test_actions_are_for_operators_and_have_a_field_for_the_reason() -> None:
    for name, field in OPERATOR_ACTIONS.items():
        operation = OPERATIONS_BY_NAME[name]
        model = operation.body or operation.query
        assert model is not None
        assert operation.roles >= {"admin"}, name
        assert model.model_fields[field].is_required() == (name in REASON_REQUIRED), name
        assert operation.command, name
    assert all(one.roles == {"admin", "tenant"} for one in REQUIRED)


def test_every_operation_with_a_required_reason_of_operators_is_listed() -> None:
    """Control: an action that is added and not listed here is noticed."""
    found = {
        name
        for name, one in OPERATIONS_BY_NAME.items()
        if one.roles == {"admin", "tenant"}
        and one.body is not None
        and "reason" in one.body.model_fields
        and one.body.model_fields["reason"].is_required()
    }
    assert found == REASON_REQUIRED.keys()


async def test_reason_is_optional_where_it_was_not_asked_for_before(service: InProcess) -> None:
    keys = [(await ok(service, "POST", "/v1/keys", {"role": "auditor"}))["id"] for _ in range(2)]
    for key, query in zip(keys, ("?reason=leaked", ""), strict=True):
        await service.call("DELETE", f"/v1/keys/{key}{query}")
    for query in ("?reason=overdue", ""):
        for action in ("suspend", "resume"):
            path = f"/v1/tenants/default/{action}{query}"
            assert (await service.call("POST", path, key=admin(service))).status == 200
    recorded = (await events(service))[-6:]

    assert [(one["type"], one["data"].get("detail")) for one in recorded] == [
        ("KeyRevoked", "leaked"),
        ("KeyRevoked", None),
        ("TenantSuspended", "overdue"),
        ("TenantResumed", "overdue"),
        ("TenantSuspended", None),
        ("TenantResumed", None),
    ]
