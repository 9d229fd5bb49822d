"""Create consensus proposals, cast votes, and read the results."""

from quorate.application.execution import Service
from quorate.application.identity.agents import ref
from quorate.application.operations import Call, Endpoint, Reply
from quorate.application.pagination import next_link
from quorate.contracts.problems import Problem
from quorate.contracts.requests import (
    ConsensusBody,
    ConsensusQuery,
    PageQuery,
    Query,
    VoteBody,
    parse_contact_email,
)
from quorate.contracts.responses import (
    ConsensusResponse,
    VoteResponse,
    cast_vote_response,
    consensus_response,
    dump,
    vote_response,
)
from quorate.contracts.roles import CAN_ACT, CAN_READ
from quorate.domain.coordination.consensus import (
    CastVote,
    ConsensusRequest,
    RequestConsensus,
    VoteResult,
)
from quorate.domain.identity.agents import AgentRef
from quorate.projections.queries import RequestRow

CONSENSUS = "/v1/agent/coordination/consensus"


async def create(service: Service, call: Call) -> Reply:
    body: ConsensusBody = call.body
    tenant = call.principal.tenant
    command = RequestConsensus(
        caller=call.principal,
        agent=AgentRef(id=body.requesting_agent_id, name=body.proposer_agent),
        action=body.action,
        contact=parse_contact_email(body.contact_email),
        reason=body.reason,
        timeout_minutes=body.timeout_minutes,
        electorate=body.electorate,
        proposer_votes=body.proposer_votes,
        floor=body.floor_text(),
        new_request_id=service.id(),
    )

    def render(request: ConsensusRequest) -> bytes:
        return dump(consensus_response(tenant, request))

    return await service.execute(call, command, render)


async def vote(service: Service, call: Call) -> Reply:
    body: VoteBody = call.body
    command = CastVote(
        caller=call.principal,
        agent=ref(body),
        request_id=call.path["consensus_id"],
        vote=body.vote,
        reason=body.reason,
        new_vote_id=service.id(),
    )
    return await service.execute(call, command, _render_vote)


def _render_vote(response: VoteResult) -> bytes:
    return dump(cast_vote_response(response))


async def get_consensus(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    result = await service.reader.request(tenant, call.path["consensus_id"])
    if result.found is None:
        raise Problem("consensus_not_found", "Consensus proposal not found.")
    return Reply(body=dump(_response(tenant, result.found)), sequence=result.sequence)


async def list_consensus(service: Service, call: Call) -> Reply:
    query: ConsensusQuery = call.query
    tenant = call.principal.tenant
    result = await service.reader.requests(tenant, query.after or "", query.limit, query.status)
    response = [_response(tenant, row) for row in result.found]
    links = next_link(CONSENSUS, query, [row.request.id for row in result.found])
    return Reply(body=dump(response), sequence=result.sequence, headers=links)


def _response(tenant: str, row: RequestRow) -> ConsensusResponse:
    return consensus_response(tenant, row.request, row.approvals, row.rejections)


async def list_votes(service: Service, call: Call) -> Reply:
    query: PageQuery = call.query
    request_id = call.path["consensus_id"]
    tenant = call.principal.tenant
    request = await service.reader.request(tenant, request_id)
    result = await service.reader.votes(tenant, request_id, query.after or "", query.limit)
    if request.found is None or result.found is None:
        raise Problem("consensus_not_found", "Consensus proposal not found.")
    response = [vote_response(one, request.found.request.status) for one in result.found]
    path = f"{CONSENSUS}/{request_id}/votes"
    links = next_link(path, query, [one.agent_id for one in result.found])
    return Reply(body=dump(response), sequence=result.sequence, headers=links)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=CONSENSUS,
        name="requestConsensus",
        summary="Create a consensus proposal",
        description="The tenant's active agents vote on the action.",
        roles=CAN_ACT,
        body=ConsensusBody,
        query=Query,
        response=ConsensusResponse,
        problems=(
            "quota_exceeded",
            "agent_not_found",
            "agent_inactive",
            "acting_as_another",
            "contact_email_invalid",
        ),
        command=True,
        handler=create,
    ),
    Endpoint(
        method="GET",
        path=CONSENSUS + "/{consensus_id}",
        name="getConsensus",
        summary="Get a consensus proposal",
        roles=CAN_READ,
        query=Query,
        response=ConsensusResponse,
        problems=("consensus_not_found",),
        handler=get_consensus,
    ),
    Endpoint(
        method="POST",
        path=CONSENSUS + "/{consensus_id}/vote",
        name="castVote",
        summary="Cast a vote on a proposal",
        description="The vote that completes a majority decides the proposal.",
        roles=CAN_ACT,
        body=VoteBody,
        query=Query,
        response=VoteResponse,
        problems=(
            "agent_not_found",
            "agent_inactive",
            "acting_as_another",
            "consensus_not_found",
            "consensus_closed",
            "already_voted",
            "not_eligible",
        ),
        command=True,
        handler=vote,
    ),
    Endpoint(
        method="GET",
        path=CONSENSUS,
        name="listConsensus",
        summary="List consensus proposals",
        description="The `status` parameter selects proposals by status.",
        roles=CAN_READ,
        query=ConsensusQuery,
        response=list[ConsensusResponse],
        handler=list_consensus,
    ),
    Endpoint(
        method="GET",
        path=CONSENSUS + "/{consensus_id}/votes",
        name="listVotes",
        summary="List the votes on a proposal",
        roles=CAN_READ,
        query=PageQuery,
        response=list[VoteResponse],
        problems=("consensus_not_found",),
        handler=list_votes,
    ),
)
