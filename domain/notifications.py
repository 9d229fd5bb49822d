"""Who must hear of what: a pure function from an event to its notifications.

An agent hears of what concerns itself on its own subject; all agents of a tenant hear of what
they may have to act on. A notification speaks of the event in the event's own public words (camelCase,
times in ISO 8601). Text that an agent wrote (an action, a reason) is passed on as it was written,
for people and policies to judge: it is never an instruction.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, assert_never

from quorate.domain.shared.records import record

Facts: TypeAlias = Mapping[str, Any]
EVERYONE = ""  # Stands for all agents of the tenant where agents are named by their ids.


@record
class ToAgent:
    """One agent, on its own subject."""

    agent_id: str


@record
class ToAll:
    """Every agent of the tenant."""


Audience: TypeAlias = ToAgent | ToAll


@record
class Notification:
    audience: Audience
    name: str
    facts: Facts


def notifications(type_: str, data: Facts) -> Sequence[Notification]:
    """The notifications of one event, given as it is published, in the order in which they are sent."""
    rule = _RULES.get(type_)
    return rule.say(data) if rule is not None else ()


def concerned(type_: str, data: Facts) -> frozenset[str]:
    """The ids of the agents that are told of an event; EVERYONE if all are."""
    return frozenset(_id_of(notification.audience) for notification in notifications(type_, data))


def concerns(notification: Notification, agent_id: str) -> bool:
    """Whether an agent is among those who are told."""
    return _id_of(notification.audience) in (EVERYONE, agent_id)


def _id_of(audience: Audience) -> str:
    match audience:
        case ToAgent():
            return audience.agent_id
        case ToAll():
            return EVERYONE
        case _:
            assert_never(audience)


# -- Rules -------------------------------------------------------------------


@record
class _Rule:
    """What an event of one type says, and under which names."""

    names: tuple[str, ...]
    say: Callable[[Facts], Sequence[Notification]]


def _to_all(name: str, *, without: str | None = None) -> _Rule:
    def say(data: Facts) -> Sequence[Notification]:
        facts = {key: value for key, value in data.items() if key != without}
        return (Notification(audience=ToAll(), name=name, facts=facts),)

    return _Rule(names=(name,), say=say)


def _to_both_sides(name: str) -> _Rule:
    """To the agent that was turned away and, where there is one, to the holder."""

    def say(data: Facts) -> Sequence[Notification]:
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
        return [
            Notification(audience=ToAgent(agent_id=side), name=name, facts=facts) for side in sides
        ]

    return _Rule(names=(name,), say=say)


def _to_holder_and_contenders(name: str) -> _Rule:
    """To the agent whose lease ended, and to each that it kept out: the contact may be free now."""

    def say(data: Facts) -> Sequence[Notification]:
        facts = dict(data)
        contenders = facts.pop("contenders", ())
        told = [Notification(audience=ToAgent(agent_id=data["agentId"]), name=name, facts=facts)]
        available = {fact: data[fact] for fact in _AVAILABLE} if contenders else {}
        told += [
            Notification(
                audience=ToAgent(agent_id=contender), name=_LEASE_AVAILABLE, facts=available
            )
            for contender in contenders
        ]
        return told

    return _Rule(names=(name, _LEASE_AVAILABLE), say=say)


_LEASE_AVAILABLE = "lease_available"
_AVAILABLE = ("leaseId", "contactKey", "contactEmail", "agentId")  # The agent is the last holder.
_RULES: Mapping[str, _Rule] = {
    "LeaseConflicted": _to_both_sides("lease_conflict"),
    "LeaseReleased": _to_holder_and_contenders("lease_released"),
    "LeaseExpired": _to_holder_and_contenders("lease_expired"),
    "LeaseRevoked": _to_holder_and_contenders("lease_revoked"),
    "SendBlocked": _to_both_sides("send_blocked"),
    "AgentRegistered": _to_all("agent_registered"),
    "AgentLapsed": _to_all("agent_lapsed"),
    "ConsensusRequested": _to_all("consensus_requested", without="members"),
    "VoteCast": _to_all("vote_cast"),
    "ConsensusDecided": _to_all("consensus_decided", without="electorate"),
    "ConsensusExpired": _to_all("consensus_expired"),
}
NOTICED_TYPES = frozenset(_RULES)
NOTIFICATION_NAMES = frozenset(name for rule in _RULES.values() for name in rule.names)
