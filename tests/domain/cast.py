"""Who appears in these tests, what they ask for, and how what happened is written down.

An agent called ``ann`` has the id ``agent_ann``. Agents ask with their own keys unless a test
says otherwise. Facts are recorded at noon, and last as long as they do by default.
"""

from quorate.domain import consensus
from quorate.domain.agents import (
    AgentLapsed,
    AgentRef,
    AgentRegistered,
    AgentReregistered,
    Heartbeat,
    HeartbeatReceived,
    RegisterAgent,
)
from quorate.domain.consensus import (
    CastVote,
    Choice,
    ConsensusDecided,
    ConsensusExpired,
    ConsensusRequested,
    Electorate,
    RequestConsensus,
    VoteCast,
)
from quorate.domain.contacts import Contact
from quorate.domain.instants import Instant
from quorate.domain.keys import Principal
from quorate.domain.leases import (
    AcquireLease,
    LeaseAcquired,
    LeaseConflicted,
    LeaseExpired,
    LeaseHeld,
    LeaseReleased,
    LeaseRenewed,
    LeaseRevoked,
    ReleaseLease,
    RenewLease,
)
from quorate.domain.sends import Reason, RequestSend, SendAuthorized, SendBlocked
from tests.spec import NOON, WINDOW, Fact, after

KIM = Contact(email="Kim@example.com", key="kim@example.com")
LEE = Contact(email="lee@example.com", key="lee@example.com")

IN_HALF_AN_HOUR = after(minutes=30)
IN_FIVE_MINUTES = after(minutes=5)
ITSELF = AgentRef()


def id_of(name: str) -> str:
    return f"agent_{name}"


def key_of(name: str) -> Principal:
    """The key of one agent."""
    return Principal(
        key_id=f"key{name}", role="agent", tenant="acme", agent_id=id_of(name), agent_name=name
    )


TENANT_KEY = Principal(key_id="keytenant", role="tenant", tenant="acme")
ADMIN_KEY = Principal(key_id="keyadmin", role="admin", tenant="_operators")
AUDITOR_KEY = Principal(key_id="keyauditor", role="auditor", tenant="acme")

# -- What is asked for -------------------------------------------------------


def register(name: str, *, role: str = "general", by: Principal = TENANT_KEY) -> RegisterAgent:
    return RegisterAgent(caller=by, agent_name=name, agent_role=role, new_agent_id=id_of(name))


def heartbeat(name: str) -> Heartbeat:
    return Heartbeat(caller=key_of(name), agent=ITSELF)


def acquire(
    name: str,
    contact: Contact = KIM,
    *,
    lease: str = "new-lease",
    minutes: float = 30,
    intent: str = "general",
) -> AcquireLease:
    return AcquireLease(
        caller=key_of(name),
        agent=ITSELF,
        contact=contact,
        intent=intent,
        duration_minutes=minutes,
        new_lease_id=lease,
    )


def renew(lease: str, *, by: Principal, minutes: float = 30) -> RenewLease:
    return RenewLease(caller=by, lease_id=lease, duration_minutes=minutes)


def release(lease: str, *, by: Principal) -> ReleaseLease:
    return ReleaseLease(caller=by, lease_id=lease)


def send(name: str, contact: Contact = KIM, *, fence: int | None = None) -> RequestSend:
    return RequestSend(
        caller=key_of(name), agent=ITSELF, contact=contact, fence=fence, new_send_id="send"
    )


def propose(
    name: str,
    *,
    request: str = "request",
    minutes: float = 5,
    electorate: Electorate = "live",
    proposer_votes: bool = True,
    floor: str | None = None,
) -> RequestConsensus:
    return RequestConsensus(
        caller=key_of(name),
        agent=ITSELF,
        action="pause outreach",
        contact=KIM,
        reason="Fatigue scores are high",
        timeout_minutes=minutes,
        electorate=electorate,
        proposer_votes=proposer_votes,
        floor=floor,
        new_request_id=request,
    )


def vote(
    name: str, choice: Choice, *, request: str = "request", reason: str | None = None
) -> CastVote:
    return CastVote(
        caller=key_of(name),
        agent=ITSELF,
        request_id=request,
        vote=choice,
        reason=reason,
        new_vote_id=f"vote-{name}",
    )


# -- What happened -----------------------------------------------------------


def registered(name: str, *, role: str = "general", at: Instant = NOON) -> Fact:
    event = AgentRegistered(
        agent_id=id_of(name),
        agent_name=name,
        agent_role=role,
        incarnation=1,
        active_until=Instant(at + WINDOW),
    )
    return Fact(at=at, event=event)


def reregistered(
    name: str, *, role: str = "general", incarnation: int = 2, at: Instant = NOON
) -> Fact:
    event = AgentReregistered(
        agent_id=id_of(name),
        agent_name=name,
        agent_role=role,
        incarnation=incarnation,
        active_until=Instant(at + WINDOW),
    )
    return Fact(at=at, event=event)


def beat(name: str, *, at: Instant = NOON) -> Fact:
    event = HeartbeatReceived(agent_id=id_of(name), active_until=Instant(at + WINDOW))
    return Fact(at=at, event=event)


def lapsed(name: str, *, last: Instant = NOON, at: Instant) -> Fact:
    event = AgentLapsed(
        agent_id=id_of(name),
        agent_name=name,
        last_heartbeat=last,
        active_until=Instant(last + WINDOW),
    )
    return Fact(at=at, event=event)


