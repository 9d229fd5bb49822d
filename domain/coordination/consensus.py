"""A risky action is decided by a majority of the agents that are active when it is voted on.

* With ``n`` active agents, of which only active agents' votes count, ``2a > n`` approves and
  ``2r > n`` rejects (a quorum of more than half). Both cannot hold at once. A tie waits.
* The count runs inside the transaction of the vote, and only there. A decision is final. Its event
  records the electorate and the counts; a replay copies them and never counts again.
* The first vote of an agent is final: a repetition is the same vote, the opposite is rejected.
* At ``timeout_at`` an undecided proposal expires, exactly once. Its proposer may cancel it before.

Options: ``electorate="snapshot"`` (only agents active at creation vote), ``proposer_votes=False``
(the proposer neither votes nor counts), ``floor`` (n >= ceil(floor x electorate at creation)).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from operator import attrgetter
from typing import Literal, TypeAlias, assert_never, get_args

from quorate.domain.identity.agents import (
    AGENTS,
    EVERY_ACTIVE_AGENT,
    AgentRef,
    acting,
    acting_actively,
    active_agents,
    reads_of_agent,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Aggregate, Counter, Deadline, Reads
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp, later

TIMEOUT_MINUTES_MIN = 1 / 60
TIMEOUT_MINUTES_MAX = 24 * 60
TIMEOUT_MINUTES_DEFAULT = 5.0
Status: TypeAlias = Literal["pending", "approved", "rejected", "expired", "cancelled"]
STATUSES: tuple[Status, ...] = get_args(Status)
Choice: TypeAlias = Literal["approve", "reject"]
Electorate: TypeAlias = Literal["live", "snapshot"]
ELECTORATE_DEFAULT: Electorate = "live"
VOTE = "vote"  # Reads of the voter's own vote, with its reason: vote.id and vote.name.


# -- Events ------------------------------------------------------------------


@record
class ConsensusRequested:
    """``eligible`` agents were active; ``members`` are named when only they may vote."""

    request_id: str
    agent_id: str
    action: str
    contact_key: str
    contact_email: str
    reason: str
    timeout_at: Timestamp
    electorate: Electorate
    proposer_votes: bool
    floor: str | None = None
    eligible: int
    minimum: int
    members: tuple[str, ...] | None = None


@record
class VoteCast:
    vote_id: str
    request_id: str
    agent_id: str
    vote: Choice
    reason: str | None = None


@record
class ConsensusDecided:
    """``electorate_size`` is the n of the rule: the electorate, or the floor where it is higher."""

    request_id: str
    status: Status
    agent_id: str
    action: str
    contact_email: str
    approvals: int
    rejections: int
    electorate_size: int
    electorate: tuple[str, ...]


@record
class ConsensusExpired:
    request_id: str
    agent_id: str
    action: str
    contact_email: str
    timeout_at: Timestamp


Event: TypeAlias = ConsensusRequested | VoteCast | ConsensusDecided | ConsensusExpired


# -- State -------------------------------------------------------------------


@record
class Vote:
    id: str
    request_id: str
    agent_id: str
    vote: Choice
    reason: str | None
    created_at: Timestamp


@record
class VoteCount:
    approvals: int
    rejections: int
    electorate_size: int


@record
class ConsensusRequest:
    id: str
    agent_id: str
    action: str
    contact_key: str
    contact_email: str
    reason: str
    status: Status
    timeout_at: Timestamp
    created_at: Timestamp
    electorate: Electorate
    proposer_votes: bool
    floor: str | None
    eligible: int
    minimum: int
    members: tuple[str, ...] | None
    votes: Mapping[str, Vote]  # By the voter's id.
    closed_at: Timestamp | None = None
    tally: VoteCount | None = None


@record
class VoteResult:
    vote: Vote
    status: Status


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class RequestNotFound(NotFound):
    code, title = "consensus_not_found", "Consensus proposal not found"


@dataclass(eq=False)
class RequestClosed(Conflict):
    code, title = "consensus_closed", "The consensus proposal is closed"
    reason = "its status is {consensus_status}"
    consensus_status: Status  # No vote can change it.


@dataclass(eq=False)
class AlreadyVoted(Conflict):
    """The first vote of an agent is final."""

    code, title = "already_voted", "The agent has already cast a different vote"
    vote: Choice


@dataclass(eq=False)
class NotEligible(Conflict):
    """The options of the proposal exclude this agent."""

    code, title = "not_eligible", "The agent is not in the electorate"
    agent_id: str


# -- Commands ----------------------------------------------------------------


@record
class RequestConsensus:
    """Propose an action for a vote."""

    caller: Principal
    agent: AgentRef
    action: str
    contact: EmailAddress
    reason: str
    timeout_minutes: float
    electorate: Electorate = "live"
    proposer_votes: bool = True
    floor: str | None = None  # A decimal fraction from 0 to 1, as text: events hold no floats.
    new_request_id: str

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name)
        return (*agent, EVERY_ACTIVE_AGENT, quotas.COUNTS)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        agent = acting_actively(self.caller, self.agent, state, context)
        quotas.check("open_requests", state.count("open_requests"), context.quotas)
        active = active_agents(state, context.now)
        members = active if self.proposer_votes else active - {agent.id}
        return [
            ConsensusRequested(
                request_id=self.new_request_id,
                agent_id=agent.id,
                action=self.action,
                contact_key=self.contact.key,
                contact_email=self.contact.email,
                reason=self.reason,
                timeout_at=later(context.now, minutes=self.timeout_minutes),
                electorate=self.electorate,
                proposer_votes=self.proposer_votes,
                floor=self.floor,
                eligible=len(members),
                minimum=ceil(Fraction(self.floor) * len(members)) if self.floor else 0,
                members=tuple(sorted(members)) if self.electorate == "snapshot" else None,
            )
        ]

    def result(self, state: TenantState, _events: Sequence[Event]) -> ConsensusRequest:
        return state[CONSENSUS][self.new_request_id]


@record
class CastVote:
    """Vote on a proposal. The vote that completes a majority also records the decision."""

    caller: Principal
    agent: AgentRef
    request_id: str
    vote: Choice
    reason: str | None
    new_vote_id: str

    def reads(self) -> Reads:
        agent = reads_of_agent(self.caller, self.agent, AGENTS.name)
        vote = reads_of_agent(self.caller, self.agent, VOTE, of=(self.request_id,))
        return (*agent, *CONSENSUS.by("id", self.request_id), *vote, EVERY_ACTIVE_AGENT)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        request = state[CONSENSUS].get(self.request_id)
        if request is None:
            raise RequestNotFound
        agent = acting_actively(self.caller, self.agent, state, context)
        if (first := request.votes.get(agent.id)) is not None:
            if first.vote == self.vote:
                return []
            raise AlreadyVoted(first.vote)
        if request.status != "pending":
            raise RequestClosed(request.status)
        electorate = electorate_of(request, active_agents(state, context.now))
        if agent.id not in electorate:
            raise NotEligible(agent.id)
        cast = VoteCast(
            vote_id=self.new_vote_id,
            request_id=request.id,
            agent_id=agent.id,
            vote=self.vote,
            reason=self.reason,
        )
        choices = {voter: one.vote for voter, one in request.votes.items()} | {agent.id: self.vote}
        return [cast, *majority_decision(request, electorate, choices)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> VoteResult:
        request = state[CONSENSUS][self.request_id]
        voter = acting(self.caller, self.agent, state)
        return VoteResult(vote=request.votes[voter.id], status=request.status)


def electorate_of(state: ConsensusRequest, active: frozenset[str]) -> frozenset[str]:
    """Return the agents that may vote now and whose votes count now."""
    if state.members is not None:
        return frozenset(state.members)
    return active if state.proposer_votes else active - {state.agent_id}


def majority_decision(
    state: ConsensusRequest, electorate: frozenset[str], choices: Mapping[str, Choice]
) -> Sequence[ConsensusDecided]:
    counted = [choice for voter, choice in choices.items() if voter in electorate]
    approvals, rejections = counted.count("approve"), counted.count("reject")
    size = max(len(electorate), state.minimum)
    if 2 * approvals <= size and 2 * rejections <= size:
        return []
    return [
        ConsensusDecided(
            request_id=state.id,
            status="approved" if 2 * approvals > size else "rejected",
            agent_id=state.agent_id,
            action=state.action,
            contact_email=state.contact_email,
            approvals=approvals,
            rejections=rejections,
            electorate_size=size,
            electorate=tuple(sorted(electorate)),
        )
    ]


# -- Without a command -------------------------------------------------------


def is_overdue(state: ConsensusRequest, at: Timestamp) -> bool:
    return state.status == "pending" and at >= state.timeout_at


def _expiry_events(state: ConsensusRequest) -> Sequence[ConsensusExpired]:
    return [
        ConsensusExpired(
            request_id=state.id,
            agent_id=state.agent_id,
            action=state.action,
            contact_email=state.contact_email,
            timeout_at=state.timeout_at,
        )
    ]


# -- Evolve ------------------------------------------------------------------


def evolve(state: ConsensusRequest | None, event: Event, at: Timestamp) -> ConsensusRequest:
    match event:
        case ConsensusRequested():
            return _open(event, at)
        case VoteCast():
            assert state is not None
            cast = Vote(
                id=event.vote_id,
                request_id=event.request_id,
                agent_id=event.agent_id,
                vote=event.vote,
                reason=event.reason,
                created_at=at,
            )
            return changed(state, votes={**state.votes, event.agent_id: cast})
        case ConsensusDecided():
            assert state is not None
            counts = VoteCount(
                approvals=event.approvals,
                rejections=event.rejections,
                electorate_size=event.electorate_size,
            )
            return changed(state, status=event.status, closed_at=at, tally=counts)
        case ConsensusExpired():
            assert state is not None
            return changed(state, status="expired", closed_at=at)
        case _:
            assert_never(event)


def _open(event: ConsensusRequested, at: Timestamp) -> ConsensusRequest:
    return ConsensusRequest(
        id=event.request_id,
        agent_id=event.agent_id,
        action=event.action,
        contact_key=event.contact_key,
        contact_email=event.contact_email,
        reason=event.reason,
        status="pending",
        timeout_at=event.timeout_at,
        created_at=at,
        electorate=event.electorate,
        proposer_votes=event.proposer_votes,
        floor=event.floor,
        eligible=event.eligible,
        minimum=event.minimum,
        members=event.members,
        votes={},
    )


CONSENSUS: Aggregate[ConsensusRequest] = Aggregate(
    name="consensus",
    events=get_args(Event),
    stream=lambda event: f"consensus-{event.request_id}",
    commands=(RequestConsensus, CastVote),
    id_of=attrgetter("request_id"),
    evolve=evolve,
    phase_of=attrgetter("status"),
    counters={"open_requests": Counter(amount=lambda one: 1 if one.status == "pending" else 0)},
    part_of=lambda event: event.agent_id if isinstance(event, VoteCast) else None,
    deadline=Deadline(
        at=lambda request: request.timeout_at, has_passed=is_overdue, events=_expiry_events, rank=2
    ),
    is_final=lambda request: request.status != "pending",
)
