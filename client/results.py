"""Typed results of responses; their shapes are those of the OpenAPI document (``/openapi.json``).

* Times are timezone-aware ``datetime`` objects by the clock of the service.
* ``raw`` keeps the JSON object unchanged, so members of a newer service stay readable.
* ``from_json`` raises KeyError, TypeError or ValueError for JSON that is not from Quorate.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal, Self, TypeAlias

from quorate.domain.coordination.consensus import Choice, Electorate
from quorate.domain.coordination.consensus import Status as ConsensusStatus
from quorate.domain.coordination.leases import Status as LeaseStatus
from quorate.domain.coordination.send_gate import Reason
from quorate.domain.identity.principals import Role
from quorate.domain.shared.records import record

Json: TypeAlias = Mapping[str, Any]
Config: TypeAlias = dict[str, bool | str]
GAP = "gap"
_TYPE_PREFIX = "quorate."
_RAW: Any = field(repr=False, compare=False)


def parse_time(text: str) -> datetime:
    """Return the timezone-aware datetime for a time in a response (RFC 3339)."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"The time has no UTC offset: {text}")
    return at


def _parse_optional_time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


# -- Agents ------------------------------------------------------------------


@record
class AgentInfo:
    """A registered agent.

    * ``active_until``: the agent times out at this time unless it sends a heartbeat before.
    * ``incarnation``: the number of registrations under this name, from 1.
    * ``leases_held``: the number of its leases; None in the response to a registration.
    """

    id: str
    tenant_id: str
    name: str
    role: str
    registered_at: datetime
    last_heartbeat: datetime
    active_until: datetime
    incarnation: int
    status: Literal["active", "inactive"]
    leases_held: int | None = None
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            name=json["agentName"],
            role=json["agentRole"],
            registered_at=parse_time(json["registeredAt"]),
            last_heartbeat=parse_time(json["lastHeartbeat"]),
            active_until=parse_time(json["activeUntil"]),
            incarnation=json["incarnation"],
            status=json["status"],
            leases_held=json.get("leasesHeld"),
            raw=json,
        )


@record
class HeartbeatInfo:
    """The response to a heartbeat. ``last_notification`` is the newest sequence; 0 for none."""

    agent_id: str
    last_heartbeat: datetime
    active_until: datetime
    last_notification: int
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            agent_id=json["agentId"],
            last_heartbeat=parse_time(json["lastHeartbeat"]),
            active_until=parse_time(json["activeUntil"]),
            last_notification=json.get("lastNotification", 0),
            raw=json,
        )


# -- Leases ------------------------------------------------------------------


@record
class HolderInfo:
    """The agent that holds a contact. ``expires_at`` is the end of its lease unless it renews."""

    agent_id: str
    agent_name: str
    expires_at: datetime
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            agent_id=json["agentId"],
            agent_name=json["agentName"],
            expires_at=parse_time(json["expiresAt"]),
            raw=json,
        )


@record
class LeaseInfo:
    """A lease. ``fence`` is the fencing token, strictly increasing within the tenant."""

    id: str
    tenant_id: str
    agent_id: str
    contact_email: str
    intent: str
    created_at: datetime
    expires_at: datetime
    fence: int
    status: LeaseStatus
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            agent_id=json["agentId"],
            contact_email=json["contactEmail"],
            intent=json["intent"],
            created_at=parse_time(json["createdAt"]),
            expires_at=parse_time(json["expiresAt"]),
            fence=json["fence"],
            status=json["status"],
            raw=json,
        )


@record
class SendVerdict:
    """The decision of the send gate. A block is a result, not an exception.

    * ``authorized``: whether the agent may contact the person now.
    * ``reason``: why the request is blocked; None when it is authorized.
    * ``fence``: the fencing token of the lease of the agent, if any.
    * ``holder``: the other agent that holds the contact, if any.
    """

    id: str
    agent_id: str
    contact_email: str
    authorized: bool
    reason: Reason | None
    fence: int | None
    holder: HolderInfo | None
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        holder = json.get("leaseHolder")
        return cls(
            id=json["id"],
            agent_id=json["agentId"],
            contact_email=json["contactEmail"],
            authorized=json["status"] == "authorized",
            reason=json.get("reason"),
            fence=json.get("fence"),
            holder=None if holder is None else HolderInfo.from_json(holder),
            raw=json,
        )


# -- Consensus ---------------------------------------------------------------


