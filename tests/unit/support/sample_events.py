"""Sample events, recorded at noon with default durations unless a test passes others."""

from dataclasses import replace

from quorate.domain.coordination import consensus
from quorate.domain.coordination.cancellations import ConsensusCancelled
from quorate.domain.coordination.consensus import (
    Choice,
    ConsensusDecided,
    ConsensusExpired,
    ConsensusRequested,
    VoteCast,
)
from quorate.domain.coordination.leases import (
    LeaseAcquired,
    LeaseConflicted,
    LeaseExpired,
    LeaseHeld,
    LeaseReleased,
    LeaseRenewed,
    LeaseRevoked,
)
from quorate.domain.coordination.send_gate import Reason, SendAuthorized, SendBlocked
from quorate.domain.identity.agent_departures import AgentRemoved
from quorate.domain.identity.agents import (
    AgentDeregistered,
    AgentLapsed,
    AgentRegistered,
    AgentReregistered,
    DeregistrationReason,
    HeartbeatReceived,
)
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import KIM, id_of
from tests.unit.support.specification import NOON, WINDOW, TimedEvent, after

IN_HALF_AN_HOUR = after(minutes=30)
IN_FIVE_MINUTES = after(minutes=5)


def registered(
    name: str, *, role: str = "general", at: Timestamp = NOON, window: int = WINDOW
) -> TimedEvent:
    event = AgentRegistered(
        agent_id=id_of(name),
        agent_name=name,
        agent_role=role,
        incarnation=1,
        active_until=Timestamp(at + window),
        heartbeat_window_ms=window,
    )
    return TimedEvent(at=at, event=event)


def reregistered(
    name: str,
    *,
    role: str = "general",
    incarnation: int = 2,
    at: Timestamp = NOON,
    until: Timestamp | None = None,
    window: int = WINDOW,
) -> TimedEvent:
    event = AgentReregistered(
        agent_id=id_of(name),
        agent_name=name,
        agent_role=role,
        incarnation=incarnation,
        active_until=Timestamp(at + window) if until is None else until,
        heartbeat_window_ms=window,
    )
    return TimedEvent(at=at, event=event)


def heartbeat_received(
    name: str, *, at: Timestamp = NOON, until: Timestamp | None = None, window: int = WINDOW
) -> TimedEvent:
    active_until = Timestamp(at + window) if until is None else until
    event = HeartbeatReceived(agent_id=id_of(name), active_until=active_until)
    return TimedEvent(at=at, event=event)


def agent_lapsed(
    name: str, *, last: Timestamp = NOON, detail: str | None = None, at: Timestamp
) -> TimedEvent:
    until = Timestamp(last + WINDOW) if detail is None else at  # With it: by an operator.
    times = {"last_heartbeat": last, "active_until": until}
    event = AgentLapsed(agent_id=id_of(name), agent_name=name, **times, detail=detail)
    return TimedEvent(at=at, event=event)


def deregistered(
    name: str,
    *,
    reason: DeregistrationReason = "requested",
    until: Timestamp | None = None,
    at: Timestamp = NOON,
) -> TimedEvent:
    event = AgentDeregistered(
        agent_id=id_of(name),
        agent_name=name,
        reason=reason,
        active_until=at if until is None else until,
    )
    return TimedEvent(at=at, event=event)


def removed(name: str, *, at: Timestamp = NOON) -> TimedEvent:
    return TimedEvent(at=at, event=AgentRemoved(agent_id=id_of(name), agent_name=name))


def acquired(
    name: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "lease",
    fence: int,
    until: Timestamp = IN_HALF_AN_HOUR,
    intent: str = "general",
    holder: str | None = None,
    incarnation: int | None = 1,
    at: Timestamp = NOON,
) -> TimedEvent:
    event = LeaseAcquired(
        lease_id=lease,
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        intent=intent,
        expires_at=until,
        fence=fence,
        holder=holder,
        incarnation=incarnation,
    )
    return TimedEvent(at=at, event=event)


def renewed(
    name: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "lease",
    until: Timestamp,
    intent: str = "general",
    at: Timestamp,
) -> TimedEvent:
    event = LeaseRenewed(
        lease_id=lease,
        contact_key=contact.key,
        agent_id=id_of(name),
        intent=intent,
        expires_at=until,
    )
    return TimedEvent(at=at, event=event)


