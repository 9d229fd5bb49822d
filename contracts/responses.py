"""Response models, and the functions that build them from domain objects.

* The types document the API: the OpenAPI document is generated from them.
* The type checker verifies that the functions below return these types.
* All fields of the seeds keep the seeds' names; additional fields follow them.
"""

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from quorate.domain.coordination.consensus import ConsensusRequest, VoteCount, VoteResult
from quorate.domain.coordination.consensus import Vote as VoteState
from quorate.domain.coordination.leases import Lease
from quorate.domain.coordination.send_gate import SendAuthorized, SendBlocked
from quorate.domain.identity.agent_settings import Settings
from quorate.domain.identity.agents import Agent, HeartbeatResult
from quorate.domain.identity.api_keys import Key
from quorate.domain.shared.timestamps import Timestamp, iso

Time: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class AgentResponse(TypedDict):
    """An agent. Without a further heartbeat it times out at ``activeUntil``."""

    id: str
    tenantId: str
    agentName: str
    agentRole: str
    lastHeartbeat: Time
    registeredAt: Time
    activeUntil: Time
    incarnation: int
    status: Literal["active", "inactive"]


class AgentListResponse(AgentResponse):
    leasesHeld: int


class HeartbeatResponse(TypedDict):
    """``lastNotification``: sequence of the agent's latest notification, 0 if it has none."""

    ok: Literal[True]
    agentId: str
    lastHeartbeat: Time
    activeUntil: Time
    lastNotification: int


class LeaseResponse(TypedDict):
    """A lease. ``fence`` is its fencing token, which strictly increases per tenant.

    Send it with each request to the send gate.
    """

    id: str
    tenantId: str
    agentId: str
    contactEmail: str
    intent: str
    expiresAt: Time
    createdAt: Time
    fence: int
    status: Literal["active", "released", "expired", "revoked"]


class ReleaseResponse(TypedDict):
    released: Literal[True]


class HolderResponse(TypedDict):
    agentId: str
    agentName: str
    expiresAt: Time


class SendResponse(TypedDict):
    """The decision of the send gate. ``blocked`` is a result, not an error."""

    id: str
    tenantId: str
    agentId: str
    contactEmail: str
    status: Literal["authorized", "blocked"]
    reason: NotRequired[Literal["lease_conflict", "stale_fence"]]
    fence: NotRequired[int]
    leaseHolder: NotRequired[HolderResponse]


class DecisionResponse(TypedDict):
    """The counts at the time of the deciding vote."""

    approvals: int
    rejections: int
    electorateSize: int


class ConsensusResponse(TypedDict):
    """A consensus proposal. ``approvals`` and ``rejections`` count the votes cast so far."""

    id: str
    tenantId: str
    requestingAgentId: str
    action: str
    contactEmail: str
    reason: str
    status: Literal["pending", "approved", "rejected", "expired"]
    timeoutAt: Time
    createdAt: Time
    electorate: Literal["live", "snapshot"]
    proposerVotes: bool
    approvals: int
    rejections: int
    floor: NotRequired[float]
    closedAt: NotRequired[Time]
    decision: NotRequired[DecisionResponse]


class VoteResponse(TypedDict):
    id: str
    consensusRequestId: str
    agentId: str
    vote: Literal["approve", "reject"]
    reason: str | None
    consensusStatus: Literal["pending", "approved", "rejected", "expired"]
    createdAt: Time


class ConfigResponse(TypedDict, total=False):
    humanizer_enabled: bool
    humanizer_style: str
    humanizer_provider: str


class EventResponse(TypedDict):
    """An event. ``hash`` links it to the preceding event; ``data`` depends on ``type``."""

    sequence: int
    id: str
    stream: str
    type: str
    version: int
    at: Time
    actor: str
    commandId: str
    data: dict[str, Any]
    hash: str


