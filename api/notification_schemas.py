"""The notifications that the service publishes: data type, recipients and description of each.

* The data types describe the ``data`` of a CloudEvent (``NotificationResponse``).
* The rules are in ``domain/notifications.py``. A test compares their output with these schemas.
* A notification that is too large for NATS has ``{"omitted": true}`` in place of its data.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from quorate.bus.subjects import LOG, TO_AGENT, TO_ALL, Family
from quorate.contracts.coordination.leases import HolderInfo
from quorate.contracts.event_log import EventInfo
from quorate.contracts.wire_models import Time
from quorate.domain.shared.records import record

# -- Data --------------------------------------------------------------------


class LeaseConflictData(TypedDict):
    """`agentId` was rejected. `leaseId` and `leaseHolder` describe the existing lease."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str
    agentName: str
    intent: str
    conflict: Literal[True]
    leaseHolder: HolderInfo


class LeaseReleasedData(TypedDict):
    """`agentId` held the lease. Logs of early versions have no `contactEmail` here."""

    leaseId: str
    contactKey: str
    contactEmail: NotRequired[str]
    agentId: str


class LeaseExpiredData(TypedDict):
    """`agentId` held the lease until `expiresAt`."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str
    expiresAt: Time


class LeaseRevokedData(TypedDict):
    """`agentId` held the lease."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str
    reason: str


class LeaseAvailableData(TypedDict):
    """`agentId` held the contact before. `leaseId` is the ended lease."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str


class SendBlockedData(TypedDict):
    """`agentId` was blocked. With a stale fencing token, the contact may have no holder."""

    sendId: str
    contactKey: str
    contactEmail: str
    agentId: str
    agentName: str
    reason: Literal["lease_conflict", "stale_fence"]
    fence: NotRequired[int]
    conflict: NotRequired[Literal[True]]
    leaseHolder: NotRequired[HolderInfo]


class AgentRegisteredData(TypedDict):
    agentId: str
    agentName: str
    agentRole: str
    incarnation: int
    activeUntil: Time


class AgentLapsedData(TypedDict):
    agentId: str
    agentName: str
    lastHeartbeat: Time
    activeUntil: Time


class ConsensusRequestedData(TypedDict):
    """`agentId` is the proposer.

    `eligible` agents were active. The electorate counts as at least `minimum` agents.
    """

    requestId: str
    agentId: str
    action: str
    contactKey: str
    contactEmail: str
    reason: str
    timeoutAt: Time
    electorate: Literal["live", "snapshot"]
    proposerVotes: bool
    floor: NotRequired[str]
    eligible: int
    minimum: int


class VoteCastData(TypedDict):
    """`agentId` is the voter."""

    voteId: str
    requestId: str
    agentId: str
    vote: Literal["approve", "reject"]
    reason: NotRequired[str]


class ConsensusDecidedData(TypedDict):
    """`agentId` is the proposer. The counts are those at the deciding vote."""

    requestId: str
    status: Literal["approved", "rejected"]
    agentId: str
    action: str
    contactEmail: str
    approvals: int
    rejections: int
    electorateSize: int


class ConsensusExpiredData(TypedDict):
    """`agentId` is the proposer."""

    requestId: str
    agentId: str
    action: str
    contactEmail: str
    timeoutAt: Time


class Omitted(TypedDict):
    """Replaces data that is too large for NATS. Read the notification over HTTP by `sequence`."""

    omitted: Literal[True]


# -- The registry ------------------------------------------------------------


@record
class PublishedMessage:
    """A kind of message that the service publishes: its subjects, its data and its summary."""

    name: str
    family: Family
    data: Any
    summary: str
    description: str = ""


NOTIFICATIONS = (
    PublishedMessage(
        name="lease_conflict",
        family=TO_AGENT,
        data=LeaseConflictData,
        summary="Receive lease conflicts",
        description="The service rejected a lease request. The holder and the requester get it.",
    ),
    PublishedMessage(
        name="lease_available",
        family=TO_AGENT,
        data=LeaseAvailableData,
        summary="Receive available contacts",
        description="A contact that the agent requested in vain is free again.",
    ),
    PublishedMessage(
        name="lease_released",
        family=TO_AGENT,
        data=LeaseReleasedData,
        summary="Receive lease releases",
        description="The agent's lease was released, by any process of the agent.",
    ),
    PublishedMessage(
        name="lease_expired",
        family=TO_AGENT,
        data=LeaseExpiredData,
        summary="Receive lease expirations",
        description="The agent's lease has expired.",
    ),
    PublishedMessage(
        name="lease_revoked",
        family=TO_AGENT,
        data=LeaseRevokedData,
        summary="Receive lease revocations",
        description="The agent's lease was revoked, because the agent timed out.",
    ),
    PublishedMessage(
        name="send_blocked",
        family=TO_AGENT,
        data=SendBlockedData,
        summary="Receive blocked sends",
        description="The send gate blocked a request. The agent and any lease holder receive it.",
    ),
    PublishedMessage(
        name="agent_registered",
        family=TO_ALL,
        data=AgentRegisteredData,
        summary="Receive agent registrations",
        description="A new agent was registered.",
    ),
    PublishedMessage(
        name="agent_lapsed",
        family=TO_ALL,
        data=AgentLapsedData,
        summary="Receive agent timeouts",
        description="An agent missed its heartbeat timeout. Its leases are revoked.",
    ),
    PublishedMessage(
        name="consensus_requested",
        family=TO_ALL,
        data=ConsensusRequestedData,
        summary="Receive consensus proposals",
        description="An agent created a proposal.",
    ),
    PublishedMessage(
        name="vote_cast",
        family=TO_ALL,
        data=VoteCastData,
        summary="Receive votes",
        description="An agent cast a vote.",
    ),
    PublishedMessage(
        name="consensus_decided",
        family=TO_ALL,
        data=ConsensusDecidedData,
        summary="Receive consensus decisions",
        description="A proposal was approved or rejected.",
    ),
    PublishedMessage(
        name="consensus_expired",
        family=TO_ALL,
        data=ConsensusExpiredData,
        summary="Receive expired proposals",
        description="A proposal reached its timeout without a decision.",
    ),
)

# Events of the log, each on the subject of its type.
LOG_EVENTS = PublishedMessage(
    name="log",
    family=LOG,
    data=EventInfo,
    summary="Receive the events of the tenant's log",
    description="The service publishes each event after it is committed.",
)
