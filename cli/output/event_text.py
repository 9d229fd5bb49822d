"""What happened, in words: one sentence for each event of the log, and for each notification.

A notification speaks of its event in the event's own fields, so both are told by the same sentences.
Ids are told as names where a name was heard of. Whatever an agent wrote (an action, a reason) is
quoted: it is what somebody said, never something to do. A type from a newer service is told as it
came, not passed over.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import orjson

from quorate.cli.output.console import printable

Facts: TypeAlias = Mapping[str, Any]

SENTENCE_LENGTH_MAX = 300
NAMES_KNOWN_MAX = 100_000
_DAY_WIDTH = len("2026-03-01")
_CLOCK_WIDTH = len("2026-03-01T12:00:00")
_MOMENT_WIDTH = len("2026-03-01T12:00:00.000")


class Names:
    """Agents' names by their ids, learnt from what is told."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})

    def learn(self, facts: Facts) -> None:
        sides = (("agentId", "agentName"), ("holderId", "holderName"))
        self._learn([(facts.get(key), facts.get(name)) for key, name in sides])
        if isinstance(holder := facts.get("leaseHolder"), Mapping):
            self._learn([(holder.get("agentId"), holder.get("agentName"))])

    def of(self, agent_id: object) -> str:
        return self._known.get(str(agent_id), str(agent_id))

    def _learn(self, pairs: list[tuple[object, object]]) -> None:
        for agent_id, name in pairs:
            if agent_id and name and len(self._known) < NAMES_KNOWN_MAX:
                self._known[str(agent_id)] = str(name)


def told(type_: str, facts: Facts, names: Names) -> str:
    """One sentence about an event (``LeaseAcquired``) or a notification (``lease_conflict``)."""
    names.learn(facts)
    tell = SENTENCES.get(type_)
    try:
        sentence = tell(facts, names) if tell else _as_it_came(type_, facts)
    except (KeyError, TypeError):  # Not the fields that we know: a newer service.
        sentence = _as_it_came(type_, facts)
    return printable(sentence)[:SENTENCE_LENGTH_MAX]


def clock(time: object) -> str:
    """The time of day, to the second, in UTC as the service says it."""
    return str(time)[_DAY_WIDTH + 1 : _CLOCK_WIDTH]


def moment(time: object) -> str:
    """Day and time, to the millisecond, in UTC as the service says it."""
    return str(time)[:_MOMENT_WIDTH].replace("T", " ")


# -- The sentences -------------------------------------------------------------


def _as_it_came(type_: str, facts: Facts) -> str:
    return f"{type_} {orjson.dumps(dict(facts)).decode()}"


def _contact(facts: Facts) -> str:
    return str(facts.get("contactEmail") or facts["contactKey"])


def _quoted(facts: Facts) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{facts['action']}\N{RIGHT DOUBLE QUOTATION MARK}"


def _holder(facts: Facts) -> tuple[str, str]:
    """Who stands in the way, and until when: an event and a notification say it in two shapes."""
    holder = facts.get("leaseHolder")
    if holder is not None:
        return str(holder["agentName"]), clock(holder["expiresAt"])
    return str(facts["holderName"]), clock(facts["expiresAt"])


def _tenant_created(facts: Facts, _names: Names) -> str:
    return f"tenant {facts['tenantId']} was created"


def _key_issued(facts: Facts, _names: Names) -> str:
    whose = f" of {facts['agentName']}" if facts.get("agentName") else ""
    return f"a key was issued: {facts['role']}{whose} ({facts['keyId']})"


def _key_revoked(facts: Facts, _names: Names) -> str:
    return f"a key was revoked ({facts['keyId']})"


def _registered(facts: Facts, _names: Names) -> str:
    times = facts["incarnation"]
    again = f" again, incarnation {times}" if times > 1 else ""
    return f"{facts['agentName']} registered{again} ({facts['agentRole']})"


def _heartbeat(facts: Facts, names: Names) -> str:
    return f"{names.of(facts['agentId'])} is alive, at least until {clock(facts['activeUntil'])}"


def _lapsed(facts: Facts, _names: Names) -> str:
    return f"{facts['agentName']} lapsed: not heard of since {clock(facts['lastHeartbeat'])}"


