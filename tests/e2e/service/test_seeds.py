"""The requests of the two seed documents work as printed, in order."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from httpx2 import Response

from tests.e2e.service import printed_requests, seed_000, seed_001
from tests.e2e.service.http_clients import AGENT, COORDINATION, LEASE, Operator, Tenant, rejection
from tests.e2e.service.printed_requests import (
    PrintedRequest,
    assert_matches,
    parse_curl,
    parse_plain,
    replace_ids,
)
from tests.e2e.service.service_process import Json

FIRST_TENANT, SECOND_TENANT = "tenant_abc123", "your-tenant-id"  # As printed in the seeds.
PROPOSAL = {"action": "a", "contactEmail": "user@example.com", "reason": "r"}


class Reader:
    """Sends the printed requests with the ids and the key of a tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.ids: dict[str, str] = {}

    def set_id(self, actual: str, *shown: str) -> None:
        """Replace each of the shown ids with ``actual`` from now on."""
        self.ids |= dict.fromkeys(shown, actual)

    async def send(
        self, request: PrintedRequest, more_ids: Mapping[str, str] | None = None
    ) -> Response:
        ids = {**self.ids, "YOUR_API_KEY": str(self.tenant.key), **(more_ids or {})}
        return await self.tenant.http.request(
            request.method,
            replace_ids(request.path, ids),
            content=None if request.body is None else replace_ids(request.body, ids),
            headers={name: replace_ids(value, ids) for name, value in request.headers.items()},
        )

    async def do(self, request: PrintedRequest, expected: str, status: int = 200) -> Json:
        """Send a printed request and assert the printed response."""
        response = await self.send(request)
        assert response.status_code == status, response.text
        assert_matches(response.json(), expected, self.ids)
        found = response.json()
        return dict(found[-1] if isinstance(found, list) else found)


def minutes(response: Json, first: str, last: str) -> float:
    began, ended = (datetime.fromisoformat(response[name]) for name in (first, last))
    return (ended - began) / timedelta(minutes=1)


# -- Printed requests --------------------------------------------------------


async def test_every_request_of_seed_000_works(operator: Operator) -> None:
    reader = Reader(await operator.create_tenant(FIRST_TENANT))

    await register_and_heartbeat(reader)
    await acquire_release_and_list(reader)
    await propose_and_vote(reader)
    await configure(reader)


async def register_and_heartbeat(reader: Reader) -> None:
    agent = await reader.do(parse_curl(seed_000.REGISTER), seed_000.REGISTERED)
    reader.set_id(agent["id"], "agent_a1b2c3d4e5f6")
    assert printed_requests.AGENT.fullmatch(agent["id"])
    again = await reader.do(parse_curl(seed_000.REGISTER), seed_000.REGISTERED)
    assert again["registeredAt"] == agent["registeredAt"], "the same name is updated"
    await reader.do(parse_curl(seed_000.HEARTBEAT), seed_000.HEARTBEAT_RESPONSE)


async def acquire_release_and_list(reader: Reader) -> None:
    tenant = reader.tenant
    lease = await reader.do(parse_curl(seed_000.ACQUIRE), seed_000.ACQUIRED)
    assert minutes(lease, "createdAt", "expiresAt") == 30

    await tenant.release(lease["id"])
    other = await tenant.register("other-agent")
    reader.set_id(other["id"], "agent_f6e5d4c3b2a1")
    theirs = await tenant.lease(other["id"], "user@example.com")
    conflict = await reader.do(parse_curl(seed_000.ACQUIRE), seed_000.CONFLICT, status=409)
    assert conflict["leaseHolder"]["expiresAt"] == theirs["expiresAt"]

    await tenant.release(theirs["id"])
    lease = await reader.do(parse_curl(seed_000.ACQUIRE), seed_000.ACQUIRED)
    reader.set_id(lease["id"], "LEASE_ID")
    await reader.do(parse_curl(seed_000.RELEASE), seed_000.RELEASED)

    lease = await reader.do(parse_curl(seed_000.ACQUIRE), seed_000.ACQUIRED)
    reader.set_id(lease["id"], "d290f1ee-6c54-4b01-90e6-d701748f0851")
    assert await reader.do(parse_curl(seed_000.LIST), seed_000.LISTED) == lease