@record
class DecisionInfo:
    """The counts at the moment of the deciding vote."""

    approvals: int
    rejections: int
    electorate_size: int

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            approvals=json["approvals"],
            rejections=json["rejections"],
            electorate_size=json["electorateSize"],
        )


@record
class ConsensusInfo:
    """A consensus proposal.

    * ``approvals``, ``rejections``: the numbers of votes until now.
    * ``electorate``, ``proposer_votes``, ``floor``: as in ``Agent.propose``.
    * ``decision``: the counts of the deciding vote; None while no vote has decided.
    """

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
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        decision = json.get("decision")
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            requesting_agent_id=json["requestingAgentId"],
            action=json["action"],
            contact_email=json["contactEmail"],
            reason=json["reason"],
            status=json["status"],
            timeout_at=parse_time(json["timeoutAt"]),
            created_at=parse_time(json["createdAt"]),
            electorate=json["electorate"],
            proposer_votes=json["proposerVotes"],
            approvals=json["approvals"],
            rejections=json["rejections"],
            floor=json.get("floor"),
            closed_at=_parse_optional_time(json.get("closedAt")),
            decision=None if decision is None else DecisionInfo.from_json(decision),
            raw=json,
        )


@record
class VoteInfo:
    """A vote. ``consensus_status`` is the status of the proposal after this vote."""

    id: str
    consensus_id: str
    agent_id: str
    vote: Choice
    reason: str | None
    consensus_status: ConsensusStatus
    created_at: datetime
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            consensus_id=json["consensusRequestId"],
            agent_id=json["agentId"],
            vote=json["vote"],
            reason=json["reason"],
            consensus_status=json["consensusStatus"],
            created_at=parse_time(json["createdAt"]),
            raw=json,
        )


# -- Notifications -----------------------------------------------------------


@record
class Notification:
    """A notification for one agent.

    * ``name``: the type without its prefix, such as ``lease_released``; docs/nats.md lists them.
    * ``sequence``: the position in the event log of the tenant; strictly increasing.
    * ``data``: the fields of the notification under their JSON names.

    A notification named ``gap`` reports a truncated range: those after ``data["after"]`` up to
    ``data["until"]`` are no longer kept. Query the present state then.
    """

    name: str
    sequence: int
    id: str | None  # None for a gap.
    time: datetime | None  # None for a gap.
    data: Json
    raw: Json = _RAW

    @property
    def is_gap(self) -> bool:
        """Whether this is a truncated range instead of an event."""
        return self.name == GAP

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            name=str(json["type"]).removeprefix(_TYPE_PREFIX),
            sequence=int(json["sequence"]),
            id=json["id"],
            time=parse_time(json["time"]),
            data=json["data"],
            raw=json,
        )

    @classmethod
    def gap(cls, after: int, until: int) -> Self:
        data = {"after": after, "until": until}
        return cls(name=GAP, sequence=until, id=None, time=None, data=data, raw=data)


@record
class NotificationPage:
    """Notifications in ascending order; a gap is the first of them.

    ``next`` is the value of ``after`` for the next page. ``head`` is the last sequence of the log;
    the page is the last one when both are equal.
    """

    notifications: tuple[Notification, ...]
    next: int
    head: int
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        gap = json.get("gap")
        first = () if gap is None else (Notification.gap(gap["after"], gap["until"]),)
        return cls(
            notifications=(
                *first,
                *(Notification.from_json(each) for each in json["notifications"]),
            ),
            next=json["next"],
            head=json["head"],
            raw=json,
        )


# -- Keys and tenants --------------------------------------------------------


@record
class KeyInfo:
    """An API key. ``key`` is the full key, present only in the response that issues it."""

    id: str
    tenant_id: str
    role: Role
    agent_id: str | None
    agent_name: str | None
    created_at: datetime
    revoked_at: datetime | None
    key: str | None = field(default=None, repr=False)
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(
            id=json["id"],
            tenant_id=json["tenantId"],
            role=json["role"],
            agent_id=json["agentId"],
            agent_name=json["agentName"],
            created_at=parse_time(json["createdAt"]),
            revoked_at=_parse_optional_time(json["revokedAt"]),
            key=json.get("key"),
            raw=json,
        )


@record
class TenantInfo:
    id: str
    created_at: datetime
    raw: Json = _RAW

    @classmethod
    def from_json(cls, json: Json) -> Self:
        return cls(id=json["tenantId"], created_at=parse_time(json["createdAt"]), raw=json)
