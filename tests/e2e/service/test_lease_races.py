"""Concurrent requests for one resource: one succeeds, and the others get correct rejections."""

import asyncio
import json
from collections import Counter

from httpx2 import Response

from tests.e2e.service.http_clients import (
    CONSENSUS,
    LEASE,
    Caller,
    Operator,
    Tenant,
    rejection,
    success,
)
from tests.e2e.service.service_process import Json

AGENTS = 50
ACQUISITIONS = 500
VOTES = 64
DUPLICATES = 32
CONTACT = "contended@example.com"
REPLAYED = "idempotent-replayed"


async def register_agents(tenant: Tenant, size: int) -> list[str]:
    """Register active agents and return their ids."""
    registered = [tenant.register(f"agent-{number}") for number in range(size)]
    return [agent["id"] for agent in await asyncio.gather(*registered)]


async def with_key(caller: Caller, key: str, path: str, body: object) -> Response:
    return await caller.request("POST", path, body, headers={"Idempotency-Key": key})


def lease_body(agent_id: str, **more: object) -> Json:
    return {"agentId": agent_id, "contactEmail": CONTACT, **more}


# -- Leases ------------------------------------------------------------------


async def test_one_of_500_concurrent_acquisitions_is_granted(tenant: Tenant) -> None:
    agents = await register_agents(tenant, AGENTS)

    responses = await asyncio.gather(
        *(tenant.acquire(agents[number % AGENTS], CONTACT) for number in range(ACQUISITIONS))
    )

    (grant,) = await tenant.events("LeaseAcquired")
    holder = grant["data"]["agentId"]
    granted = [response.json() for response in responses if response.status_code == 200]
    refused = [rejection(response) for response in responses if response.status_code != 200]
    assert len(granted) == ACQUISITIONS // AGENTS, "the winner's other requests renew"
    assert {(lease["agentId"], lease["fence"]) for lease in granted} == {
        (holder, grant["sequence"])
    }
    assert {lease["id"] for lease in granted} == {grant["data"]["leaseId"]}
    assert len(refused) == ACQUISITIONS - ACQUISITIONS // AGENTS
    assert {problem["status"] for problem in refused} == {409}
    assert {problem["leaseHolder"]["agentId"] for problem in refused} == {holder}
    assert len(await tenant.events("LeaseConflicted")) == len(refused)
    assert [lease["agentId"] for lease in await tenant.leases()] == [holder]


async def test_released_contact_is_granted_to_one_contender(tenant: Tenant) -> None:
    agents = await register_agents(tenant, 8)
    lease = await tenant.lease(agents[0], CONTACT)

    first, *others = await asyncio.gather(
        tenant.request("DELETE", f"{LEASE}/{lease['id']}"),
        *(tenant.acquire(agent, CONTACT) for agent in agents[1:] * 4),
    )

    assert success(first) == {"released": True}
    winners = {response.json()["agentId"] for response in others if response.status_code == 200}
    assert len(winners) <= 1
    grants = [event["data"]["agentId"] for event in await tenant.events("LeaseAcquired")]
    assert set(grants[1:]) == winners


async def test_concurrent_leases_on_different_contacts_all_succeed(tenant: Tenant) -> None:
    agents = await register_agents(tenant, AGENTS)

    leases = await asyncio.gather(
        *(tenant.lease(agent, f"{number}@example.com") for number, agent in enumerate(agents))
    )

    fences = [lease["fence"] for lease in leases]
    assert len(set(fences)) == AGENTS
    assert sorted(fences) == [event["sequence"] for event in await tenant.events("LeaseAcquired")]


# -- Votes -------------------------------------------------------------------


async def test_identical_concurrent_votes_count_once(tenant: Tenant) -> None:
    agents = await register_agents(tenant, 3)
    request = await tenant.propose(agents[0])

    responses = await asyncio.gather(
        *(tenant.vote(request["id"], agents[0], "approve") for _ in range(VOTES))
    )

    (cast,) = await tenant.events("VoteCast")
    votes = [success(response) for response in responses]
    assert {vote["id"] for vote in votes} == {cast["data"]["voteId"]}
    assert {vote["consensusStatus"] for vote in votes} == {"pending"}