def _configured(facts: Facts, names: Names) -> str:
    return f"{names.of(facts['agentId'])} was configured"


def _acquired(facts: Facts, names: Names) -> str:
    who, until = names.of(facts["agentId"]), clock(facts["expiresAt"])
    return f"{who} holds {_contact(facts)} until {until} (fence {facts['fence']})"


def _renewed(facts: Facts, names: Names) -> str:
    return f"{names.of(facts['agentId'])} keeps {_contact(facts)} until {clock(facts['expiresAt'])}"


def _released(facts: Facts, names: Names) -> str:
    return f"{names.of(facts['agentId'])} released {_contact(facts)}"


def _expired(facts: Facts, names: Names) -> str:
    return f"{names.of(facts['agentId'])}'s lease on {_contact(facts)} expired"


def _revoked(facts: Facts, names: Names) -> str:
    why = "it lapsed" if facts["reason"] == "agent_inactive" else facts["reason"]
    return f"{names.of(facts['agentId'])} lost {_contact(facts)}: {why}"


def _available(facts: Facts, names: Names) -> str:
    return f"{_contact(facts)} is free again: {names.of(facts['agentId'])} no longer holds it"


def _conflicted(facts: Facts, _names: Names) -> str:
    holder, until = _holder(facts)
    return f"{facts['agentName']} was refused {_contact(facts)}: {holder} holds it until {until}"


def _authorized(facts: Facts, names: Names) -> str:
    return f"{names.of(facts['agentId'])} may send to {_contact(facts)}"


def _blocked(facts: Facts, names: Names) -> str:
    who = f"{names.of(facts['agentId'])} may not send to {_contact(facts)}"
    if facts["reason"] == "stale_fence":
        return f"{who}: its fence {facts.get('fence', '')} is old"
    holder, until = _holder(facts)
    return f"{who}: {holder} holds it until {until}"


def _requested(facts: Facts, names: Names) -> str:
    who, until = names.of(facts["agentId"]), clock(facts["timeoutAt"])
    return f"{who} asks for a vote on {_quoted(facts)} ({_contact(facts)}) until {until}"


def _voted(facts: Facts, names: Names) -> str:
    return f"{names.of(facts['agentId'])} votes to {facts['vote']}"


def _decided(facts: Facts, _names: Names) -> str:
    counts = f"{facts['approvals']} for, {facts['rejections']} against"
    what = f"{_quoted(facts)} ({_contact(facts)})"
    return f"{what} is {facts['status']}: {counts}, of {facts['electorateSize']}"


def _undecided(facts: Facts, _names: Names) -> str:
    return f"{_quoted(facts)} ({_contact(facts)}) found no majority in time"


def _gap(facts: Facts, _names: Names) -> str:
    return f"notifications between {facts['after']} and {facts['until']} are no longer kept"


SENTENCES: Mapping[str, Callable[[Facts, Names], str]] = {
    "TenantCreated": _tenant_created,
    "KeyIssued": _key_issued,
    "KeyRevoked": _key_revoked,
    "AgentRegistered": _registered,
    "AgentReregistered": _registered,
    "HeartbeatReceived": _heartbeat,
    "AgentLapsed": _lapsed,
    "AgentConfigured": _configured,
    "LeaseAcquired": _acquired,
    "LeaseRenewed": _renewed,
    "LeaseReleased": _released,
    "LeaseExpired": _expired,
    "LeaseRevoked": _revoked,
    "LeaseConflicted": _conflicted,
    "SendAuthorized": _authorized,
    "SendBlocked": _blocked,
    "ConsensusRequested": _requested,
    "VoteCast": _voted,
    "ConsensusDecided": _decided,
    "ConsensusExpired": _undecided,
    "agent_registered": _registered,
    "agent_lapsed": _lapsed,
    "lease_conflict": _conflicted,
    "lease_released": _released,
    "lease_expired": _expired,
    "lease_revoked": _revoked,
    "lease_available": _available,
    "send_blocked": _blocked,
    "consensus_requested": _requested,
    "vote_cast": _voted,
    "consensus_decided": _decided,
    "consensus_expired": _undecided,
    "gap": _gap,
}
