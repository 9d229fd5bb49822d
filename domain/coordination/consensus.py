"""A risky action is settled by a majority of the agents that are active when it is voted on.

* With ``n`` active agents and only active agents' votes counted, ``2a > n`` approves and
  ``2r > n`` rejects. Both can never hold at once; a tie waits for the timeout.
* The tally runs inside the vote's own transaction and only there. A decision is final, and its
  event records the electorate and the counts; replay copies them and never recomputes.
* The first vote of an agent is final: the same value again is that vote, the opposite is refused.
* At ``timeout_at`` an undecided request expires, exactly once.

Options, off by default: ``electorate="snapshot"`` (only agents active at creation vote),
``proposer_votes=False``, ``floor`` (n is at least ceil(floor x the electorate at creation)).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, assert_never

from quorate.domain.identity.agents import AgentRef, acting_actively
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp, later

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext, TenantState

TIMEOUT_MINUTES_MIN = 1 / 60
TIMEOUT_MINUTES_MAX = 24 * 60
TIMEOUT_MINUTES_DEFAULT = 5.0
Status: TypeAlias = Literal["pending", "approved", "rejected", "expired"]
STATUSES: tuple[Status, ...] = ("pending", "approved", "rejected", "expired")
Choice: TypeAlias = Literal["approve", "reject"]
Electorate: TypeAlias = Literal["live", "snapshot"]


@record
class RequestConsensus:
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


@record
class CastVote:
    caller: Principal
    agent: AgentRef
    request_id: str
    vote: Choice
    reason: str | None
    new_vote_id: str


@record
class SettleRequest:
    """Record that a request timed out, if it did: what the timer asks for."""

    request_id: str


Command: TypeAlias = RequestConsensus | CastVote | SettleRequest

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


def stream(event: Event) -> str:
    return f"consensus-{event.request_id}"


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
class VoteAnswer:
    """A vote, and how its request stands after it."""

    vote: Vote
    status: Status


# -- Refusals ----------------------------------------------------------------


@dataclass(eq=False)
class RequestNotFound(NotFound):
    code: ClassVar[str] = "consensus_not_found"


@dataclass(eq=False)
class RequestClosed(Conflict):
    """It was decided or timed out; no vote can change that."""

    code: ClassVar[str] = "consensus_closed"
    consensus_status: Status


@dataclass(eq=False)
class AlreadyVoted(Conflict):
    """The first vote of an agent is final."""

    code: ClassVar[str] = "already_voted"
    vote: Choice


@dataclass(eq=False)
class NotEligible(Conflict):
    """The request's own options leave this agent out."""

    code: ClassVar[str] = "not_eligible"
    agent_id: str


# -- Decide ------------------------------------------------------------------


def decide(
    command: Command, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    match command:
        case CastVote():
            return vote(command, tenant_state, moment)
        case RequestConsensus():
            return request(command, tenant_state, moment)
        case SettleRequest():
            return []  # What was due has been recorded before any decision.
        case _:
            assert_never(command)


def request(
    command: RequestConsensus, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[ConsensusRequested]:
    agent = acting_actively(command.caller, command.agent, tenant_state, moment)
    quotas.check("open_requests", tenant_state.count("open_requests"), moment)
    active = tenant_state.active_agents(moment.now)
    members = active if command.proposer_votes else active - {agent.id}
    return [
        ConsensusRequested(
            request_id=command.new_request_id,
            agent_id=agent.id,
            action=command.action,
            contact_key=command.contact.key,
            contact_email=command.contact.email,
            reason=command.reason,
            timeout_at=later(moment.now, minutes=command.timeout_minutes),
            electorate=command.electorate,
            proposer_votes=command.proposer_votes,
            floor=command.floor,
            eligible=len(members),
            minimum=ceil(Fraction(command.floor) * len(members)) if command.floor else 0,
            members=tuple(sorted(members)) if command.electorate == "snapshot" else None,
        )
    ]


def vote(
    command: CastVote, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[VoteCast | ConsensusDecided]:
    state = tenant_state.requests.get(command.request_id)
    if state is None:
        raise RequestNotFound
    agent = acting_actively(command.caller, command.agent, tenant_state, moment)
    if (first := state.votes.get(agent.id)) is not None:
        if first.vote == command.vote:
            return []
        raise AlreadyVoted(first.vote)
    if state.status != "pending":
        raise RequestClosed(state.status)
    electorate = electorate_of(state, tenant_state.active_agents(moment.now))
    if agent.id not in electorate:
        raise NotEligible(agent.id)
    cast = VoteCast(
        vote_id=command.new_vote_id,
        request_id=state.id,
        agent_id=agent.id,
        vote=command.vote,
        reason=command.reason,
    )
    choices = {voter: one.vote for voter, one in state.votes.items()} | {agent.id: command.vote}
    return [cast, *_decision(state, electorate, choices)]


def electorate_of(state: ConsensusRequest, active: frozenset[str]) -> frozenset[str]:
    """Who may vote now, and whose votes count now."""
    if state.members is not None:
        return frozenset(state.members)
    return active if state.proposer_votes else active - {state.agent_id}


def _decision(
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


def outcome(command: Command, tenant_state: "TenantState") -> ConsensusRequest | VoteAnswer | None:
    match command:
        case RequestConsensus():
            return tenant_state.requests[command.new_request_id]
        case CastVote():
            state = tenant_state.requests[command.request_id]
            voter = tenant_state.acting_id(command.caller, command.agent)
            return VoteAnswer(vote=state.votes[voter], status=state.status)
        case SettleRequest():
            return tenant_state.requests.get(command.request_id)
        case _:
            assert_never(command)


# -- Due ---------------------------------------------------------------------


def overdue(state: ConsensusRequest, at: Timestamp) -> bool:
    return state.status == "pending" and at >= state.timeout_at


def expired(state: ConsensusRequest) -> ConsensusExpired:
    return ConsensusExpired(
        request_id=state.id,
        agent_id=state.agent_id,
        action=state.action,
        contact_email=state.contact_email,
        timeout_at=state.timeout_at,
    )


# -- Evolve ------------------------------------------------------------------


def evolve(state: ConsensusRequest | None, event: Event, at: Timestamp) -> ConsensusRequest:
    match event:
        case ConsensusRequested():
            return _opened(event, at)
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
            return replace(state, votes={**state.votes, event.agent_id: cast})
        case ConsensusDecided():
            assert state is not None
            counts = VoteCount(
                approvals=event.approvals,
                rejections=event.rejections,
                electorate_size=event.electorate_size,
            )
            return replace(state, status=event.status, closed_at=at, tally=counts)
        case ConsensusExpired():
            assert state is not None
            return replace(state, status="expired", closed_at=at)
        case _:
            assert_never(event)


def _opened(event: ConsensusRequested, at: Timestamp) -> ConsensusRequest:
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
