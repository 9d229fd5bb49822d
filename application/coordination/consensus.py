"""Create and cancel consensus proposals, cast votes, and read the results."""

from quorate.application.contact_emails import parse_contact_email
from quorate.application.execution import Service
from quorate.application.identity.agents import ref
from quorate.application.named_tenant import tenant_of
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import Json, dump, renderer
from quorate.contracts.coordination.consensus import (
    CANCEL_CONSENSUS,
    CAST_VOTE,
    END_CONSENSUS,
    GET_CONSENSUS,
    LIST_CONSENSUS,
    LIST_ELECTORATE,
    LIST_VOTES,
    REQUEST_CONSENSUS,
    CancelBody,
    ConsensusBody,
    ConsensusInfo,
    ConsensusQuery,
    DecisionInfo,
    VoteBody,
    VoteInfo,
    VoterInfo,
)
from quorate.contracts.wire_models import ReasonRequest
from quorate.domain.coordination.cancellations import CancelConsensus
from quorate.domain.coordination.consensus import (
    CastVote,
    ConsensusRequest,
    RequestConsensus,
    RequestNotFound,
    Vote,
    VoteCount,
    VoteResult,
)
from quorate.domain.coordination.electorates import votes_needed
from quorate.domain.identity.agents import AgentRef
from quorate.projections.electorates import VoterRow
from quorate.projections.queries import RequestRow

_render_decision = renderer(DecisionInfo, VoteCount)
render_vote = renderer(VoteInfo, Vote, consensus_id="request_id")
render_voter = renderer(VoterInfo, VoterRow)


def _floor(request: ConsensusRequest) -> float | None:
    return None if request.floor is None else float(request.floor)


def _decision(request: ConsensusRequest) -> Json | None:
    return None if request.tally is None else _render_decision(request.tally)


render_consensus = renderer(
    ConsensusInfo,
    ConsensusRequest,
    requesting_agent_id="agent_id",
    floor=_floor,
    decision=_decision,
)


@handles(REQUEST_CONSENSUS)
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
        size = max(request.eligible, request.minimum)
        return dump(
            render_consensus(
                request,
                tenant_id=tenant,
                approvals=0,
                rejections=0,
                electorate_size=size,
                needed=votes_needed(size),
                counted_approvals=0,
                counted_rejections=0,
            )
        )

    return await service.execute(call, command, render)


@handles(CAST_VOTE)
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


def _render_vote(result: VoteResult) -> bytes:
    return dump(render_vote(result.vote, consensus_status=result.status))


@handles(CANCEL_CONSENSUS)
async def cancel(service: Service, call: Call) -> Reply:
    body: CancelBody = call.body
    return await _cancel(service, call, ref(body), body.reason)


@handles(END_CONSENSUS)
async def end(service: Service, call: Call) -> Reply:
    body: ReasonRequest = call.body
    return await _cancel(service, call, AgentRef(), body.reason)


async def _cancel(service: Service, call: Call, agent: AgentRef, reason: str | None) -> Reply:
    tenant = tenant_of(call)
    command = CancelConsensus(
        caller=call.principal,
        agent=agent,
        request_id=call.path["consensus_id"],
        reason=reason,
    )

    def render(request: ConsensusRequest) -> bytes:
        choices = [one.vote for one in request.votes.values()]
        approvals, rejections = choices.count("approve"), choices.count("reject")
        return dump(
            render_consensus(request, tenant_id=tenant, approvals=approvals, rejections=rejections)
        )

    return await service.execute(call, command, render, tenant)


@handles(GET_CONSENSUS)
async def get_consensus(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    result = await service.reader.request(tenant, call.path["consensus_id"])
    if result.found is None:
        raise RequestNotFound
    return Reply(body=dump(_response(tenant, result.found)), sequence=result.sequence)


@handles(LIST_CONSENSUS)
async def list_consensus(service: Service, call: Call) -> Reply:
    query: ConsensusQuery = call.query
    tenant = call.principal.tenant
    return await list_reply(
        service,
        call,
        LIST_CONSENSUS.path,
        lambda after, limit, size: service.reader.requests(
            tenant, after, limit, query.status, size
        ),
        render=lambda row, _: _response(tenant, row),
        cursor=lambda row: row.request.id,
    )


def _response(tenant: str, row: RequestRow) -> Json:
    size = row.electorate_size
    return render_consensus(
        row.request,
        tenant_id=tenant,
        approvals=row.approvals,
        rejections=row.rejections,
        electorate_size=size,
        needed=None if size is None else votes_needed(size),
        counted_approvals=row.counted_approvals,
        counted_rejections=row.counted_rejections,
    )


@handles(LIST_ELECTORATE)
async def list_electorate(service: Service, call: Call) -> Reply:
    request_id, tenant = call.path["consensus_id"], call.principal.tenant
    request = await service.reader.request(tenant, request_id)
    if request.found is None:
        raise RequestNotFound
    return await list_reply(
        service,
        call,
        LIST_ELECTORATE.path.format(consensus_id=request_id),
        lambda after, limit, size: service.reader.electorate(
            tenant, request_id, after, limit, size
        ),
        render=lambda voter, _: render_voter(voter),
        cursor=lambda voter: voter.id,
    )


@handles(LIST_VOTES)
async def list_votes(service: Service, call: Call) -> Reply:
    request_id, tenant = call.path["consensus_id"], call.principal.tenant
    request = await service.reader.request(tenant, request_id)
    if request.found is None:
        raise RequestNotFound
    status = request.found.request.status
    return await list_reply(
        service,
        call,
        LIST_VOTES.path.format(consensus_id=request_id),
        lambda after, limit, size: service.reader.votes(tenant, request_id, after, limit, size),
        render=lambda vote, _: render_vote(vote, consensus_status=status),
        cursor=lambda vote: vote.agent_id,
    )
