"""At no instant do two holders have a lease on the same contact of the same tenant.

* A holder is an agent, and the instance of it that its requests name (``holder``), if any.
* A lease is valid from its grant until, and not at, ``expires_at``. It ends earlier only by
  release, when its holder times out or deregisters, or when an operator ends it.
* Every grant carries a fencing token (``fence``): the tenant sequence of its ``LeaseAcquired``.
  Fences strictly increase, also across release and expiry, so they identify a stale holder.
* A rejection is recorded (``LeaseConflicted``), and both agents are notified.
* A second release succeeds and changes nothing. Releasing an old lease never affects its successor.
* A rejected agent becomes a contender (CONTENDERS_MAX per lease), notified once when the lease
  ends. That grants nothing: the first request gets the lease, the others contend again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, TypeAlias, assert_never, get_args

from quorate.domain.identity.agents import (
    AGENTS,
    ActingAsAnother,
    AgentDeregistered,
    AgentLapsed,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.aggregates import Aggregate, Counter, Deadline, Owner, Reads
from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp, iso

DURATION_MINUTES_MIN = 1 / 60
DURATION_MINUTES_MAX = 24 * 60
DURATION_MINUTES_DEFAULT = 30.0
INTENT_DEFAULT = "general"
HOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
CONTENDERS_MAX = 64
Status: TypeAlias = Literal["active", "released", "expired", "revoked"]
# Why a lease was revoked.
BY_OPERATOR = "operator"  # An operator ended it; ``detail`` says why.
SUPERSEDED = "superseded"  # Another process of the agent acquired the contact.
REVOKED_BY = {AgentLapsed: "agent_inactive", AgentDeregistered: "agent_deregistered"}

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
    holder: str | None = None  # These two are absent in events of the first releases.
    incarnation: int | None = None  # Of the agent.


@record
class LeaseRenewed:
    lease_id: str
    contact_key: str
    agent_id: str
    intent: str
    expires_at: Timestamp
    holder: str | None = None


@record
class _LeaseEnded:
    lease_id: str
    contact_key: str
    agent_id: str
    contenders: tuple[str, ...] | None = None
    holder: str | None = None


@record
class LeaseReleased(_LeaseEnded):
    contact_email: str | None = None  # Absent in events of the first releases.


@record
class LeaseExpired(_LeaseEnded):
    contact_email: str
    expires_at: Timestamp


@record
class LeaseRevoked(_LeaseEnded):
    contact_email: str
    reason: str
    detail: str | None = None


@record
class LeaseConflicted:
    """``agent_id`` was rejected; ``lease_id`` and the holder are those of the valid lease.

    ``holder_id`` is the agent that holds the contact, ``holder`` its instance.
    """

    lease_id: str
    contact_key: str
    contact_email: str
    agent_id: str
    agent_name: str
    intent: str
    holder_id: str
    holder_name: str
    expires_at: Timestamp
    holder: str | None = None
    requested_holder: str | None = None  # The instance that the rejected request named.


Event: TypeAlias = (
    LeaseAcquired | LeaseRenewed | LeaseReleased | LeaseExpired | LeaseRevoked | LeaseConflicted
)


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
    contenders: tuple[str, ...] = ()  # Ids of the rejected agents, in the order of rejection.
    ended_at: Timestamp | None = None
    holder: str | None = None
    incarnation: int | None = None

    def admits(self, agent_id: str, holder: str | None) -> bool:
        """Whether a request is no rival: of the agent, and of its instance if the lease has one."""
        return self.agent_id == agent_id and self.holder in {None, holder}


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class LeaseHeld(Conflict):
    """Another agent, or another instance of this one, holds the contact until ``expires_at``.

    ``will_notify``: whether the agent is a contender, so that it is notified of the end.
    """

    code, title = "lease_conflict", "Another holder has the contact"
    reason = "{lease_holder[agentName]} until {lease_holder[expiresAt]}"
    event: LeaseConflicted
    will_notify: bool

    @property
    def details(self) -> Mapping[str, Any]:
        holder = {"agent_id": self.event.holder_id, "agent_name": self.event.holder_name}
        holder["expires_at"] = iso(self.event.expires_at)
        if self.event.holder is not None:
            holder["holder"] = self.event.holder
        return {"conflict": True, "lease_holder": holder, "will_notify": self.will_notify}

    @property
    def recorded(self) -> Sequence[LeaseConflicted]:
        return (self.event,)


@dataclass(eq=False)
class LeaseNotFound(NotFound):
    code, title = "lease_not_found", "Lease not found"


@dataclass(eq=False)
class LeaseEnded(Conflict):
    """A lease that has ended cannot be renewed. Acquire the contact again, with a new fence."""

    code, title = "lease_ended", "The lease has ended"
    reason = "its status is {lease_status}"
    lease_id: str
    lease_status: Status


# -- Commands ----------------------------------------------------------------


class LeaseCommand:
    """A command for one lease, which it names by its id."""

    __slots__ = ()
    lease_id: str

    def reads(self) -> Reads:
        return LEASES.by("id", self.lease_id)

    def result(self, state: TenantState, _events: Sequence[Event]) -> Lease:
        return state[LEASES][self.lease_id]


@record
class ReleaseLease(LeaseCommand):
    caller: Principal
    lease_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[LeaseReleased]:
        lease = own_lease(self.caller, self.lease_id, state)
        if lease.status != "active":
            return []
        return [LeaseReleased(**_ending(lease))]


@record
class EndLease(LeaseCommand):
    """Revoke a lease as an operator. A lease that has ended stays as it is."""

    lease_id: str
    detail: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[LeaseRevoked]:
        lease = state[LEASES].get(self.lease_id)
        if lease is None:
            raise LeaseNotFound
        if lease.status != "active":
            return []
        return [lease_revoked(lease, BY_OPERATOR, self.detail)]


def live_lease(state: TenantState, contact_key: str) -> Lease | None:
    """Return the lease that is recorded as active on a contact."""
    return state[LEASES].find("live_contact", contact_key)


def own_lease(caller: Principal, lease_id: str, state: TenantState) -> Lease:
    lease = state[LEASES].get(lease_id)
    if lease is None:
        raise LeaseNotFound
    if caller.role == "agent" and caller.agent_id != lease.agent_id:
        assert caller.agent_id is not None
        raise ActingAsAnother(caller.agent_id)
    return lease


# -- Without a command -------------------------------------------------------


def _ending(lease: Lease) -> dict[str, Any]:
    """Return the fields that all events that end a lease have."""
    return {
        "lease_id": lease.id,
        "contact_key": lease.contact_key,
        "contact_email": lease.contact_email,
        "agent_id": lease.agent_id,
        "contenders": lease.contenders or None,
        "holder": lease.holder,
    }


def lease_expired(lease: Lease) -> Sequence[LeaseExpired]:
    return [LeaseExpired(**_ending(lease), expires_at=lease.expires_at)]


def lease_revoked(lease: Lease, reason: str, detail: str | None = None) -> LeaseRevoked:
    return LeaseRevoked(**_ending(lease), reason=reason, detail=detail)


def revoke_leases_of(
    state: TenantState, event: AgentLapsed | AgentDeregistered
) -> Sequence[LeaseRevoked]:
    """End the leases that were still valid when their holder ended, the earliest first."""
    held = sorted(
        state[LEASES].owned_by(event.agent_id), key=lambda lease: (lease.expires_at, lease.id)
    )
    return [
        lease_revoked(lease, REVOKED_BY[type(event)])
        for lease in held
        if lease.expires_at > event.active_until
    ]


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
                holder=event.holder,
                incarnation=event.incarnation,
            )
    assert state is not None, "the log ends or renews a lease that it never granted"
    match event:
        case LeaseConflicted():
            return _contended(state, event.agent_id)
        case LeaseReleased():
            return changed(state, status="released", ended_at=at)
        case LeaseExpired():
            return changed(state, status="expired", ended_at=at)
        case LeaseRevoked():
            return changed(state, status="revoked", ended_at=at)
        case LeaseRenewed():
            return changed(state, expires_at=event.expires_at, intent=event.intent)
        case _:
            assert_never(event)


def _contended(state: Lease, agent_id: str) -> Lease:
    if agent_id in state.contenders or len(state.contenders) >= CONTENDERS_MAX:
        return state
    return changed(state, contenders=(*state.contenders, agent_id))


def _check_fence(event: Event, sequence: int) -> None:
    if isinstance(event, LeaseAcquired):
        assert event.fence == sequence, (
            f"fence {event.fence} is not the sequence {sequence} of its grant"
        )


LEASES: Aggregate[Lease] = Aggregate(
    name="lease",
    events=get_args(Event),
    stream=lambda event: f"lease-{event.contact_key}",
    commands=(ReleaseLease, EndLease),
    id_of=attrgetter("lease_id"),
    evolve=evolve,
    phase_of=attrgetter("status"),
    indexes={"live_contact": lambda lease: lease.contact_key if lease.status == "active" else None},
    counters={
        "live_leases": Counter(
            amount=lambda lease: 1 if lease.status == "active" else 0,
            owner=lambda lease: lease.agent_id,
        )
    },
    owner=Owner(
        aggregate=AGENTS, id_of=lambda lease: lease.agent_id if lease.status == "active" else None
    ),
    deadline=Deadline(
        at=lambda lease: lease.expires_at,
        has_passed=lambda lease, now: lease.status == "active" and now >= lease.expires_at,
        events=lease_expired,
        rank=0,
    ),
    is_final=lambda lease: lease.status != "active",
    reacts_to=dict.fromkeys(REVOKED_BY, revoke_leases_of),
    check=_check_fence,
)
