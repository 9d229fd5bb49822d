"""A tenant is created once and is never renamed. Its log begins with its creation.

* An operator may suspend a tenant: its keys are rejected until it is resumed. Nothing in its log
  ends by that alone. Its leases expire and its agents time out, because no key may renew them.
* A tenant may be paused: it is read, but its keys change nothing, except by heartbeats, releases
  and the actions of operators. What is due is recorded.
* An operator may set limits for one tenant, in place of those of the service. They replace the
  limits that were set before.
* Suspending a suspended tenant, pausing a paused one, or setting the same limits again, succeeds
  and records nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias, assert_never, get_args

from quorate.domain.shared.aggregates import Aggregate, Reads
from quorate.domain.shared.errors import Conflict, Forbidden, NotFound
from quorate.domain.shared.quotas import Quotas
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

TENANT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OPERATORS = "_operators"  # The tenant whose log holds the operators' own keys.
THE_TENANT = "tenant"  # The id of the one tenant that a tenant's state has.
Status: TypeAlias = Literal["active", "suspended"]


@record
class TenantLimits(Quotas):
    """Quotas and rates of one tenant. None is the limit of the service, 0 is no limit."""

    rate_per_key: int | None = None
    burst_per_key: int | None = None
    rate_per_tenant: int | None = None
    burst_per_tenant: int | None = None


LIMITS: tuple[str, ...] = tuple(field.name for field in fields(TenantLimits))
NO_LIMITS = TenantLimits()

# -- Events ------------------------------------------------------------------


@record
class TenantCreated:
    tenant_id: str


@record
class TenantSuspended:
    tenant_id: str
    detail: str | None = None  # Why, if the operator said it.


@record
class TenantResumed:
    tenant_id: str
    detail: str | None = None


@record
class TenantPaused:
    tenant_id: str
    detail: str | None = None


@record
class TenantUnpaused:
    tenant_id: str
    detail: str | None = None


@record
class TenantLimitsSet(TenantLimits):
    """All limits of the tenant; a limit that is absent is that of the service."""

    tenant_id: str


Event: TypeAlias = (
    TenantCreated
    | TenantSuspended
    | TenantResumed
    | TenantPaused
    | TenantUnpaused
    | TenantLimitsSet
)


# -- State -------------------------------------------------------------------


@record
class Tenant:
    id: str
    created_at: Timestamp
    suspended_at: Timestamp | None = None
    limits: TenantLimits = NO_LIMITS
    paused_at: Timestamp | None = None

    @property
    def status(self) -> Status:
        return "active" if self.suspended_at is None else "suspended"


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class TenantExists(Conflict):
    code, title = "tenant_exists", "The tenant already exists"
    tenant_id: str


@dataclass(eq=False)
class TenantNotFound(NotFound):
    code, title = "tenant_not_found", "Tenant not found"


@dataclass(eq=False)
class TenantIsSuspended(Forbidden):
    """An operator suspended the tenant. None of its keys may be used until it is resumed."""

    code, title = "tenant_suspended", "The tenant is suspended"


@dataclass(eq=False)
class TenantIsPaused(Conflict):
    """The tenant was paused. It is read, and accepts no command until it is unpaused."""

    code, title = "tenant_paused", "The tenant is paused"
    reason = "it was paused at {paused_at} and accepts no command until it is unpaused"
    paused_at: Timestamp


def paused_at(state: TenantState) -> Timestamp | None:
    """Return since when the tenant is paused.

    Each command finds it loaded. A command of the same transaction may have changed it since.
    """
    tenant = state[TENANTS].get(THE_TENANT)
    return state.paused_at if tenant is None else tenant.paused_at


def check_not_paused(state: TenantState) -> None:
    """Raise TenantIsPaused if the tenant is paused."""
    if (at := paused_at(state)) is not None:
        raise TenantIsPaused(at)


# -- Commands ----------------------------------------------------------------


@record
class CreateTenant:
    tenant_id: str

    def reads(self) -> Reads:
        return TENANTS.by("id", THE_TENANT)

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        if THE_TENANT in state[TENANTS]:
            raise TenantExists(self.tenant_id)
        return [TenantCreated(tenant_id=self.tenant_id)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Tenant:
        return state[TENANTS][THE_TENANT]


class _TenantCommand:
    """A command of an operator on an existing tenant, other than that of the operators."""

    __slots__ = ()
    tenant_id: str

    def reads(self) -> Reads:
        return TENANTS.by("id", THE_TENANT)

    def result(self, state: TenantState, _events: Sequence[Event]) -> Tenant:
        return state[TENANTS][THE_TENANT]

    def _tenant(self, state: TenantState) -> Tenant:
        tenant = state[TENANTS].get(THE_TENANT)
        if tenant is None or tenant.id == OPERATORS:
            raise TenantNotFound
        return tenant


@record
class SuspendTenant(_TenantCommand):
    tenant_id: str
    detail: str | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        tenant = self._tenant(state)
        if tenant.suspended_at is not None:
            return []
        return [TenantSuspended(tenant_id=tenant.id, detail=self.detail)]


@record
class ResumeTenant(_TenantCommand):
    tenant_id: str
    detail: str | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        tenant = self._tenant(state)
        if tenant.suspended_at is None:
            return []
        return [TenantResumed(tenant_id=tenant.id, detail=self.detail)]


@record
class PauseTenant(_TenantCommand):
    """Let the keys of a tenant read, and reject their commands."""

    tenant_id: str
    detail: str | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        tenant = self._tenant(state)
        if tenant.paused_at is not None:
            return []
        return [TenantPaused(tenant_id=tenant.id, detail=self.detail)]


@record
class UnpauseTenant(_TenantCommand):
    """Accept the commands of a tenant again."""

    tenant_id: str
    detail: str | None = None

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        tenant = self._tenant(state)
        if tenant.paused_at is None:
            return []
        return [TenantUnpaused(tenant_id=tenant.id, detail=self.detail)]


@record
class SetTenantLimits(_TenantCommand):
    tenant_id: str
    limits: TenantLimits

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        tenant = self._tenant(state)
        if tenant.limits == self.limits:
            return []
        own = {name: getattr(self.limits, name) for name in LIMITS}
        return [TenantLimitsSet(tenant_id=tenant.id, **own)]


# -- Evolve ------------------------------------------------------------------


def evolve(state: Tenant | None, event: Event, at: Timestamp) -> Tenant:
    if isinstance(event, TenantCreated):
        return Tenant(id=event.tenant_id, created_at=at)
    assert state is not None
    match event:
        case TenantSuspended():
            return changed(state, suspended_at=at)
        case TenantResumed():
            return changed(state, suspended_at=None)
        case TenantPaused():
            return changed(state, paused_at=at)
        case TenantUnpaused():
            return changed(state, paused_at=None)
        case TenantLimitsSet():
            return changed(state, limits=limits_of(event))
        case _:
            assert_never(event)


def limits_of(event: TenantLimitsSet) -> TenantLimits:
    return TenantLimits(**{name: getattr(event, name) for name in LIMITS})


TENANTS: Aggregate[Tenant] = Aggregate(
    name="tenant",
    events=get_args(Event),
    stream=lambda event: f"tenant-{event.tenant_id}",
    commands=(
        *(CreateTenant, SuspendTenant, ResumeTenant),
        *(PauseTenant, UnpauseTenant, SetTenantLimits),
    ),
    id_of=lambda _event: THE_TENANT,
    evolve=evolve,
)
