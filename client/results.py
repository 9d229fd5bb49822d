"""What the service answers, typed: names as Python writes them, times as aware datetimes.

Each type reads itself from the JSON of an answer and keeps that JSON in ``raw``, as it came: a
newer service may say more than these types know. ``read`` raises KeyError, TypeError or ValueError
when what answered is not Quorate.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from quorate.domain.coordination.consensus import Choice, Electorate
from quorate.domain.coordination.consensus import Status as ConsensusStatus
from quorate.domain.coordination.leases import Status as LeaseStatus
from quorate.domain.coordination.send_gate import Reason
from quorate.domain.identity.api_keys import Role
from quorate.domain.shared.records import record

Json: TypeAlias = Mapping[str, Any]
Config: TypeAlias = dict[str, bool | str]
GAP = "gap"
_TYPE_PREFIX = "quorate."
_AS_IT_CAME: Any = field(repr=False, compare=False)


def moment(text: str) -> datetime:
    """The aware datetime of a time as the service writes it."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a time without its offset: {text}")
    return at


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


# -- Agents ------------------------------------------------------------------


@record
class AgentInfo:
    """An agent. ``active_until`` is when it lapses unless it heartbeats."""

    id: str
    tenant_id: str
    name: str
    role: str
    registered_at: datetime
    last_heartbeat: datetime
    active_until: datetime
    incarnation: int
    status: Literal["active", "inactive"]
    leases_held: int | None = None  # Told by look-ups, not by registering.
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            name=json["agentName"],
            role=json["agentRole"],
            registered_at=moment(json["registeredAt"]),
            last_heartbeat=moment(json["lastHeartbeat"]),
            active_until=moment(json["activeUntil"]),
            incarnation=json["incarnation"],
            status=json["status"],
            leases_held=json.get("leasesHeld"),
            raw=json,
        )


@record
class HeartbeatInfo:
    """``last_notification`` is the sequence of the last notification that concerns the agent; 0 if none."""

    agent_id: str
    last_heartbeat: datetime
    active_until: datetime
    last_notification: int
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            agent_id=json["agentId"],
            last_heartbeat=moment(json["lastHeartbeat"]),
            active_until=moment(json["activeUntil"]),
            last_notification=json.get("lastNotification", 0),
            raw=json,
        )


# -- Leases ------------------------------------------------------------------


@record
class HolderInfo:
    """Who holds a contact, and until when unless it renews."""

    agent_id: str
    agent_name: str
    expires_at: datetime
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            agent_id=json["agentId"],
            agent_name=json["agentName"],
            expires_at=moment(json["expiresAt"]),
            raw=json,
        )


@record
class LeaseInfo:
    """A lease as it was when the service answered. ``fence`` only ever grows."""

    id: str
    tenant_id: str
    agent_id: str
    contact_email: str
    intent: str
    created_at: datetime
    expires_at: datetime
    fence: int
    status: LeaseStatus
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            agent_id=json["agentId"],
            contact_email=json["contactEmail"],
            intent=json["intent"],
            created_at=moment(json["createdAt"]),
            expires_at=moment(json["expiresAt"]),
            fence=json["fence"],
            status=json["status"],
            raw=json,
        )


@record
class SendVerdict:
    """What the send gate says. A block is information, not an error: ``reason`` tells why."""

    id: str
    agent_id: str
    contact_email: str
    authorized: bool
    reason: Reason | None
    fence: int | None
    holder: HolderInfo | None
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        holder = json.get("leaseHolder")
        return cls(
            id=json["id"],
            agent_id=json["agentId"],
            contact_email=json["contactEmail"],
            authorized=json["status"] == "authorized",
            reason=json.get("reason"),
            fence=json.get("fence"),
            holder=None if holder is None else HolderInfo.read(holder),
            raw=json,
        )


# -- Consensus ---------------------------------------------------------------


@record
class DecisionInfo:
    """The counts as they were when the deciding vote was cast."""

    approvals: int
    rejections: int
    electorate_size: int

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            approvals=json["approvals"],
            rejections=json["rejections"],
            electorate_size=json["electorateSize"],
        )


