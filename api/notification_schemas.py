"""What each notification says: its facts, to whom it goes and when, with one type for each.

They are the ``data`` of a CloudEvent (``NotificationAnswer``). The rules are in
``domain/notifications.py``; a test compares these schemas with what the rules produce. A
notification that is too large for NATS has ``{"omitted": true}`` instead of its data.
"""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from quorate.bus.subjects import LOG, TO_AGENT, TO_ALL, Family
from quorate.contracts.responses import EventAnswer, HolderAnswer, Time
from quorate.domain.shared.records import record

# -- Facts -------------------------------------------------------------------


class LeaseConflictFacts(TypedDict):
    """`agentId` was refused; `leaseId` and `leaseHolder` are of the lease that stands."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str
    agentName: str
    intent: str
    conflict: Literal[True]
    leaseHolder: HolderAnswer


class LeaseReleasedFacts(TypedDict):
    """`agentId` held it. Logs of early versions have no `contactEmail` here."""

    leaseId: str
    contactKey: str
    contactEmail: NotRequired[str]
    agentId: str


class LeaseExpiredFacts(TypedDict):
    """`agentId` held it until `expiresAt`."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str
    expiresAt: Time


class LeaseRevokedFacts(TypedDict):
    """`agentId` held it."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str
    reason: str


class LeaseAvailableFacts(TypedDict):
    """`agentId` held the contact before; `leaseId` is the lease that ended."""

    leaseId: str
    contactKey: str
    contactEmail: str
    agentId: str


class SendBlockedFacts(TypedDict):
    """`agentId` was blocked. A stale fence may meet a contact that nobody holds."""

    sendId: str
    contactKey: str
    contactEmail: str
    agentId: str
    agentName: str
    reason: Literal["lease_conflict", "stale_fence"]
    fence: NotRequired[int]
    conflict: NotRequired[Literal[True]]
    leaseHolder: NotRequired[HolderAnswer]


class AgentRegisteredFacts(TypedDict):
    agentId: str
    agentName: str
    agentRole: str
    incarnation: int
    activeUntil: Time


class AgentLapsedFacts(TypedDict):
    agentId: str
    agentName: str
    lastHeartbeat: Time
    activeUntil: Time


class ConsensusRequestedFacts(TypedDict):
    """`agentId` proposes. `eligible` agents were active; at least `minimum` count as n."""

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


class VoteCastFacts(TypedDict):
    """`agentId` voted."""

    voteId: str
    requestId: str
    agentId: str
    vote: Literal["approve", "reject"]
    reason: NotRequired[str]


class ConsensusDecidedFacts(TypedDict):
    """`agentId` had proposed it. The counts are those of the deciding vote."""

    requestId: str
    status: Literal["approved", "rejected"]
    agentId: str
    action: str
    contactEmail: str
    approvals: int
    rejections: int
    electorateSize: int


class ConsensusExpiredFacts(TypedDict):
    """`agentId` had proposed it."""

    requestId: str
    agentId: str
    action: str
    contactEmail: str
    timeoutAt: Time


class Omitted(TypedDict):
    """Stands in the place of what is too large for NATS. HTTP has it: by its sequence."""

    omitted: Literal[True]


# -- The table ---------------------------------------------------------------


@record
class Said:
    """A notification, or what the log says: to whom, when, and with which facts."""

    name: str
    to: Family
    facts: Any
    summary: str


NOTIFICATIONS = (
    Said(
        name="lease_conflict",
        to=TO_AGENT,
        facts=LeaseConflictFacts,
        summary="An agent was refused a contact that another holds: both of them hear of it",
    ),
    Said(
        name="lease_available",
        to=TO_AGENT,
        facts=LeaseAvailableFacts,
        summary="A contact that the agent was refused is free: it may ask again",
    ),
    Said(
        name="lease_released",
        to=TO_AGENT,
        facts=LeaseReleasedFacts,
        summary="The agent's lease was released, by whichever of its processes",
    ),
    Said(
        name="lease_expired",
        to=TO_AGENT,
        facts=LeaseExpiredFacts,
        summary="The agent's lease ran out",
    ),
    Said(
        name="lease_revoked",
        to=TO_AGENT,
        facts=LeaseRevokedFacts,
        summary="The agent's lease was taken away, because the agent lapsed",
    ),
    Said(
        name="send_blocked",
        to=TO_AGENT,
        facts=SendBlockedFacts,
        summary="The send gate said no: the agent hears of it, and the holder if there is one",
    ),
    Said(
        name="agent_registered",
        to=TO_ALL,
        facts=AgentRegisteredFacts,
        summary="A new agent is there",
    ),
    Said(
        name="agent_lapsed",
        to=TO_ALL,
        facts=AgentLapsedFacts,
        summary="An agent's heartbeats stopped; its leases are revoked",
    ),
    Said(
        name="consensus_requested",
        to=TO_ALL,
        facts=ConsensusRequestedFacts,
        summary="Votes are asked for",
    ),
    Said(
        name="vote_cast",
        to=TO_ALL,
        facts=VoteCastFacts,
        summary="An agent voted",
    ),
    Said(
        name="consensus_decided",
        to=TO_ALL,
        facts=ConsensusDecidedFacts,
        summary="A vote came to its end: approved or rejected",
    ),
    Said(
        name="consensus_expired",
        to=TO_ALL,
        facts=ConsensusExpiredFacts,
        summary="A vote ran out of time",
    ),
)

# An event of the log, on a subject of its type.
LOGGED = Said(
    name="log",
    to=LOG,
    facts=EventAnswer,
    summary="Every event of the tenant's log, as it is committed",
)
