"""Create and cancel consensus proposals, cast votes, and read the results."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT, CAN_OPERATE, CAN_READ
from quorate.contracts.wire_models import (
    REASON_LENGTH_MAX,
    AgentId,
    AgentName,
    AgentRequest,
    ContactEmail,
    Number,
    PageQuery,
    Query,
    ReasonRequest,
    ResponseModel,
    TenantRequest,
    Time,
    optional,
    text_field,
)
from quorate.domain.coordination.cancellations import NotProposer
from quorate.domain.coordination.consensus import (
    ELECTORATE_DEFAULT,
    TIMEOUT_MINUTES_DEFAULT,
    TIMEOUT_MINUTES_MAX,
    TIMEOUT_MINUTES_MIN,
    AlreadyVoted,
    Choice,
    Electorate,
    NotEligible,
    RequestClosed,
    RequestNotFound,
    Status,
)
from quorate.domain.identity.agents import ActingAsAnother, AgentInactive, AgentNotFound
from quorate.domain.shared.email_addresses import AddressUnusable
from quorate.domain.shared.quotas import QuotaExceeded

CONSENSUS = "/v1/agent/coordination/consensus"
ACTION_LENGTH_MAX = 1_000

Timeout = Annotated[Number, Field(ge=TIMEOUT_MINUTES_MIN, le=TIMEOUT_MINUTES_MAX)]


class ConsensusBody(TenantRequest):
    requesting_agent_id: AgentId | None = None
    proposer_agent: AgentName | None = Field(
        default=None, description="Name of the proposing agent."
    )
    action: Annotated[str, text_field(ACTION_LENGTH_MAX)]
    contact_email: ContactEmail
    reason: Annotated[str, text_field(REASON_LENGTH_MAX)]
    timeout_minutes: Timeout = TIMEOUT_MINUTES_DEFAULT
    electorate: Electorate = Field(
        default=ELECTORATE_DEFAULT,
        description=(
            "`live`: the agents that are active at each vote. "
            "`snapshot`: the agents that are active now."
        ),
    )
    proposer_votes: bool = True
    floor: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Smallest electorate size that counts, as a share of the present electorate.",
    )

    def floor_text(self) -> str | None:
        """Return ``floor`` as a decimal fraction, because events contain no floats."""
        return None if self.floor is None else format(Decimal(repr(self.floor)), "f")


class VoteBody(AgentRequest):
    vote: Choice
    reason: Annotated[str, Field(max_length=REASON_LENGTH_MAX)] | None = None


class CancelBody(AgentRequest):
    reason: Annotated[str, text_field(REASON_LENGTH_MAX)] | None = None


class ConsensusQuery(PageQuery):
    status: Status | None = None


class DecisionInfo(ResponseModel):
    """The counts at the time of the deciding vote."""

    approvals: int
    rejections: int
    electorate_size: int


class ConsensusInfo(ResponseModel):
    """A consensus proposal. ``approvals`` and ``rejections`` count the votes cast so far.

    * ``electorateSize``: while pending, the number of agents of which a majority decides now;
      after a decision, the number at the deciding vote. ``needed`` is the smallest majority of it.
    * ``countedApprovals`` and ``countedRejections``: while pending, the votes that count now: those
      of agents in the electorate.
    * ``decision``: the counts of the deciding vote; absent while no vote has decided.
    """

    id: str
    tenant_id: str
    requesting_agent_id: str
    action: str
    contact_email: str
    reason: str
    status: Status
    timeout_at: Time
    created_at: Time
    electorate: Electorate
    proposer_votes: bool
    approvals: int
    rejections: int
    electorate_size: int | None = optional()
    needed: int | None = optional()
    counted_approvals: int | None = optional()
    counted_rejections: int | None = optional()
    floor: float | None = optional()
    closed_at: Time | None = optional()
    decision: DecisionInfo | None = optional()


class VoterInfo(ResponseModel):
    """An agent of the electorate. ``vote`` is null while it has not voted."""

    id: str = Field(alias="agentId")
    name: str | None = Field(alias="agentName")
    vote: Choice | None


class VoteInfo(ResponseModel):
    """A vote. ``consensusStatus`` is the status of the proposal after this vote."""

    id: str
    consensus_id: str = Field(alias="consensusRequestId")
    agent_id: str
    vote: Choice
    reason: str | None
    consensus_status: Status
    created_at: Time


REQUEST_CONSENSUS = Operation(
    method="POST",
    path=CONSENSUS,
    name="requestConsensus",
    summary="Create a consensus proposal",
    description="The tenant's active agents vote on the action.",
    roles=CAN_ACT,
    body=ConsensusBody,
    query=Query,
    response=ConsensusInfo,
    errors=(QuotaExceeded, AgentNotFound, AgentInactive, ActingAsAnother, AddressUnusable),
    command=True,
)
GET_CONSENSUS = Operation(
    method="GET",
    path=CONSENSUS + "/{consensus_id}",
    name="getConsensus",
    summary="Get a consensus proposal",
    roles=CAN_READ,
    query=Query,
    response=ConsensusInfo,
    errors=(RequestNotFound,),
)
CAST_VOTE = Operation(
    method="POST",
    path=CONSENSUS + "/{consensus_id}/vote",
    name="castVote",
    summary="Cast a vote on a proposal",
    description="The vote that completes a majority decides the proposal.",
    roles=CAN_ACT,
    body=VoteBody,
    query=Query,
    response=VoteInfo,
    errors=(
        AgentNotFound,
        AgentInactive,
        ActingAsAnother,
        RequestNotFound,
        RequestClosed,
        AlreadyVoted,
        NotEligible,
    ),
    command=True,
    hot=True,
)
CANCEL_CONSENSUS = Operation(
    method="POST",
    path=CONSENSUS + "/{consensus_id}/cancel",
    name="cancelConsensus",
    summary="Cancel a consensus proposal",
    description=(
        "Only a pending proposal can be cancelled, by its proposer or with a tenant key. "
        "A second cancellation succeeds."
    ),
    roles=CAN_ACT,
    body=CancelBody,
    query=Query,
    response=ConsensusInfo,
    errors=(AgentNotFound, ActingAsAnother, RequestNotFound, RequestClosed, NotProposer),
    command=True,
    unmetered=True,
)
END_CONSENSUS = Operation(
    method="POST",
    path=CONSENSUS + "/{consensus_id}/end",
    name="endConsensus",
    summary="Cancel a consensus proposal of any agent",
    description=(
        "Its status becomes `cancelled`, and its voters are notified. Only a pending proposal can "
        "be cancelled; a second cancellation succeeds."
    ),
    roles=CAN_OPERATE,
    body=ReasonRequest,
    query=Query,
    response=ConsensusInfo,
    errors=(RequestNotFound, RequestClosed),
    command=True,
    unmetered=True,
)
LIST_CONSENSUS = Operation(
    method="GET",
    path=CONSENSUS,
    name="listConsensus",
    summary="List consensus proposals",
    description="The `status` parameter selects proposals by status.",
    roles=CAN_READ,
    query=ConsensusQuery,
    response=list[ConsensusInfo],
)
LIST_VOTES = Operation(
    method="GET",
    path=CONSENSUS + "/{consensus_id}/votes",
    name="listVotes",
    summary="List the votes on a proposal",
    roles=CAN_READ,
    query=PageQuery,
    response=list[VoteInfo],
    errors=(RequestNotFound,),
)
LIST_ELECTORATE = Operation(
    method="GET",
    path=CONSENSUS + "/{consensus_id}/electorate",
    name="listElectorate",
    summary="List the electorate of a proposal",
    description=(
        "While the proposal is pending: the agents whose votes count now, each with its vote. "
        "After its end: the agents that voted."
    ),
    roles=CAN_READ,
    query=PageQuery,
    response=list[VoterInfo],
    errors=(RequestNotFound,),
)
OPERATIONS = (
    *(REQUEST_CONSENSUS, GET_CONSENSUS, CAST_VOTE, CANCEL_CONSENSUS, END_CONSENSUS),
    *(LIST_CONSENSUS, LIST_VOTES, LIST_ELECTORATE),
)
