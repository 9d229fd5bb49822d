"""A paused tenant is read only: each operation that writes is refused, each that reads is served.

The operations come from the registry, and their requests from the tests of isolation, so a new
operation is covered automatically.
"""

import asyncio
import json
from collections.abc import Sequence

import pytest

from quorate.api.routes import ENDPOINTS
from quorate.contracts.operations import AnyOperation, is_pausable
from quorate.domain.identity.principals import Role
from quorate.domain.shared.records import changed
from tests.e2e.service.http_clients import Operator, Tenant
from tests.e2e.service.nats_agent import NatsAgent
from tests.e2e.service.service_process import Json
from tests.e2e.service.tenant_data import TenantData, address_of, create_tenant_data
from tests.e2e.service.two_tenants import OK, EndpointRequest

CALLERS: Sequence[Role] = ("agent", "tenant")
OF_TENANTS = [one for one in ENDPOINTS if one.roles & {*CALLERS}]
READING = [one for one in OF_TENANTS if not one.command]
REFUSED = [one for one in OF_TENANTS if one.command and is_pausable(one)]
SERVED = [one for one in OF_TENANTS if one.command and not is_pausable(one)]
BY_OPERATORS = [one for one in ENDPOINTS if one.command and one.roles == {"admin", "tenant"}]
PAUSED = (409, "tenant_paused")
WHY = {"reason": "It repeats itself"}


@pytest.fixture
async def side(operator: Operator) -> TenantData:
    return await create_tenant_data(operator)


async def pause(tenant: Tenant, action: str = "pause") -> Json:
    found: Json = await tenant.request_ok("POST", f"/v1/tenants/{tenant.id}/{action}", WHY)
    return found


def request_of(endpoint: AnyOperation, side: TenantData) -> EndpointRequest:
    """Return a request that writes, if the operation can; the others of the tool only read."""
    request = EndpointRequest.of(endpoint, side)
    if endpoint.name == "sessionState":
        value = {"namespace": "x", "operation": "set", "key": "k", "value": 1}
        return changed(request, body={"agent_id": side.agent.id, **value})
    return request


async def answers(side: TenantData, endpoint: AnyOperation) -> list[tuple[int, str]]:
    """Return status and code of the operation for an agent key and a tenant key, as permitted."""
    found = []
    for role in CALLERS:
        if role in endpoint.roles:
            response = await request_of(endpoint, side).send_as(side.callers[role])
            has_code = response.status != OK
            found.append((response.status, json.loads(response.body)["code"] if has_code else ""))
    return found


async def test_writing_operations_are_refused_and_reading_ones_are_served(side: TenantData) -> None:
    paused = await pause(side.tenant)
    before = await side.tenant.events()
    written = {one.name: await answers(side, one) for one in REFUSED}
    read = {one.name: await answers(side, one) for one in READING}
    recorded = await side.tenant.events()

    assert before[-1]["type"] == "TenantPaused"
    assert "pausedAt" in paused
    assert {name for name, one in written.items() if set(one) != {PAUSED}} == set()
    assert {name for name, one in read.items() if {status for status, _ in one} != {OK}} == set()
    assert recorded == before


async def test_tools_that_also_write_are_read(side: TenantData) -> None:
    await pause(side.tenant)
    state = {"operation": "list", "namespace": "x"}
    bodies = {"session_state": state, "task_list": {"action": "list"}}
    for tool, body in {**bodies, "schedule": {"action": "list"}}.items():
        response = await side.agent.request("POST", f"/v1/tools/{tool}", body)
        assert response.status_code == OK, response.json()


async def test_no_operation_is_refused_in_a_tenant_that_is_not_paused(side: TenantData) -> None:
    """Control: the requests above are refused for the pause and for nothing else."""
    await pause(side.tenant)
    await pause(side.tenant, "unpause")
    found = {one.name: await answers(side, one) for one in REFUSED}

    assert len(found) > len(SERVED)
    assert {name for name, one in found.items() if PAUSED in one} == set()


async def test_agents_report_life_and_release_and_operators_act(side: TenantData) -> None:
    await pause(side.tenant)
    found = {one.name: await answers(side, one) for one in SERVED if one.name != "unpauseTenant"}

    assert {"heartbeat", "releaseLease", "releaseTask", "endLease", "revokeKey"} <= found.keys()
    assert {name for name, one in found.items() if PAUSED in one} == set()


async def test_admin_key_acts_in_a_paused_tenant(side: TenantData) -> None:
    await pause(side.tenant)
    operator = side.tenant.operator
    for endpoint in BY_OPERATORS:
        response = await EndpointRequest.of(endpoint, side).send_as(operator)
        assert response.status == OK or json.loads(response.body)["code"] != "tenant_paused"


async def test_commands_over_nats_are_refused(side: TenantData) -> None:
    await pause(side.tenant)
    ann = await NatsAgent.of(side.agent)
    over_nats = [one for one in ENDPOINTS if one.over_nats]
    for endpoint in over_nats:
        response = await ann.request(endpoint.name, request_of(endpoint, side).message())
        is_refused = (response.status, response.code) == PAUSED
        assert is_refused == (endpoint in REFUSED), (endpoint.name, response)
    await pause(side.tenant, "unpause")
    await ann.request_ok("register", agentName=side.agent.name)


async def test_claim_that_waits_gets_no_task_of_a_paused_tenant(side: TenantData) -> None:
    bob = await side.tenant.create_agent("bob")
    wait = {"presets": ["-"], "wait": 30}
    claim = asyncio.create_task(bob.request("POST", "/v1/tasks/claim", wait))
    await pause(side.tenant)
    await side.tenant.request_ok("POST", f"/v1/tasks/{side.task['task_id']}/requeue", WHY)
    refused = await claim

    assert (refused.status_code, refused.json()["code"]) == PAUSED


async def test_mail_from_outside_is_to_be_delivered_later(side: TenantData) -> None:
    await pause(side.tenant)
    raw = f"From: kim@example.com\r\nTo: {address_of(side.agent, side.tenant)}\r\n\r\nHello.\r\n"
    path, headers = "/email/inbound", {"Content-Type": "message/rfc822"}
    refused = await side.mail.request("POST", path, content=raw, headers=headers)
    await pause(side.tenant, "unpause")
    accepted = await side.mail.request("POST", path, content=raw, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"] == "300"
    assert (accepted.status_code, len(accepted.json()["accepted"])) == (OK, 1)


async def test_message_is_read_and_not_marked(side: TenantData) -> None:
    await pause(side.tenant)
    path = f"/email/message/{side.message}"
    read = await side.agent.request("GET", path)
    await pause(side.tenant, "unpause")
    marked = await side.agent.request("GET", path)

    assert (read.status_code, read.json()["read_at"]) == (OK, None)
    assert marked.json()["read_at"] is not None


async def test_tenant_key_pauses_only_its_own_tenant(tenant: Tenant, other: Tenant) -> None:
    for action in ("pause", "unpause"):
        response = await tenant.request("POST", f"/v1/tenants/{other.id}/{action}", WHY)
        assert (response.status_code, response.json()["code"]) == (404, "tenant_not_found")
    assert "pausedAt" not in await other.request_ok("GET", f"/v1/tenants/{other.id}")
