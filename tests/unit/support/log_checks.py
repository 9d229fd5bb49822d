"""What must hold of any log, whoever wrote it: read from its facts alone, from outside.

The facts are one tenant's whole log, so that the first has the sequence 1.
"""

from collections import Counter
from collections.abc import Sequence

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
    AgentLapsed,
    AgentRegistered,
    AgentReregistered,
    HeartbeatReceived,
)
from tests.unit.support.specification import Fact


def leases_are_exclusive(facts: Sequence[Fact]) -> None:
    """No contact is held twice, fences grow, a lease ends once, and a conflict is honest.

    When a lease ends, it names those that were refused while it lasted, in their order.
    """
    held: dict[str, LeaseAcquired] = {}
    runs_until: dict[str, int] = {}
    refused: dict[str, list[str]] = {}
    fences = [0]
    lapsed: set[str] = set()
    for sequence, fact in enumerate(facts, start=1):
        match fact.event:
            case LeaseAcquired() as grant:
                assert grant.contact_key not in held, "granted while it was held"
                assert grant.lease_id not in runs_until, "an id that was used before"
                assert grant.fence == sequence > fences[-1], "a fence that does not grow"
                held[grant.contact_key] = grant
                refused[grant.lease_id] = []
                runs_until[grant.lease_id] = grant.expires_at
                fences.append(grant.fence)
            case LeaseRenewed() as renewal:
                assert held[renewal.contact_key].lease_id == renewal.lease_id
                assert fact.at < runs_until[renewal.lease_id] <= renewal.expires_at
                runs_until[renewal.lease_id] = renewal.expires_at
            case LeaseReleased() | LeaseExpired() | LeaseRevoked() as end:
                assert held.pop(end.contact_key).lease_id == end.lease_id, "it had ended before"
                waited = tuple(dict.fromkeys(refused[end.lease_id]))[:CONTENDERS_MAX]
                assert (end.contenders or ()) == waited, "it forgot whom it kept out"
                if not isinstance(end, LeaseRevoked):
                    ran_out = fact.at >= runs_until[end.lease_id]
                    assert ran_out == isinstance(end, LeaseExpired), "it ended early"
            case LeaseConflicted() as refusal:
                assert refusal.lease_id == held[refusal.contact_key].lease_id
                assert refusal.holder_id == held[refusal.contact_key].agent_id
                assert refusal.agent_id != refusal.holder_id
                refused[refusal.lease_id].append(refusal.agent_id)
                assert fact.at < refusal.expires_at == runs_until[refusal.lease_id]
            case AgentLapsed() as lapse:
                lapsed.add(lapse.agent_id)
            case AgentReregistered() | HeartbeatReceived() as sign if sign.agent_id in lapsed:
                lapsed.remove(sign.agent_id)
                assert all(one.agent_id != sign.agent_id for one in held.values())


def decisions_are_justified(facts: Sequence[Fact]) -> None:
    """Each decision follows from a vote, and recounting what came before gives its numbers."""
    asked: dict[str, ConsensusRequested] = {}
    ends: Counter[str] = Counter()
    for place, fact in enumerate(facts):
        match fact.event:
            case ConsensusRequested() as question:
                asked[question.request_id] = question
            case VoteCast() as cast:
                assert ends[cast.request_id] == 0, "a vote after the end"
                assert fact.at < asked[cast.request_id].timeout_at
            case ConsensusDecided() as decision:
                ends[decision.request_id] += 1
                cause = facts[place - 1]
                assert isinstance(cause.event, VoteCast), "decided by something else than a vote"
                assert cause.event.request_id == decision.request_id
                assert cause.at == fact.at
                _recount(decision, asked[decision.request_id], facts[: place + 1])
            case ConsensusExpired() as end:
                ends[end.request_id] += 1
                assert fact.at >= end.timeout_at
    assert all(count == 1 for count in ends.values()), "more than one end"


def _recount(decision: ConsensusDecided, asked: ConsensusRequested, facts: Sequence[Fact]) -> None:
    electorate = set(asked.members) if asked.members is not None else _active(facts)
    if not asked.proposer_votes:
        electorate.discard(asked.agent_id)
    votes: Counter[str] = Counter(
        fact.event.vote
        for fact in facts
        if isinstance(fact.event, VoteCast)
        and fact.event.request_id == decision.request_id
        and fact.event.agent_id in electorate
    )
    n = max(len(electorate), asked.minimum)
    winner = "approve" if decision.status == "approved" else "reject"

    assert set(decision.electorate) == electorate
    assert (decision.approvals, decision.rejections) == (votes["approve"], votes["reject"])
    assert decision.electorate_size == n
    assert 2 * votes[winner] > n


def _active(facts: Sequence[Fact]) -> set[str]:
    """Who was active at the last of these facts: who had promised to be, and was heard of."""
    until = {
        fact.event.agent_id: fact.event.active_until
        for fact in facts
        if isinstance(fact.event, AgentRegistered | AgentReregistered | HeartbeatReceived)
    }
    return {agent_id for agent_id, instant in until.items() if facts[-1].at <= instant}