def acquired(
    name: str,
    contact: Contact = KIM,
    *,
    lease: str = "lease",
    fence: int,
    until: Instant = IN_HALF_AN_HOUR,
    intent: str = "general",
    at: Instant = NOON,
) -> Fact:
    event = LeaseAcquired(
        lease_id=lease,
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        intent=intent,
        expires_at=until,
        fence=fence,
    )
    return Fact(at=at, event=event)


def renewed(
    name: str,
    contact: Contact = KIM,
    *,
    lease: str = "lease",
    until: Instant,
    intent: str = "general",
    at: Instant,
) -> Fact:
    event = LeaseRenewed(
        lease_id=lease,
        contact_key=contact.key,
        agent_id=id_of(name),
        intent=intent,
        expires_at=until,
    )
    return Fact(at=at, event=event)


def released(
    name: str, contact: Contact = KIM, *, lease: str = "lease", at: Instant = NOON
) -> Fact:
    event = LeaseReleased(lease_id=lease, contact_key=contact.key, agent_id=id_of(name))
    return Fact(at=at, event=event)


def expired(
    name: str,
    contact: Contact = KIM,
    *,
    lease: str = "lease",
    until: Instant = IN_HALF_AN_HOUR,
    at: Instant,
) -> Fact:
    event = LeaseExpired(
        lease_id=lease,
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        expires_at=until,
    )
    return Fact(at=at, event=event)


def revoked(name: str, contact: Contact = KIM, *, lease: str = "lease", at: Instant) -> Fact:
    event = LeaseRevoked(
        lease_id=lease,
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        reason="agent_inactive",
    )
    return Fact(at=at, event=event)


def conflict(
    name: str,
    holder: str,
    contact: Contact = KIM,
    *,
    lease: str = "lease",
    until: Instant = IN_HALF_AN_HOUR,
) -> LeaseConflicted:
    return LeaseConflicted(
        lease_id=lease,
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        agent_name=name,
        intent="general",
        holder_id=id_of(holder),
        holder_name=holder,
        expires_at=until,
    )


def held(
    name: str,
    by: str,
    contact: Contact = KIM,
    *,
    lease: str = "lease",
    until: Instant = IN_HALF_AN_HOUR,
) -> LeaseHeld:
    return LeaseHeld(conflict(name, by, contact, lease=lease, until=until))


def authorized(
    name: str, contact: Contact = KIM, *, fence: int | None = None, at: Instant = NOON
) -> Fact:
    event = SendAuthorized(
        send_id="send",
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        fence=fence,
    )
    return Fact(at=at, event=event)


def blocked(
    name: str,
    reason: Reason,
    *,
    holder: str | None = None,
    fence: int | None = None,
    until: Instant | None = None,
    at: Instant = NOON,
) -> Fact:
    event = SendBlocked(
        send_id="send",
        contact_key=KIM.key,
        contact_email=KIM.email,
        agent_id=id_of(name),
        agent_name=name,
        reason=reason,
        fence=fence,
        holder_id=None if holder is None else id_of(holder),
        holder_name=holder,
        expires_at=until,
    )
    return Fact(at=at, event=event)


def proposed(
    name: str,
    *,
    among: int,
    request: str = "request",
    until: Instant = IN_FIVE_MINUTES,
    proposer_votes: bool = True,
    floor: str | None = None,
    minimum: int = 0,
    members: tuple[str, ...] | None = None,
    at: Instant = NOON,
) -> Fact:
    event = ConsensusRequested(
        request_id=request,
        agent_id=id_of(name),
        action="pause outreach",
        contact_key=KIM.key,
        contact_email=KIM.email,
        reason="Fatigue scores are high",
        timeout_at=until,
        electorate="live" if members is None else "snapshot",
        proposer_votes=proposer_votes,
        floor=floor,
        eligible=among,
        minimum=minimum,
        members=None if members is None else tuple(id_of(one) for one in members),
    )
    return Fact(at=at, event=event)


def voted(
    name: str,
    choice: Choice,
    *,
    request: str = "request",
    reason: str | None = None,
    at: Instant = NOON,
) -> Fact:
    event = VoteCast(
        vote_id=f"vote-{name}",
        request_id=request,
        agent_id=id_of(name),
        vote=choice,
        reason=reason,
    )
    return Fact(at=at, event=event)


def decided(
    status: consensus.Status,
    *,
    among: tuple[str, ...],
    approvals: int = 0,
    rejections: int = 0,
    size: int | None = None,
    proposer: str = "ann",
    at: Instant = NOON,
) -> Fact:
    event = ConsensusDecided(
        request_id="request",
        status=status,
        agent_id=id_of(proposer),
        action="pause outreach",
        contact_email=KIM.email,
        approvals=approvals,
        rejections=rejections,
        electorate_size=len(among) if size is None else size,
        electorate=tuple(sorted(id_of(one) for one in among)),
    )
    return Fact(at=at, event=event)


def timed_out(
    name: str, *, request: str = "request", until: Instant = IN_FIVE_MINUTES, at: Instant
) -> Fact:
    event = ConsensusExpired(
        request_id=request,
        agent_id=id_of(name),
        action="pause outreach",
        contact_email=KIM.email,
        timeout_at=until,
    )
    return Fact(at=at, event=event)
