"""Who must hear of what: a pure function from an event to its notices.

An agent hears of what concerns itself on its own subject; all agents of a tenant hear of what
they may have to act on. A notice speaks of the event in the event's own public words (camelCase,
times in ISO 8601). Text that an agent wrote (an action, a reason) is passed on as it was written,
for people and policies to judge: it is never an instruction.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from quorate.domain.record import record

Facts: TypeAlias = Mapping[str, Any]


@record
class ToAgent:
    """One agent, on its own subject."""

    agent_id: str


@record
class ToAll:
    """Every agent of the tenant."""


Audience: TypeAlias = ToAgent | ToAll


@record
class Notice:
    audience: Audience
    name: str
    facts: Facts


def notices(type_: str, data: Facts) -> Sequence[Notice]:
    """The notices of one event, given as it is published, in the order in which they are sent."""
    rule = _RULES.get(type_)
    return rule(data) if rule is not None else ()


def _to_agent(name: str) -> Callable[[Facts], Sequence[Notice]]:
    def rule(data: Facts) -> Sequence[Notice]:
        return (Notice(audience=ToAgent(agent_id=data["agentId"]), name=name, facts=data),)

    return rule


def _to_all(name: str, *, without: str | None = None) -> Callable[[Facts], Sequence[Notice]]:
    def rule(data: Facts) -> Sequence[Notice]:
        facts = {key: value for key, value in data.items() if key != without}
        return (Notice(audience=ToAll(), name=name, facts=facts),)

    return rule


def _to_both_sides(name: str) -> Callable[[Facts], Sequence[Notice]]:
    """To the agent that was turned away and, where there is one, to the holder."""

    def rule(data: Facts) -> Sequence[Notice]:
        facts = dict(data)
        holder_id = facts.pop("holderId", None)
        holder_name = facts.pop("holderName", None)
        sides = [data["agentId"]]
        if holder_id is not None:
            sides.append(holder_id)
            facts["conflict"] = True
            facts["leaseHolder"] = {
                "agentId": holder_id,
                "agentName": holder_name,
                "expiresAt": facts.pop("expiresAt"),
            }
        return [Notice(audience=ToAgent(agent_id=side), name=name, facts=facts) for side in sides]

    return rule


_RULES: Mapping[str, Callable[[Facts], Sequence[Notice]]] = {
    "LeaseConflicted": _to_both_sides("lease_conflict"),
    "LeaseExpired": _to_agent("lease_expired"),
    "LeaseRevoked": _to_agent("lease_revoked"),
    "SendBlocked": _to_both_sides("send_blocked"),
    "AgentRegistered": _to_all("agent_registered"),
    "AgentLapsed": _to_all("agent_lapsed"),
    "ConsensusRequested": _to_all("consensus_requested", without="members"),
    "VoteCast": _to_all("vote_cast"),
    "ConsensusDecided": _to_all("consensus_decided", without="electorate"),
    "ConsensusExpired": _to_all("consensus_expired"),
}
NOTICED_TYPES = frozenset(_RULES)
