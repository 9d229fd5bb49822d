"""A tenant is created once and is never renamed. Its log begins with its creation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from quorate.domain.shared.aggregates import Aggregate, Reads
from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import Timestamp

TENANT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OPERATORS = "_operators"  # The tenant whose log holds the operators' own keys.
THE_TENANT = "tenant"  # The id of the one tenant that a tenant's state has.

# -- Events ------------------------------------------------------------------


@record
class TenantCreated:
    tenant_id: str


Event = TenantCreated


# -- State -------------------------------------------------------------------


@record
class Tenant:
    id: str
    created_at: Timestamp


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class TenantExists(Conflict):
    code, title = "tenant_exists", "The tenant already exists"
    tenant_id: str


@dataclass(eq=False)
class TenantNotFound(NotFound):
    code, title = "tenant_not_found", "Tenant not found"


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


# -- Evolve ------------------------------------------------------------------


def evolve(_state: Tenant | None, event: Event, at: Timestamp) -> Tenant:
    return Tenant(id=event.tenant_id, created_at=at)


TENANTS: Aggregate[Tenant] = Aggregate(
    name="tenant",
    events=(TenantCreated,),
    stream=lambda event: f"tenant-{event.tenant_id}",
    commands=(CreateTenant,),
    id_of=lambda _event: THE_TENANT,
    evolve=evolve,
)