def released(
    name: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "lease",
    contenders: tuple[str, ...] = (),
    at: Timestamp = NOON,
) -> TimedEvent:
    event = LeaseReleased(
        lease_id=lease,
        contact_key=contact.key,
        agent_id=id_of(name),
        contact_email=contact.email,
        contenders=_ids(contenders),
    )
    return TimedEvent(at=at, event=event)


def _ids(names: tuple[str, ...]) -> tuple[str, ...] | None:
    return tuple(map(id_of, names)) or None


def expired(
    name: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "lease",
    until: Timestamp = IN_HALF_AN_HOUR,
    contenders: tuple[str, ...] = (),
    at: Timestamp,
) -> TimedEvent:
    event = LeaseExpired(
        lease_id=lease,
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        expires_at=until,
        contenders=_ids(contenders),
    )
    return TimedEvent(at=at, event=event)


def revoked(
    name: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "lease",
    reason: str = "agent_inactive",
    detail: str | None = None,
    contenders: tuple[str, ...] = (),
    at: Timestamp,
) -> TimedEvent:
    event = LeaseRevoked(
        lease_id=lease,
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        reason=reason,
        detail=detail,
        contenders=_ids(contenders),
    )
    return TimedEvent(at=at, event=event)


def conflict(
    name: str,
    holder: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "lease",
    until: Timestamp = IN_HALF_AN_HOUR,
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


def lease_held(
    name: str,
    by: str,
    contact: EmailAddress = KIM,
    *,
    lease: str = "lease",
    until: Timestamp = IN_HALF_AN_HOUR,
    will_notify: bool = True,
    holder: str | None = None,
    requested_holder: str | None = None,
) -> LeaseHeld:
    event = replace(
        conflict(name, by, contact, lease=lease, until=until),
        holder=holder,
        requested_holder=requested_holder,
    )
    return LeaseHeld(event, will_notify=will_notify)


def authorized(
    name: str, contact: EmailAddress = KIM, *, fence: int | None = None, at: Timestamp = NOON
) -> TimedEvent:
    event = SendAuthorized(
        send_id="send",
        contact_key=contact.key,
        contact_email=contact.email,
        agent_id=id_of(name),
        fence=fence,
    )
    return TimedEvent(at=at, event=event)


def blocked(
    name: str,
    reason: Reason,
    *,
    holder: str | None = None,
    fence: int | None = None,
    until: Timestamp | None = None,
    at: Timestamp = NOON,
) -> TimedEvent:
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
    return TimedEvent(at=at, event=event)


def proposed(
    name: str,
    *,
    among: int,
    request: str = "request",
    until: Timestamp = IN_FIVE_MINUTES,
    proposer_votes: bool = True,
    floor: str | None = None,
    minimum: int = 0,
    members: tuple[str, ...] | None = None,
    at: Timestamp = NOON,
) -> TimedEvent:
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
    return TimedEvent(at=at, event=event)


def voted(
    name: str,
    choice: Choice,
    *,
    request: str = "request",
    reason: str | None = None,
    at: Timestamp = NOON,
) -> TimedEvent:
    event = VoteCast(
        vote_id=f"vote-{name}",
        request_id=request,
        agent_id=id_of(name),
        vote=choice,
        reason=reason,
    )
    return TimedEvent(at=at, event=event)


def decided(
    status: consensus.Status,
    *,
    among: tuple[str, ...],
    approvals: int = 0,
    rejections: int = 0,
    size: int | None = None,
    proposer: str = "ann",
    at: Timestamp = NOON,
) -> TimedEvent:
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
    return TimedEvent(at=at, event=event)


def proposal_cancelled(
    name: str,
    *,
    by: str | None = None,
    request: str = "request",
    reason: str | None = None,
    at: Timestamp = NOON,
) -> TimedEvent:
    event = ConsensusCancelled(
        request_id=request,
        agent_id=id_of(name),
        action="pause outreach",
        contact_email=KIM.email,
        cancelled_by=None if by is None else id_of(by),
        reason=reason,
    )
    return TimedEvent(at=at, event=event)


def proposal_expired(
    name: str, *, request: str = "request", until: Timestamp = IN_FIVE_MINUTES, at: Timestamp
) -> TimedEvent:
    event = ConsensusExpired(
        request_id=request,
        agent_id=id_of(name),
        action="pause outreach",
        contact_email=KIM.email,
        timeout_at=until,
    )
    return TimedEvent(at=at, event=event)
