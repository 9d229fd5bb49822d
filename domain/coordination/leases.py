"""At no instant do two agents hold a lease on the same contact of the same tenant.

* A lease is valid from its grant until, and not at, ``expires_at``. It ends earlier only by
  release, by revocation, or by its holder's lapse.
* Every grant carries a fence: the tenant sequence of its ``LeaseAcquired``. Fences only grow,
  also across release and expiry, so a guarded action can tell a stale holder from the present one.
* The holder that acquires again renews (same id and fence); a renewal never shortens the lease.
* A rejection is recorded (``LeaseConflicted``), and both agents are notified.
* Releasing twice is the same as once, and an old lease's release never touches its successor.
* A rejected agent becomes a contender (at most CONTENDERS_MAX per lease). When the lease ends, each
  contender is notified once. The notification grants nothing: the first request gets the lease.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, assert_never

from quorate.domain.identity.agents import ActingAsAnother, Agent, AgentRef, acting_actively
from quorate.domain.identity.api_keys import Principal
from quorate.domain.shared import quotas
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp, iso, later

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext, TenantState

DURATION_MINUTES_MIN = 1 / 60
DURATION_MINUTES_MAX = 24 * 60
DURATION_MINUTES_DEFAULT = 30.0
CONTENDERS_MAX = 64
Status: TypeAlias = Literal["active", "released", "expired", "revoked"]
AGENT_INACTIVE = "agent_inactive"


@record
class AcquireLease:
    caller: Principal
    agent: AgentRef
    contact: EmailAddress
    intent: str
    duration_minutes: float
    new_lease_id: str  # Used only when the contact is free.


@record
class RenewLease:
    caller: Principal
    lease_id: str
    duration_minutes: float


@record
class ReleaseLease:
    caller: Principal
    lease_id: str


@record
class SettleLease:
    """Record that a lease expired, if it did: what the timer asks for."""

    lease_id: str


Command: TypeAlias = AcquireLease | RenewLease | ReleaseLease | SettleLease

# -- Events ------------------------------------------------------------------


@record
class LeaseAcquired:
    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    intent: str
    expires_at: Timestamp
    fence: int


@record
class LeaseRenewed:
    lease_id: str
    contact_key: str
    agent_id: str
    intent: str
    expires_at: Timestamp


@record
class LeaseReleased:
    lease_id: str
    contact_key: str
    agent_id: str
    contact_email: str | None = None  # The first releases went without.
    contenders: tuple[str, ...] | None = None


@record
class LeaseExpired:
    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    expires_at: Timestamp
    contenders: tuple[str, ...] | None = None


@record
class LeaseRevoked:
    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    reason: str
    contenders: tuple[str, ...] | None = None


@record
class LeaseConflicted:
    """``agent_id`` was refused; ``lease_id`` and the holder are those of the valid lease."""

    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    agent_name: str
    intent: str
    holder_id: str
    holder_name: str
    expires_at: Timestamp


Event: TypeAlias = (
    LeaseAcquired | LeaseRenewed | LeaseReleased | LeaseExpired | LeaseRevoked | LeaseConflicted
)


def stream(event: Event) -> str:
    return f"lease-{event.contact_key}"


# -- State -------------------------------------------------------------------


@record
class Lease:
    id: str
    contact_key: str
    contact_email: str
    agent_id: str
    intent: str
    created_at: Timestamp
    expires_at: Timestamp
    fence: int
    status: Status
    contenders: tuple[str, ...] = ()  # Ids of the agents that were refused, the first one first.
    ended_at: Timestamp | None = None


# -- Refusals ----------------------------------------------------------------


@dataclass(eq=False)
class LeaseHeld(Conflict):
    """Another agent holds the contact until ``expires_at``."""

    code: ClassVar[str] = "lease_conflict"
    event: LeaseConflicted

    @property
    def facts(self) -> dict[str, Any]:
        holder = {
            "agent_id": self.event.holder_id,
            "agent_name": self.event.holder_name,
            "expires_at": iso(self.event.expires_at),
        }
        return {"conflict": True, "lease_holder": holder}

    @property
    def recorded(self) -> Sequence[LeaseConflicted]:
        return (self.event,)


@dataclass(eq=False)
class LeaseNotFound(NotFound):
    code: ClassVar[str] = "lease_not_found"


@dataclass(eq=False)
class LeaseEnded(Conflict):
    """What has ended cannot be renewed: acquire anew, and get a new fence."""

    code: ClassVar[str] = "lease_ended"
    lease_id: str
    lease_status: Status


# -- Decide ------------------------------------------------------------------


def decide(
    command: Command, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[Event]:
    match command:
        case AcquireLease():
            return acquire(command, tenant_state, moment)
        case ReleaseLease():
            return release(command, tenant_state)
        case RenewLease():
            return renew(command, tenant_state, moment)
        case SettleLease():
            return []  # What was due has been recorded before any decision.
        case _:
            assert_never(command)


def acquire(
    command: AcquireLease, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[LeaseAcquired | LeaseRenewed]:
    agent = acting_actively(command.caller, command.agent, tenant_state, moment)
    held = tenant_state.lease_on(command.contact.key)
    until = later(moment.now, minutes=command.duration_minutes)
    if held is None:
        quotas.check("live_leases_per_agent", tenant_state.holding(agent.id), moment)
        quotas.check("live_leases", tenant_state.count("live_leases"), moment)
        return [
            LeaseAcquired(
                lease_id=command.new_lease_id,
                contact_key=command.contact.key,
                contact_email=command.contact.email,
                agent_id=agent.id,
                intent=command.intent,
                expires_at=until,
                fence=moment.sequence,
            )
        ]
    if held.agent_id == agent.id:
        return _renewed(held, command.intent, until)
    raise LeaseHeld(_conflict(command, agent, held, tenant_state))


def _conflict(
    command: AcquireLease, agent: Agent, held: Lease, tenant_state: "TenantState"
) -> LeaseConflicted:
    return LeaseConflicted(
        lease_id=held.id,
        contact_key=held.contact_key,
        contact_email=command.contact.email,
        agent_id=agent.id,
        agent_name=agent.name,
        intent=command.intent,
        holder_id=held.agent_id,
        holder_name=tenant_state.agents[held.agent_id].name,
        expires_at=held.expires_at,
    )


def renew(
    command: RenewLease, tenant_state: "TenantState", moment: "DecisionContext"
) -> Sequence[LeaseRenewed]:
    lease = _own(command.caller, command.lease_id, tenant_state)
    if lease.status != "active":
        raise LeaseEnded(lease.id, lease.status)
    until = later(moment.now, minutes=command.duration_minutes)
    return _renewed(lease, lease.intent, until)


def _renewed(lease: Lease, intent: str, until: Timestamp) -> Sequence[LeaseRenewed]:
    """A lease never ends early: asking again for less leaves it as long as it was."""
    expires_at = max(lease.expires_at, until)
    if expires_at == lease.expires_at and intent == lease.intent:
        return []
    return [
        LeaseRenewed(
            lease_id=lease.id,
            contact_key=lease.contact_key,
            agent_id=lease.agent_id,
            intent=intent,
            expires_at=expires_at,
        )
    ]


def release(command: ReleaseLease, tenant_state: "TenantState") -> Sequence[LeaseReleased]:
    lease = _own(command.caller, command.lease_id, tenant_state)
    if lease.status != "active":
        return []
    return [
        LeaseReleased(
            lease_id=lease.id,
            contact_key=lease.contact_key,
            agent_id=lease.agent_id,
            contact_email=lease.contact_email,
            contenders=lease.contenders or None,
        )
    ]


def _own(caller: Principal, lease_id: str, tenant_state: "TenantState") -> Lease:
    lease = tenant_state.leases.get(lease_id)
    if lease is None:
        raise LeaseNotFound
    if caller.role == "agent" and caller.agent_id != lease.agent_id:
        assert caller.agent_id is not None
        raise ActingAsAnother(caller.agent_id)
    return lease


def outcome(command: Command, tenant_state: "TenantState") -> Lease | None:
    match command:
        case AcquireLease():
            return tenant_state.lease_on(command.contact.key)
        case RenewLease() | ReleaseLease() | SettleLease():
            return tenant_state.leases.get(command.lease_id)
        case _:
            assert_never(command)


# -- Due ---------------------------------------------------------------------


def expired(lease: Lease) -> LeaseExpired:
    return LeaseExpired(
        lease_id=lease.id,
        contact_key=lease.contact_key,
        contact_email=lease.contact_email,
        agent_id=lease.agent_id,
        expires_at=lease.expires_at,
        contenders=lease.contenders or None,
    )


def revoked(lease: Lease, reason: str) -> LeaseRevoked:
    return LeaseRevoked(
        lease_id=lease.id,
        contact_key=lease.contact_key,
        contact_email=lease.contact_email,
        agent_id=lease.agent_id,
        reason=reason,
        contenders=lease.contenders or None,
    )


# -- Evolve ------------------------------------------------------------------


def evolve(state: Lease | None, event: Event, at: Timestamp) -> Lease:
    match event:
        case LeaseAcquired():
            return Lease(
                id=event.lease_id,
                contact_key=event.contact_key,
                contact_email=event.contact_email,
                agent_id=event.agent_id,
                intent=event.intent,
                created_at=at,
                expires_at=event.expires_at,
                fence=event.fence,
                status="active",
            )
    assert state is not None, "the log ends, renews or guards a lease that it never granted"
    match event:
        case LeaseConflicted():
            return _contended(state, event.agent_id)
        case LeaseReleased():
            return _ended(state, "released", at)
        case LeaseExpired():
            return _ended(state, "expired", at)
        case LeaseRevoked():
            return _ended(state, "revoked", at)
        case LeaseRenewed():
            return replace(state, expires_at=event.expires_at, intent=event.intent)
        case _:
            assert_never(event)


def _contended(state: Lease, agent_id: str) -> Lease:
    if agent_id in state.contenders or len(state.contenders) >= CONTENDERS_MAX:
        return state
    return replace(state, contenders=(*state.contenders, agent_id))


def _ended(state: Lease, status: Status, at: Timestamp) -> Lease:
    """Spelled out: every lease ends once, and ``replace`` takes three times as long."""
    return Lease(
        id=state.id,
        contact_key=state.contact_key,
        contact_email=state.contact_email,
        agent_id=state.agent_id,
        intent=state.intent,
        created_at=state.created_at,
        expires_at=state.expires_at,
        fence=state.fence,
        status=status,
        contenders=state.contenders,
        ended_at=at,
    )