async def propose_and_vote(reader: Reader) -> None:
    request = await reader.do(parse_curl(seed_000.PROPOSE), seed_000.PROPOSED)
    assert minutes(request, "createdAt", "timeoutAt") == 5
    reader.set_id(request["id"], "CONSENSUS_ID", "b4c8e7a2-3f19-4d5e-a621-9c1d8f3e7b0a")
    assert await reader.do(parse_curl(seed_000.GET_PROPOSAL), seed_000.PROPOSED) == request

    ours = await reader.send(
        parse_curl(seed_000.VOTE), {"agent_f6e5d4c3b2a1": reader.ids["agent_a1b2c3d4e5f6"]}
    )
    assert ours.json()["consensusStatus"] == "pending", "one of two is no majority"
    await reader.do(parse_curl(seed_000.VOTE), seed_000.VOTED)

    decided = seed_000.PROPOSED.replace("pending", "approved")
    await reader.do(parse_curl(seed_000.GET_PROPOSAL), decided)


async def configure(reader: Reader) -> None:
    assert await reader.do(parse_curl(seed_000.GET_CONFIG), "{}") == {}
    await reader.do(parse_curl(seed_000.PUT_CONFIG), seed_000.CONFIGURED)
    await reader.do(parse_curl(seed_000.GET_CONFIG), seed_000.CONFIGURED)


async def test_every_request_of_seed_001_works(operator: Operator) -> None:
    tenant = await operator.create_tenant(SECOND_TENANT)
    reader = Reader(tenant)
    for name, shown in (
        ("sales-agent", "agent_abc123"),
        ("retention-agent", "agent_other"),
        ("reviewer", "agent_reviewer"),
    ):
        reader.set_id((await tenant.register(name))["id"], shown)

    printed = json.loads(parse_plain(seed_001.ACQUIRE).body or "")
    lease = await reader.do(parse_plain(seed_001.ACQUIRE), "{}")
    assert printed["contactEmail"] == lease["contactEmail"]
    assert minutes(lease, "createdAt", "expiresAt") == printed["durationMinutes"]

    await tenant.release(lease["id"])
    await tenant.lease(reader.ids["agent_other"], "alice@example.com")
    await reader.do(parse_plain(seed_001.ACQUIRE), seed_001.CONFLICT, status=409)

    request = await reader.do(parse_plain(seed_001.PROPOSE), "{}")
    assert request["requestingAgentId"] == reader.ids["agent_abc123"]
    assert request["status"] == "pending"
    assert minutes(request, "createdAt", "timeoutAt") == 60
    reader.set_id(request["id"], ":id")

    vote = await reader.do(parse_plain(seed_001.VOTE), "{}")
    assert vote["agentId"] == reader.ids["agent_reviewer"]
    assert vote["consensusStatus"] == "pending", "one of three is no majority"
    await tenant.vote(request["id"], reader.ids["agent_other"], "approve")
    assert (await tenant.consensus(request["id"]))["status"] == "approved"


# -- Text of the seeds -------------------------------------------------------


async def test_optional_fields_have_the_defaults_of_the_seeds(tenant: Tenant) -> None:
    agent = await tenant.register("outreach-agent")
    lease = await tenant.lease(agent["id"], "user@example.com")
    body = {"proposerAgent": "outreach-agent", **PROPOSAL}
    request = await tenant.request_ok("POST", f"{COORDINATION}/consensus", body)

    assert agent["agentRole"] == "general"
    assert lease["intent"] == "general"
    assert minutes(lease, "createdAt", "expiresAt") == 30
    assert minutes(request, "createdAt", "timeoutAt") == 5


