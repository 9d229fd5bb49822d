"""A tenant is created once and is never renamed. Its log begins with its creation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp

if TYPE_CHECKING:
    from quorate.domain.tenant_state import DecisionContext, TenantState

TENANT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
OPERATORS = "_operators"  # The tenant whose log holds the operators' own keys.

# -- Commands ----------------------------------------------------------------


@record
class CreateTenant:
    tenant_id: str


Command = CreateTenant

# -- Events ------------------------------------------------------------------


@record
class TenantCreated:
    tenant_id: str


Event = TenantCreated


def stream(event: Event) -> str:
    return f"tenant-{event.tenant_id}"


# -- State -------------------------------------------------------------------


@record
class Tenant:
    id: str
    created_at: Timestamp


# -- Refusals ----------------------------------------------------------------


@dataclass(eq=False)
class TenantExists(Conflict):
    code: ClassVar[str] = "tenant_exists"
    tenant_id: str


@dataclass(eq=False)
class TenantNotFound(NotFound):
    code: ClassVar[str] = "tenant_not_found"


# -- Decide ------------------------------------------------------------------


def decide(
    command: Command, tenant_state: "TenantState", _moment: "DecisionContext"
) -> Sequence[Event]:
    if tenant_state.tenant is not None:
        raise TenantExists(command.tenant_id)
    return [TenantCreated(tenant_id=command.tenant_id)]


# -- Evolve ------------------------------------------------------------------


def evolve(event: Event, at: Timestamp) -> Tenant:
    return Tenant(id=event.tenant_id, created_at=at)