async def test_first_of_opposite_concurrent_votes_counts(tenant: Tenant) -> None:
    agents = await register_agents(tenant, 3)
    request = await tenant.propose(agents[0])
    choices = ["approve", "reject"] * (VOTES // 2)

    responses = await asyncio.gather(
        *(tenant.vote(request["id"], agents[0], choice) for choice in choices)
    )

    (cast,) = await tenant.events("VoteCast")
    first = cast["data"]["vote"]
    for choice, response in zip(choices, responses, strict=True):
        if choice == first:
            assert success(response)["id"] == cast["data"]["voteId"]
        else:
            problem = rejection(response)
            assert (problem["status"], problem["code"]) == (409, "already_voted")
            assert problem["vote"] == first
    assert len(await tenant.request_list(f"{CONSENSUS}/{request['id']}/votes")) == 1


async def test_proposal_is_decided_once_by_the_vote_that_completes_the_majority(
    tenant: Tenant,
) -> None:
    agents = await register_agents(tenant, VOTES)
    request = await tenant.propose(agents[0])

    responses = await asyncio.gather(
        *(tenant.vote(request["id"], agent, "approve") for agent in agents)
    )

    outcomes = Counter((one.status_code, one.json()["consensusStatus"]) for one in responses)
    majority = VOTES // 2 + 1
    assert outcomes == {
        (200, "pending"): majority - 1,
        (200, "approved"): 1,
        (409, "approved"): VOTES - majority,
    }
    (decided,) = await tenant.events("ConsensusDecided")
    assert decided["data"]["approvals"] == majority
    assert len(await tenant.events("VoteCast")) == majority


# -- Idempotency keys --------------------------------------------------------


async def test_concurrent_duplicates_under_one_key_record_one_event(tenant: Tenant) -> None:
    (agent,) = await register_agents(tenant, 1)

    responses = await asyncio.gather(
        *(with_key(tenant, "retry-1", LEASE, lease_body(agent)) for _ in range(DUPLICATES))
    )

    assert len({response.content for response in responses}) == 1
    assert {response.status_code for response in responses} == {200}
    replayed = [response for response in responses if response.headers.get(REPLAYED) == "true"]
    assert len(replayed) == DUPLICATES - 1
    assert len(await tenant.events("LeaseAcquired")) == 1
    assert await tenant.events("LeaseRenewed") == []


async def test_rejection_is_replayed_even_if_a_new_request_would_succeed(tenant: Tenant) -> None:
    holder, rival = await register_agents(tenant, 2)
    lease = await tenant.lease(holder, CONTACT)
    refused = await with_key(tenant, "retry-2", LEASE, lease_body(rival))
    await tenant.release(lease["id"])
    head = await tenant.head()

    again = await with_key(tenant, "retry-2", LEASE, lease_body(rival))

    first, second = rejection(refused), rejection(again)
    del first["requestId"], second["requestId"]
    assert second == first
    assert again.headers[REPLAYED] == "true"
    assert await tenant.head() == head
    assert (await tenant.lease(rival, CONTACT))["agentId"] == rival


async def test_same_key_with_another_body_is_rejected(tenant: Tenant) -> None:
    (agent,) = await register_agents(tenant, 1)
    first = await with_key(tenant, "retry-3", LEASE, lease_body(agent))

    other = await with_key(tenant, "retry-3", LEASE, lease_body(agent, intent="another"))

    problem = rejection(other)
    assert (problem["status"], problem["code"]) == (422, "idempotency_key_reused")
    assert await tenant.leases() == [success(first)]
    spelled = json.dumps(dict(reversed(lease_body(agent).items())), indent=4)
    same = await tenant.request(
        "POST", LEASE, content=spelled, headers={"Idempotency-Key": "retry-3"}
    )
    assert same.content == first.content, "the parsed request counts, not its spelling"


async def test_idempotency_keys_are_separate_per_tenant_caller_and_command(
    tenant: Tenant, other: Tenant
) -> None:
    ann = await tenant.create_agent("ann")
    foreign = await other.create_agent("ann")
    requests = [
        (ann, LEASE, lease_body(ann.id)),
        (tenant, LEASE, lease_body(ann.id, intent="by the tenant's key")),
        (tenant, "/v1/agent/register", {"agentName": "bob"}),
        (foreign, LEASE, lease_body(foreign.id)),
    ]

    responses = [await with_key(caller, "shared", path, body) for caller, path, body in requests]

    assert [response.status_code for response in responses] == [200] * len(requests)
    assert not any(REPLAYED in response.headers for response in responses)
    assert len(await other.events("LeaseAcquired")) == 1


async def test_replayed_key_issue_does_not_repeat_the_full_key(tenant: Tenant) -> None:
    body = {"role": "auditor"}
    shown = success(await with_key(tenant, "new-key", "/v1/keys", body))

    again = success(await with_key(tenant, "new-key", "/v1/keys", body))

    assert shown["key"].startswith("qk_")
    assert again == shown | {"key": None}
    assert (
        len([key for key in await tenant.request_list("/v1/keys") if key["role"] == "auditor"]) == 1
    )


async def test_retry_after_a_restart_returns_the_lost_response(operator: Operator) -> None:
    tenant = await operator.create_tenant()
    (agent,) = await register_agents(tenant, 1)
    first = await with_key(tenant, "retry-4", LEASE, lease_body(agent))
    log = await tenant.events()

    await operator.restart()

    again = await with_key(tenant, "retry-4", LEASE, lease_body(agent))
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers[REPLAYED] == "true"
    assert await tenant.events() == log