class NotificationResponse(TypedDict):
    """A notification as published over NATS (CloudEvents 1.0); ``data`` depends on ``type``."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: Time
    datacontenttype: Literal["application/json"]
    sequence: int
    data: dict[str, Any]


class GapResponse(TypedDict):
    """A truncated range: the entries after ``after``, up to ``until``, were removed."""

    after: int
    until: int


class EventsResponse(TypedDict):
    """A page of events. Send ``next`` as ``after`` to read the next page, until ``next == head``.

    ``gap`` names the range of preceding events that the operator moved to archive files.
    """

    events: list[EventResponse]
    head: int
    next: int
    gap: GapResponse | None


class NotificationsResponse(TypedDict):
    """A page of notifications. Send ``next`` as ``after`` until ``next == head``."""

    notifications: list[NotificationResponse]
    next: int
    head: int
    gap: GapResponse | None


class TenantResponse(TypedDict):
    tenantId: str
    createdAt: Time


class KeyResponse(TypedDict):
    id: str
    tenantId: str
    role: Literal["admin", "tenant", "agent", "auditor"]
    agentId: str | None
    agentName: str | None
    createdAt: Time
    revokedAt: Time | None


class IssuedKeyResponse(KeyResponse):
    """``key`` is the full key. A repeated request returns null, because only a hash is stored."""

    key: str | None


class RevokedResponse(TypedDict):
    revoked: Literal[True]


class LiveResponse(TypedDict):
    status: Literal["ok"]


class ReadyResponse(TypedDict):
    """``degraded``: the service accepts commands, but another part does not work.

    ``nats``: notifications wait until NATS is connected again. ``mirror``: the JetStream mirror is
    stopped or unavailable. ``commits``: this replica does not receive commit notifications from
    other replicas. ``writes``: the last write failed, and the service retries. ``mirror``,
    ``commits`` and ``writes`` are present only in these cases.
    """

    status: Literal["ready", "degraded", "unavailable"]
    log: Literal["ok", "damaged", "unavailable"]
    nats: Literal["connected", "disconnected"]
    mirror: NotRequired[Literal["stopped", "unavailable"]]
    commits: NotRequired[Literal["stale"]]
    writes: NotRequired[Literal["failing"]]


def dump(response: Any) -> bytes:  # noqa: ANN401 - any of the types above.
    return orjson.dumps(response)


# -- Conversion from domain objects ------------------------------------------


def agent_response(tenant: str, agent: Agent, now: Timestamp) -> AgentResponse:
    return {
        "id": agent.id,
        "tenantId": tenant,
        "agentName": agent.name,
        "agentRole": agent.role,
        "lastHeartbeat": iso(agent.last_heartbeat),
        "registeredAt": iso(agent.registered_at),
        "activeUntil": iso(agent.active_until),
        "incarnation": agent.incarnation,
        "status": "active" if agent.is_active(now) else "inactive",
    }


def heartbeat_response(heartbeat: HeartbeatResult) -> HeartbeatResponse:
    return {
        "ok": True,
        "agentId": heartbeat.agent.id,
        "lastHeartbeat": iso(heartbeat.agent.last_heartbeat),
        "activeUntil": iso(heartbeat.agent.active_until),
        "lastNotification": heartbeat.last_notification,
    }


def lease_response(tenant: str, lease: Lease) -> LeaseResponse:
    return {
        "id": lease.id,
        "tenantId": tenant,
        "agentId": lease.agent_id,
        "contactEmail": lease.contact_email,
        "intent": lease.intent,
        "expiresAt": iso(lease.expires_at),
        "createdAt": iso(lease.created_at),
        "fence": lease.fence,
        "status": lease.status,
    }


def send_response(tenant: str, event: SendAuthorized | SendBlocked) -> SendResponse:
    response: SendResponse = {
        "id": event.send_id,
        "tenantId": tenant,
        "agentId": event.agent_id,
        "contactEmail": event.contact_email,
        "status": "authorized" if isinstance(event, SendAuthorized) else "blocked",
    }
    if event.fence is not None:
        response["fence"] = event.fence
    if isinstance(event, SendBlocked):
        response["reason"] = event.reason
        if event.holder_id is not None:
            assert event.holder_name is not None
            assert event.expires_at is not None
            response["leaseHolder"] = {
                "agentId": event.holder_id,
                "agentName": event.holder_name,
                "expiresAt": iso(event.expires_at),
            }
    return response


def consensus_response(
    tenant: str, request: ConsensusRequest, approvals: int = 0, rejections: int = 0
) -> ConsensusResponse:
    """Build the response for a proposal and the votes cast on it; the default is no votes."""
    response: ConsensusResponse = {
        "id": request.id,
        "tenantId": tenant,
        "requestingAgentId": request.agent_id,
        "action": request.action,
        "contactEmail": request.contact_email,
        "reason": request.reason,
        "status": request.status,
        "timeoutAt": iso(request.timeout_at),
        "createdAt": iso(request.created_at),
        "electorate": request.electorate,
        "proposerVotes": request.proposer_votes,
        "approvals": approvals,
        "rejections": rejections,
    }
    if request.floor is not None:
        response["floor"] = float(request.floor)
    if request.closed_at is not None:
        response["closedAt"] = iso(request.closed_at)
    if request.tally is not None:
        response["decision"] = decision_response(request.tally)
    return response


def decision_response(tally: VoteCount) -> DecisionResponse:
    return {
        "approvals": tally.approvals,
        "rejections": tally.rejections,
        "electorateSize": tally.electorate_size,
    }


def cast_vote_response(outcome: VoteResult) -> VoteResponse:
    return vote_response(outcome.vote, outcome.status)


def vote_response(
    vote: VoteState, status: Literal["pending", "approved", "rejected", "expired"]
) -> VoteResponse:
    return {
        "id": vote.id,
        "consensusRequestId": vote.request_id,
        "agentId": vote.agent_id,
        "vote": vote.vote,
        "reason": vote.reason,
        "consensusStatus": status,
        "createdAt": iso(vote.created_at),
    }


def config_response(settings: Settings) -> ConfigResponse:
    # The request model checked the keys.
    response: ConfigResponse = dict(settings)  # type: ignore[assignment]
    return response


def key_response(tenant: str, key: Key) -> KeyResponse:
    return {
        "id": key.id,
        "tenantId": tenant,
        "role": key.role,
        "agentId": key.agent_id,
        "agentName": key.agent_name,
        "createdAt": iso(key.created_at),
        "revokedAt": None if key.revoked_at is None else iso(key.revoked_at),
    }
