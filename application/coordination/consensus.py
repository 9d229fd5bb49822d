"""Consensus requests and votes."""

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
    read_contact_or_refuse,
)
from quorate.contracts.responses import (
    ConsensusAnswer,
    VoteAnswerBody,
    consensus_answer,
    dump,
    vote_answer,
    vote_body,
)
from quorate.contracts.roles import ACTING, READING
from quorate.domain.coordination.consensus import (
    CastVote,
    ConsensusRequest,
    RequestConsensus,
    VoteAnswer,
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
        contact=read_contact_or_refuse(body.contact_email),
        reason=body.reason,
        timeout_minutes=body.timeout_minutes,
        electorate=body.electorate,
        proposer_votes=body.proposer_votes,
        floor=body.floor_text(),
        new_request_id=service.id(),
    )

    def render(request: ConsensusRequest) -> bytes:
        return dump(consensus_answer(tenant, request))

    return await service.carry_out(call, command, render)


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
    return await service.carry_out(call, command, _render_vote)


def _render_vote(answer: VoteAnswer) -> bytes:
    return dump(vote_answer(answer))


async def get_consensus(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    seen = await service.reader.request(tenant, call.path["consensus_id"])
    if seen.found is None:
        raise Problem("consensus_not_found", "No such consensus request.")
    return Reply(body=dump(_answer(tenant, seen.found)), sequence=seen.sequence)


async def list_consensus(service: Service, call: Call) -> Reply:
    query: ConsensusQuery = call.query
    tenant = call.principal.tenant
    seen = await service.reader.requests(tenant, query.after or "", query.limit, query.status)
    answer = [_answer(tenant, row) for row in seen.found]
    links = next_link(CONSENSUS, query, [row.request.id for row in seen.found])
    return Reply(body=dump(answer), sequence=seen.sequence, headers=links)


def _answer(tenant: str, row: RequestRow) -> ConsensusAnswer:
    return consensus_answer(tenant, row.request, row.approvals, row.rejections)


async def list_votes(service: Service, call: Call) -> Reply:
    query: PageQuery = call.query
    request_id = call.path["consensus_id"]
    tenant = call.principal.tenant
    request = await service.reader.request(tenant, request_id)
    seen = await service.reader.votes(tenant, request_id, query.after or "", query.limit)
    if request.found is None or seen.found is None:
        raise Problem("consensus_not_found", "No such consensus request.")
    answer = [vote_body(one, request.found.request.status) for one in seen.found]
    path = f"{CONSENSUS}/{request_id}/votes"
    links = next_link(path, query, [one.agent_id for one in seen.found])
    return Reply(body=dump(answer), sequence=seen.sequence, headers=links)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path=CONSENSUS,
        name="requestConsensus",
        summary="Ask the active agents to approve an action",
        roles=ACTING,
        body=ConsensusBody,
        query=Query,
        answer=ConsensusAnswer,
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
        summary="Look at a consensus request",
        roles=READING,
        query=Query,
        answer=ConsensusAnswer,
        problems=("consensus_not_found",),
        handler=get_consensus,
    ),
    Endpoint(
        method="POST",
        path=CONSENSUS + "/{consensus_id}/vote",
        name="castVote",
        summary="Vote; the vote that makes a majority decides",
        roles=ACTING,
        body=VoteBody,
        query=Query,
        answer=VoteAnswerBody,
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
        summary="List consensus requests, by status if you like",
        roles=READING,
        query=ConsensusQuery,
        answer=list[ConsensusAnswer],
        handler=list_consensus,
    ),
    Endpoint(
        method="GET",
        path=CONSENSUS + "/{consensus_id}/votes",
        name="listVotes",
        summary="List the votes of a consensus request",
        roles=READING,
        query=PageQuery,
        answer=list[VoteAnswerBody],
        problems=("consensus_not_found",),
        handler=list_votes,
    ),
)
