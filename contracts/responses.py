"""What callers get: the shape of each answer, and how it is made from a state.

The types document the API (OpenAPI is made from them) and the type checker holds the makers to
them. All fields of the seeds are there under the seeds' names; what is ours comes after.
"""

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from quorate.domain.coordination.consensus import ConsensusRequest, VoteAnswer, VoteCount
from quorate.domain.coordination.consensus import Vote as VoteState
from quorate.domain.coordination.leases import Lease
from quorate.domain.coordination.send_gate import SendAuthorized, SendBlocked
from quorate.domain.identity.agent_settings import Settings
from quorate.domain.identity.agents import Agent, Heard
from quorate.domain.identity.api_keys import Key
from quorate.domain.shared.timestamps import Timestamp, iso

Time: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class AgentAnswer(TypedDict):
    """An agent. ``activeUntil`` is when it lapses unless it heartbeats."""

    id: str
    tenantId: str
    agentName: str
    agentRole: str
    lastHeartbeat: Time
    registeredAt: Time
    activeUntil: Time
    incarnation: int
    status: Literal["active", "inactive"]


class AgentListAnswer(AgentAnswer):
    leasesHeld: int


class HeartbeatAnswer(TypedDict):
    """``lastNotification``: the sequence of the last notification that concerns the agent, 0 if none does."""

    ok: Literal[True]
    agentId: str
    lastHeartbeat: Time
    activeUntil: Time
    lastNotification: int


class LeaseAnswer(TypedDict):
    """A lease. ``fence`` only grows; show it to the send gate."""

    id: str
    tenantId: str
    agentId: str
    contactEmail: str
    intent: str
    expiresAt: Time
    createdAt: Time
    fence: int
    status: Literal["active", "released", "expired", "revoked"]


class ReleaseAnswer(TypedDict):
    released: Literal[True]


class HolderAnswer(TypedDict):
    agentId: str
    agentName: str
    expiresAt: Time


class SendAnswer(TypedDict):
    """What the send gate says. A block is information, not an error."""

    id: str
    tenantId: str
    agentId: str
    contactEmail: str
    status: Literal["authorized", "blocked"]
    reason: NotRequired[Literal["lease_conflict", "stale_fence"]]
    fence: NotRequired[int]
    leaseHolder: NotRequired[HolderAnswer]


class DecisionAnswer(TypedDict):
    """The counts as they were when the deciding vote was cast."""

    approvals: int
    rejections: int
    electorateSize: int


class ConsensusAnswer(TypedDict):
    """A consensus request. ``approvals`` and ``rejections`` are the votes cast so far."""

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
    decision: NotRequired[DecisionAnswer]


class VoteAnswerBody(TypedDict):
    id: str
    consensusRequestId: str
    agentId: str
    vote: Literal["approve", "reject"]
    reason: str | None
    consensusStatus: Literal["pending", "approved", "rejected", "expired"]
    createdAt: Time


class ConfigAnswer(TypedDict, total=False):
    humanizer_enabled: bool
    humanizer_style: str
    humanizer_provider: str


class EventAnswer(TypedDict):
    """An event. ``hash`` chains it to its predecessor; ``data`` depends on ``type``."""

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


