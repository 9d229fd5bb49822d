"""Accounts of leases, the send gate, proposals, and agents that leave."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.domain.coordination.cancellations import CancelConsensus, ConsensusCancelled
from quorate.domain.coordination.consensus import (
    CONSENSUS,
    ConsensusDecided,
    ConsensusExpired,
    VoteCast,
    electorate_of,
    majority_decision,
)
from quorate.domain.coordination.lease_grants import AcquireLease, RenewLease
from quorate.domain.coordination.leases import (
    BY_OPERATOR,
    LEASES,
    SUPERSEDED,
    EndLease,
    LeaseConflicted,
    LeaseExpired,
    LeaseHeld,
    LeaseReleased,
    LeaseRevoked,
    ReleaseLease,
)
from quorate.domain.coordination.send_gate import RequestSend, SendBlocked
from quorate.domain.explanations.causes import replay
from quorate.domain.explanations.deadlines import due
from quorate.domain.explanations.histories import ELECTORATE_EXPLAINED_MAX
from quorate.domain.explanations.records import Account, Decide, History, LoggedEvent, Possible
from quorate.domain.identity.agent_departures import DeactivateAgent
from quorate.domain.identity.agents import (
    AGENTS,
    AgentDeregistered,
    AgentLapsed,
    AgentRef,
    active_agents,
)
from quorate.domain.identity.deregistration import deregister
from quorate.domain.shared.email_addresses import EmailAddress

DURATION_MINUTES = 1.0  # Of a request that is decided again; a rejection does not depend on it.
_AVAILABLE = Possible(
    action="Acquire the contact again: quorate lease acquire", when="while no other holder has it"
)
_WAIT = Possible(
    action="Wait for the notification lease_available, then acquire the contact",
    when="until the lease of the holder ends",
)
_RELEASE = Possible(
    action="Let the holder release its lease: quorate lease release",
    when="while the lease is active",
)


# -- Leases ------------------------------------------------------------------


def _rejected(history: History, decision: LoggedEvent) -> Sequence[LeaseConflicted]:
    """Request the lease again, or renew it as another instance of its holder."""
    event: LeaseConflicted = decision.event
    state = replay(history)
    acquire = AcquireLease(
        caller=decision.caller,
        agent=AgentRef(id=event.agent_id),
        contact=_contact(event),
        intent=event.intent,
        duration_minutes=DURATION_MINUTES,
        new_lease_id=event.lease_id,
        holder=event.requested_holder,
    )
    renew = RenewLease(
        caller=decision.caller,
        lease_id=event.lease_id,
        duration_minutes=DURATION_MINUTES,
        holder=event.requested_holder,
    )
    is_renewal = event.agent_id == event.holder_id and event.holder is None
    try:
        (renew if is_renewal else acquire).decide(state, decision.context)
    except LeaseHeld as held:
        return held.recorded
    return ()


def _contact(event: Any) -> EmailAddress:  # noqa: ANN401 - an event with a contact.
    return EmailAddress(email=event.contact_email, key=event.contact_key)


def _released(history: History, decision: LoggedEvent) -> Sequence[Any]:
    command = ReleaseLease(caller=decision.caller, lease_id=decision.event.lease_id)
    events = command.decide(replay(history), decision.context)
    has_contact = decision.event.contact_email is not None
    return events if has_contact else [decision.event for _ in events]


def _revoked(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: LeaseRevoked = decision.event
    if event.reason == BY_OPERATOR:
        command = EndLease(lease_id=event.lease_id, detail=event.detail or "")
        return command.decide(replay(history), decision.context)
    if event.reason != SUPERSEDED:
        return follow_departure(history, decision, event.agent_id)
    state = replay(history)
    lease = state[LEASES][event.lease_id]
    agent = state[AGENTS][event.agent_id]
    has_registered_again = lease.incarnation not in {None, agent.incarnation}
    acquisition = AcquireLease(
        caller=decision.caller,
        agent=AgentRef(id=event.agent_id),
        contact=_contact(event),
        intent=None,
        duration_minutes=DURATION_MINUTES,
        new_lease_id="",
        # The instance of the next lease is that of an event after this one: any other one.
        holder=event.holder if has_registered_again or event.holder else "another",
    )
    return acquisition.decide(state, decision.context)[:1]


def follow_departure(history: History, decision: LoggedEvent, agent_id: str) -> Sequence[Any]:
    """Return the departure of an agent, decided again, and what the aggregates record after it."""
    departures = [
        (at, one)
        for at, one in enumerate(history)
        if isinstance(one.event, AgentLapsed | AgentDeregistered)
        and one.event.agent_id == agent_id
        and one.command_id == decision.command_id
    ]
    if not departures:
        return ()
    at, departure = departures[-1]
    before = history[:at]
    again = (_lapsed if isinstance(departure.event, AgentLapsed) else _left)(before, departure)
    if departure.event not in again:
        return ()
    state = replay(before)
    return [*again, *state.reactions_to(departure.event)]


# -- Agents ------------------------------------------------------------------


def _lapsed(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: AgentLapsed = decision.event
    if event.detail is None:
        return due(AGENTS, event.agent_id, history, decision)
    command = DeactivateAgent(agent_id=event.agent_id, detail=event.detail)
    return command.decide(replay(history), decision.context)


def _left(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: AgentDeregistered = decision.event
    agent = replay(history)[AGENTS][event.agent_id]
    return deregister(agent, event.reason, decision.at)


# -- The send gate -----------------------------------------------------------


def _blocked(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: SendBlocked = decision.event
    command = RequestSend(
        caller=decision.caller,
        agent=AgentRef(id=event.agent_id),
        contact=_contact(event),
        fence=event.fence,
        new_send_id=event.send_id,
    )
    return command.decide(replay(history), decision.context)


# -- Proposals ---------------------------------------------------------------


def _decided(history: History, decision: LoggedEvent) -> Sequence[Any]:
    """Count again when the last vote was cast. Large electorates are those of the decision."""
    event: ConsensusDecided = decision.event
    if not history or not isinstance(history[-1].event, VoteCast):
        return ()
    state, last = replay(history[:-1]), history[-1].event
    request = state[CONSENSUS][event.request_id]
    electorate = frozenset(event.electorate)
    if request.members is not None:
        electorate = electorate_of(request, electorate)
    elif len(electorate) <= ELECTORATE_EXPLAINED_MAX:
        electorate = electorate_of(request, active_agents(state, decision.at) & electorate)
    choices = {voter: one.vote for voter, one in request.votes.items()}
    return majority_decision(request, electorate, choices | {last.agent_id: last.vote})


def _cancelled(history: History, decision: LoggedEvent) -> Sequence[Any]:
    event: ConsensusCancelled = decision.event
    command = CancelConsensus(
        caller=decision.caller,
        agent=AgentRef(id=event.cancelled_by),
        request_id=event.request_id,
        reason=event.reason,
    )
    return command.decide(replay(history), decision.context)


_ANOTHER_PROPOSAL = Possible(
    action="Propose the action again: quorate proposals create", when="at any time"
)
_lease_expired: Decide = lambda history, decision: due(  # noqa: E731
    LEASES, decision.event.lease_id, history, decision
)
_request_expired: Decide = lambda history, decision: due(  # noqa: E731
    CONSENSUS, decision.event.request_id, history, decision
)

ACCOUNTS: Mapping[type[Any], Account] = {
    LeaseConflicted: Account(
        rules={"": "A contact has at most one holder; a request of another one is rejected."},
        decision=_rejected,
        possible=(_WAIT, _RELEASE),
    ),
    LeaseReleased: Account(
        rules={"": "A lease ends when its holder or the tenant's key releases it."},
        decision=_released,
        possible=(_AVAILABLE,),
    ),
    LeaseExpired: Account(
        rules={"": "A lease ends at its expiry time, unless it is renewed before."},
        decision=_lease_expired,
        possible=(_AVAILABLE,),
    ),
    LeaseRevoked: Account(
        rules={
            "": "A lease is revoked when its holder loses the right to it.",
            "agent_inactive": "The leases of an agent end when its heartbeats stop, or an operator"
            " deactivates it.",
            "agent_deregistered": "The leases of an agent end when it deregisters.",
            BY_OPERATOR: "A lease ends when an operator ends it. The operator says why.",
            SUPERSEDED: "A lease is revoked when its agent acquires the contact again as another"
            " process, or after another registration.",
        },
        decision=_revoked,
        possible=(
            Possible(
                action="Send a heartbeat or register, then acquire the contact again",
                when="while no other holder has it",
            ),
        ),
    ),
    AgentLapsed: Account(
        rules={
            "": "An agent is inactive when no heartbeat arrives within its window.",
            BY_OPERATOR: "An agent is inactive when an operator deactivates it.",
        },
        decision=_lapsed,
        reason=lambda event: "" if event.detail is None else BY_OPERATOR,
        possible=(
            Possible(action="Send a heartbeat: quorate agents heartbeat", when="at any time"),
        ),
    ),
    AgentDeregistered: Account(
        rules={
            "": "An agent leaves when it deregisters; its leases end with it.",
            "key_revoked": "An agent leaves when its last key is revoked; its leases end with it.",
        },
        decision=_left,
        possible=(Possible(action="Register the agent again", when="while it has a valid key"),),
    ),
    SendBlocked: Account(
        rules={
            "": "The send gate blocks an agent that does not have the right to the contact.",
            "lease_conflict": "The send gate blocks an agent while another one holds the contact.",
            "stale_fence": "The send gate blocks a fence that is not that of the active lease.",
        },
        decision=_blocked,
        possible=(
            _WAIT,
            Possible(
                action="Acquire the contact again and use the fence of the new lease",
                when="while no other holder has it",
            ),
        ),
    ),
    ConsensusDecided: Account(
        rules={
            "": "A proposal is decided by the vote with which more than half of the electorate"
            " has voted the same."
        },
        decision=_decided,
        possible=(_ANOTHER_PROPOSAL,),
    ),
    ConsensusExpired: Account(
        rules={"": "A proposal without a majority expires at its timeout."},
        decision=_request_expired,
        possible=(_ANOTHER_PROPOSAL,),
    ),
    ConsensusCancelled: Account(
        rules={"": "The proposer or the tenant's key may cancel a proposal that is pending."},
        decision=_cancelled,
        possible=(_ANOTHER_PROPOSAL,),
    ),
}