async def test_agent_can_be_given_by_id_or_name(tenant: Tenant) -> None:
    agent = await tenant.register("outreach-agent")

    for named in ({"agentId": agent["id"]}, {"agentName": "outreach-agent"}):
        received = await tenant.request_ok("POST", f"{COORDINATION}/heartbeat", named)
        assert received["ok"] is True
        lease = await tenant.request_ok(
            "POST", LEASE, {**named, "contactEmail": "user@example.com"}
        )
        assert lease["agentId"] == agent["id"]
    assert (
        await tenant.request_rejected("POST", f"{COORDINATION}/heartbeat", {}) == "agent_not_found"
    )


async def test_conflict_problem_contains_the_fields_of_the_seeds(
    tenant: Tenant,
) -> None:
    holder, rival = await tenant.register("other-agent"), await tenant.register("outreach-agent")
    lease = await tenant.lease(holder["id"], "user@example.com")

    response = await tenant.acquire(rival["id"], "user@example.com")

    assert response.status_code == 409
    problem = rejection(response)
    assert problem["code"] == "lease_conflict"
    assert problem["conflict"] is True
    assert problem["leaseHolder"] == {
        "agentId": holder["id"],
        "agentName": "other-agent",
        "expiresAt": lease["expiresAt"],
    }


async def test_send_of_another_agent_is_blocked_during_a_lease(tenant: Tenant) -> None:
    holder, rival = await tenant.register("other-agent"), await tenant.register("outreach-agent")
    await tenant.lease(holder["id"], "user@example.com")

    blocked = await tenant.request_send(rival["id"], "user@example.com")

    assert (blocked["status"], blocked["reason"]) == ("blocked", "lease_conflict")
    assert (await tenant.request_send(holder["id"], "user@example.com"))["status"] == "authorized"


async def test_unknown_settings_are_ignored(tenant: Tenant) -> None:
    agent = await tenant.register("outreach-agent")
    path = f"{AGENT}/agents/{agent['id']}/config"
    known = {"humanizer_enabled": True, "humanizer_style": "casual", "humanizer_provider": "x"}

    response = await tenant.request_ok(
        "PUT", path, {**known, "colour": "red", "nested": {"a": [1]}}
    )

    assert response == known
    assert await tenant.request_ok("GET", path) == known


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("humanizer_enabled", "true"),
        ("humanizer_enabled", 1),
        ("humanizer_style", 7),
        ("humanizer_provider", ["x"]),
    ],
)
async def test_settings_of_a_wrong_type_are_rejected(
    tenant: Tenant, setting: str, value: object
) -> None:
    agent = await tenant.register("outreach-agent")

    response = await tenant.request("PUT", f"{AGENT}/agents/{agent['id']}/config", {setting: value})

    assert response.status_code == 422
    assert await tenant.request_ok("GET", f"{AGENT}/agents/{agent['id']}/config") == {}


@pytest.mark.parametrize("choice", ["approve", "reject"])
async def test_deciding_vote_returns_the_decision(tenant: Tenant, choice: str) -> None:
    agents = [await tenant.register(name) for name in ("ann", "bob", "eve")]
    request = await tenant.propose(agents[0]["id"])
    statuses = [
        (await tenant.vote(request["id"], agent["id"], choice)).json()["consensusStatus"]
        for agent in agents[:2]
    ]

    decided = {"approve": "approved", "reject": "rejected"}[choice]
    assert statuses == ["pending", decided]
    assert (await tenant.consensus(request["id"]))["status"] == decided


async def test_key_is_accepted_in_either_header(tenant: Tenant) -> None:
    path = f"{COORDINATION}/leases?tenantId={tenant.id}"

    for headers in ({"Authorization": f"Bearer {tenant.key}"}, {"X-API-Key": str(tenant.key)}):
        response = await tenant.http.get(path, headers=headers)
        assert (response.status_code, response.json()) == (200, [])