class NotificationAnswer(TypedDict):
    """A notification as it was pushed over NATS (CloudEvents 1.0); ``data`` depends on ``type``."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    time: Time
    datacontenttype: Literal["application/json"]
    sequence: int
    data: dict[str, Any]


class GapAnswer(TypedDict):
    """What came after ``after`` is no longer kept here; the last of it was ``until``."""

    after: int
    until: int


class EventsAnswer(TypedDict):
    """``next`` is what to send as ``after``; at ``next == head`` you have seen everything.

    ``gap`` says which events before these were archived: the operator has them in files.
    """

    events: list[EventAnswer]
    head: int
    next: int
    gap: GapAnswer | None


class NotificationsAnswer(TypedDict):
    """``next`` is what to send as ``after``; at ``next == head`` you have seen everything."""

    notifications: list[NotificationAnswer]
    next: int
    head: int
    gap: GapAnswer | None


class TenantAnswer(TypedDict):
    tenantId: str
    createdAt: Time


class KeyAnswer(TypedDict):
    id: str
    tenantId: str
    role: Literal["admin", "tenant", "agent", "auditor"]
    agentId: str | None
    agentName: str | None
    createdAt: Time
    revokedAt: Time | None


class IssuedKeyAnswer(KeyAnswer):
    """``key`` is shown this once; a repeated request gets null in its place."""

    key: str | None


class RevokedAnswer(TypedDict):
    revoked: Literal[True]


class LiveAnswer(TypedDict):
    status: Literal["ok"]


class ReadyAnswer(TypedDict):
    """``degraded``: commands work, and what they do not wait for does not: notifications wait until NATS
    is back, the copy in JetStream has ended or waits (``mirror``), or what other processes commit
    is not heard of here (``commits``); or the last command could not be written, and the next is
    tried (``writes``). The last three are told only then.
    """

    status: Literal["ready", "degraded", "unavailable"]
    log: Literal["ok", "damaged", "unavailable"]
    nats: Literal["connected", "disconnected"]
    mirror: NotRequired[Literal["stopped", "unavailable"]]
    commits: NotRequired[Literal["unheard"]]
    writes: NotRequired[Literal["failing"]]


def dump(answer: Any) -> bytes:  # noqa: ANN401 - any of the types above.
    return orjson.dumps(answer)


# -- Makers ------------------------------------------------------------------


def agent_answer(tenant: str, agent: Agent, now: Timestamp) -> AgentAnswer:
    return {
        "id": agent.id,
        "tenantId": tenant,
        "agentName": agent.name,
        "agentRole": agent.role,
        "lastHeartbeat": iso(agent.last_heartbeat),
        "registeredAt": iso(agent.registered_at),
        "activeUntil": iso(agent.active_until),
        "incarnation": agent.incarnation,
        "status": "active" if agent.active(now) else "inactive",
    }


def heartbeat_answer(heard: Heard) -> HeartbeatAnswer:
    return {
        "ok": True,
        "agentId": heard.agent.id,
        "lastHeartbeat": iso(heard.agent.last_heartbeat),
        "activeUntil": iso(heard.agent.active_until),
        "lastNotification": heard.last_notification,
    }


def lease_answer(tenant: str, lease: Lease) -> LeaseAnswer:
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


def send_answer(tenant: str, event: SendAuthorized | SendBlocked) -> SendAnswer:
    answer: SendAnswer = {
        "id": event.send_id,
        "tenantId": tenant,
        "agentId": event.agent_id,
        "contactEmail": event.contact_email,
        "status": "authorized" if isinstance(event, SendAuthorized) else "blocked",
    }
    if event.fence is not None:
        answer["fence"] = event.fence
    if isinstance(event, SendBlocked):
        answer["reason"] = event.reason
        if event.holder_id is not None:
            assert event.holder_name is not None
            assert event.expires_at is not None
            answer["leaseHolder"] = {
                "agentId": event.holder_id,
                "agentName": event.holder_name,
                "expiresAt": iso(event.expires_at),
            }
    return answer


def consensus_answer(
    tenant: str, request: ConsensusRequest, approvals: int = 0, rejections: int = 0
) -> ConsensusAnswer:
    """A request, and how many votes have been cast on it: on a new one, none."""
    answer: ConsensusAnswer = {
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
        answer["floor"] = float(request.floor)
    if request.closed_at is not None:
        answer["closedAt"] = iso(request.closed_at)
    if request.tally is not None:
        answer["decision"] = decision_answer(request.tally)
    return answer


def decision_answer(tally: VoteCount) -> DecisionAnswer:
    return {
        "approvals": tally.approvals,
        "rejections": tally.rejections,
        "electorateSize": tally.electorate_size,
    }


def vote_answer(answer: VoteAnswer) -> VoteAnswerBody:
    return vote_body(answer.vote, answer.status)


def vote_body(
    vote: VoteState, status: Literal["pending", "approved", "rejected", "expired"]
) -> VoteAnswerBody:
    return {
        "id": vote.id,
        "consensusRequestId": vote.request_id,
        "agentId": vote.agent_id,
        "vote": vote.vote,
        "reason": vote.reason,
        "consensusStatus": status,
        "createdAt": iso(vote.created_at),
    }


def config_answer(settings: Settings) -> ConfigAnswer:
    answer: ConfigAnswer = dict(settings)  # type: ignore[assignment] # The schema checked the keys.
    return answer


def key_answer(tenant: str, key: Key) -> KeyAnswer:
    return {
        "id": key.id,
        "tenantId": tenant,
        "role": key.role,
        "agentId": key.agent_id,
        "agentName": key.agent_name,
        "createdAt": iso(key.created_at),
        "revokedAt": None if key.revoked_at is None else iso(key.revoked_at),
    }