@record
class ConsensusInfo:
    """A request for consensus. ``approvals`` and ``rejections`` are the votes cast so far."""

    id: str
    tenant_id: str
    requesting_agent_id: str
    action: str
    contact_email: str
    reason: str
    status: ConsensusStatus
    timeout_at: datetime
    created_at: datetime
    electorate: Electorate
    proposer_votes: bool
    approvals: int
    rejections: int
    floor: float | None
    closed_at: datetime | None
    decision: DecisionInfo | None
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        decision = json.get("decision")
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            requesting_agent_id=json["requestingAgentId"],
            action=json["action"],
            contact_email=json["contactEmail"],
            reason=json["reason"],
            status=json["status"],
            timeout_at=moment(json["timeoutAt"]),
            created_at=moment(json["createdAt"]),
            electorate=json["electorate"],
            proposer_votes=json["proposerVotes"],
            approvals=json["approvals"],
            rejections=json["rejections"],
            floor=json.get("floor"),
            closed_at=_moment_or_none(json.get("closedAt")),
            decision=None if decision is None else DecisionInfo.read(decision),
            raw=json,
        )


@record
class VoteInfo:
    """A vote, and what the request's status is now that it was cast."""

    id: str
    consensus_id: str
    agent_id: str
    vote: Choice
    reason: str | None
    consensus_status: ConsensusStatus
    created_at: datetime
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            consensus_id=json["consensusRequestId"],
            agent_id=json["agentId"],
            vote=json["vote"],
            reason=json["reason"],
            consensus_status=json["consensusStatus"],
            created_at=moment(json["createdAt"]),
            raw=json,
        )


# -- Notifications -----------------------------------------------------------------


@record
class Notification:
    """Something an agent must hear of; ``data`` holds its facts under the service's own names.

    A notification named ``gap`` says that notifications after ``data["after"]`` and up to ``data["until"]``
    are no longer kept: what they told must be looked up.
    """

    name: str
    sequence: int
    id: str | None  # None for a gap, which is not an event.
    time: datetime | None
    data: Json
    raw: Json = _AS_IT_CAME

    @property
    def is_gap(self) -> bool:
        return self.name == GAP

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            name=str(json["type"]).removeprefix(_TYPE_PREFIX),
            sequence=int(json["sequence"]),
            id=json["id"],
            time=moment(json["time"]),
            data=json["data"],
            raw=json,
        )

    @classmethod
    def gap(cls, after: int, until: int) -> Self:
        facts = {"after": after, "until": until}
        return cls(name=GAP, sequence=until, id=None, time=None, data=facts, raw=facts)


@record
class NotificationPage:
    """Notifications in order, a gap among them; ``next`` is what to send as ``after``.

    At ``next == head`` everything was seen.
    """

    notifications: tuple[Notification, ...]
    next: int
    head: int
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        gap = json.get("gap")
        first = () if gap is None else (Notification.gap(gap["after"], gap["until"]),)
        return cls(
            notifications=(*first, *(Notification.read(each) for each in json["notifications"])),
            next=json["next"],
            head=json["head"],
            raw=json,
        )


# -- Keys and tenants --------------------------------------------------------


@record
class KeyInfo:
    """A key. ``key`` is its text, which is told once: when it is issued."""

    id: str
    tenant_id: str
    role: Role
    agent_id: str | None
    agent_name: str | None
    created_at: datetime
    revoked_at: datetime | None
    key: str | None = field(default=None, repr=False)
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            role=json["role"],
            agent_id=json["agentId"],
            agent_name=json["agentName"],
            created_at=moment(json["createdAt"]),
            revoked_at=_moment_or_none(json["revokedAt"]),
            key=json.get("key"),
            raw=json,
        )


@record
class TenantInfo:
    id: str
    created_at: datetime
    raw: Json = _AS_IT_CAME

    @classmethod
    def read(cls, json: Json) -> Self:
        return cls(id=json["tenantId"], created_at=moment(json["createdAt"]), raw=json)
