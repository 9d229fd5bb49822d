"""Invariants of any valid log, checked on its events alone.

The events are the complete log of one tenant, so the first has the sequence 1.
"""

from collections import Counter
from collections.abc import Sequence

from quorate.domain.coordination.cancellations import ConsensusCancelled
from quorate.domain.coordination.consensus import (
    ConsensusDecided,
    ConsensusExpired,
    ConsensusRequested,
    VoteCast,
)
from quorate.domain.coordination.leases import (
    CONTENDERS_MAX,
    LeaseAcquired,
    LeaseConflicted,
    LeaseExpired,
    LeaseReleased,
    LeaseRenewed,
    LeaseRevoked,
)
from quorate.domain.identity.agents import (
    AgentDeregistered,
    AgentLapsed,
    AgentRegistered,
    AgentReregistered,
    HeartbeatReceived,
)
from tests.unit.support.specification import TimedEvent


def leases_are_exclusive(events: Sequence[TimedEvent]) -> None:
    """No contact is held twice, fences increase, a lease ends once, and conflicts name the holder.

    The event that ends a lease names its contenders in the order of their rejection. A holder is an
    agent with an instance of it, and a rejected request is of another holder.
    """
    leases_are_superseded_by_later_registrations(events)
    held: dict[str, LeaseAcquired] = {}
    expires_at: dict[str, int] = {}
    rejected: dict[str, list[str]] = {}
    fences = [0]
    timed_out: set[str] = set()
    for sequence, entry in enumerate(events, start=1):
        match entry.event:
            case LeaseAcquired() as grant:
                assert grant.contact_key not in held, "granted while it was held"
                assert grant.lease_id not in expires_at, "a lease id was used twice"
                assert grant.fence == sequence > fences[-1], "a fence did not increase"
                held[grant.contact_key] = grant
                rejected[grant.lease_id] = []
                expires_at[grant.lease_id] = grant.expires_at
                fences.append(grant.fence)
            case LeaseRenewed() as renewal:
                assert held[renewal.contact_key].lease_id == renewal.lease_id
                assert held[renewal.contact_key].holder == renewal.holder
                assert entry.at < expires_at[renewal.lease_id] <= renewal.expires_at
                expires_at[renewal.lease_id] = renewal.expires_at
            case LeaseReleased() | LeaseExpired() | LeaseRevoked() as end:
                ended = held.pop(end.contact_key)
                assert ended.lease_id == end.lease_id, "a lease ended twice"
                assert ended.holder == end.holder
                contenders = tuple(dict.fromkeys(rejected[end.lease_id]))[:CONTENDERS_MAX]
                assert (end.contenders or ()) == contenders, "a contender is missing"
                if not isinstance(end, LeaseRevoked):
                    has_expired = entry.at >= expires_at[end.lease_id]
                    assert has_expired == isinstance(end, LeaseExpired), "a lease ended early"
            case LeaseConflicted() as conflict:
                assert conflict.lease_id == held[conflict.contact_key].lease_id
                present = (conflict.holder_id, conflict.holder)
                assert present == _holder(held[conflict.contact_key])
                assert present != (conflict.agent_id, conflict.requested_holder), "a holder's own"
                rejected[conflict.lease_id].append(conflict.agent_id)
                assert entry.at < conflict.expires_at == expires_at[conflict.lease_id]
            case AgentLapsed() | AgentDeregistered() as ended:
                timed_out.add(ended.agent_id)
            case AgentReregistered() | HeartbeatReceived() as sign if sign.agent_id in timed_out:
                timed_out.remove(sign.agent_id)
                # Its leases ended with it, except those that had expired already.
                left = [one for one in held.values() if one.agent_id == sign.agent_id]
                assert all(expires_at[one.lease_id] <= entry.at for one in left)


def leases_are_superseded_by_later_registrations(events: Sequence[TimedEvent]) -> None:
    """A grant names the registration of its agent. A later one supersedes it, for its holder.

    A grant without a holder is also superseded by one of the same agent with a holder.
    """
    incarnations: dict[str, int] = {}
    grants: dict[str, LeaseAcquired] = {}
    superseded: LeaseAcquired | None = None
    for entry in events:
        event = entry.event
        if superseded is not None:
            assert isinstance(event, LeaseAcquired), "superseded without a grant"
            assert event.agent_id == superseded.agent_id, "superseded by another agent"
            assert superseded.holder in {None, event.holder}, "superseded by another holder"
            before, after = ((one.incarnation, one.holder) for one in (superseded, event))
            assert before != after, "superseded by its own holder"
            superseded = None
        match event:
            case AgentRegistered() | AgentReregistered():
                incarnations[event.agent_id] = event.incarnation
            case LeaseAcquired():
                assert event.incarnation == incarnations[event.agent_id]
                grants[event.lease_id] = event
            case LeaseRevoked(reason="superseded"):
                superseded = grants[event.lease_id]


def _holder(grant: LeaseAcquired) -> tuple[str, str | None]:
    return grant.agent_id, grant.holder


def decisions_are_justified(events: Sequence[TimedEvent]) -> None:
    """Each decision follows a vote, and a recount of the earlier events gives its numbers."""
    proposals: dict[str, ConsensusRequested] = {}
    ends: Counter[str] = Counter()
    for index, entry in enumerate(events):
        match entry.event:
            case ConsensusRequested() as proposal:
                proposals[proposal.request_id] = proposal
            case VoteCast() as vote_cast:
                assert ends[vote_cast.request_id] == 0, "a vote after the end"
                assert entry.at < proposals[vote_cast.request_id].timeout_at
            case ConsensusDecided() as decision:
                ends[decision.request_id] += 1
                cause = events[index - 1]
                assert isinstance(cause.event, VoteCast), "no vote caused the decision"
                assert cause.event.request_id == decision.request_id
                assert cause.at == entry.at
                _recount(decision, proposals[decision.request_id], events[: index + 1])
            case ConsensusExpired() as end:
                ends[end.request_id] += 1
                assert entry.at >= end.timeout_at
            case ConsensusCancelled() as end:
                ends[end.request_id] += 1
                assert entry.at < proposals[end.request_id].timeout_at
                assert end.cancelled_by in {None, proposals[end.request_id].agent_id}
    assert all(count == 1 for count in ends.values()), "more than one end"


def _recount(
    decision: ConsensusDecided, proposal: ConsensusRequested, events: Sequence[TimedEvent]
) -> None:
    electorate = set(proposal.members) if proposal.members is not None else _active(events)
    if not proposal.proposer_votes:
        electorate.discard(proposal.agent_id)
    votes: Counter[str] = Counter(
        entry.event.vote
        for entry in events
        if isinstance(entry.event, VoteCast)
        and entry.event.request_id == decision.request_id
        and entry.event.agent_id in electorate
    )
    n = max(len(electorate), proposal.minimum)
    winner = "approve" if decision.status == "approved" else "reject"

    assert set(decision.electorate) == electorate
    assert (decision.approvals, decision.rejections) == (votes["approve"], votes["reject"])
    assert decision.electorate_size == n
    assert 2 * votes[winner] > n


def _active(events: Sequence[TimedEvent]) -> set[str]:
    """Return the agents that were active at the time of the last event."""
    until: dict[str, int] = {}
    for entry in events:
        match entry.event:
            case AgentRegistered() | AgentReregistered() | HeartbeatReceived() as sign:
                until[sign.agent_id] = sign.active_until
            case AgentDeregistered() as end:
                del until[end.agent_id]
    return {agent_id for agent_id, active_until in until.items() if events[-1].at <= active_until}
