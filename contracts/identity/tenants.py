"""Create, list, suspend and resume tenants, and set their limits (admin keys only).

A tenant key may read its own tenant, pause it and unpause it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from quorate.contracts.operations import Operation
from quorate.contracts.problems import TenantAmbiguous
from quorate.contracts.roles import ADMIN_ONLY, CAN_OPERATE
from quorate.contracts.wire_models import (
    PageQuery,
    Query,
    ReasonQuery,
    ReasonRequest,
    ResponseModel,
    TenantId,
    TenantRequest,
    Time,
    optional,
)
from quorate.domain.identity.tenants import TenantExists, TenantNotFound

TENANTS = "/v1/tenants"
LIMIT_MAX = 1_000_000_000_000_000  # As for the options of the service.
Limit = Annotated[int, Field(ge=0, le=LIMIT_MAX)] | None


class _Limits(BaseModel):
    """Limits of one tenant. Without a value the limit of the service applies; 0 means no limit."""

    agents: Limit = optional()
    live_leases: Limit = optional()
    open_requests: Limit = optional()
    keys: Limit = optional()
    settings_bytes: Limit = optional()
    mailbox_bytes: Limit = optional()
    session_bytes: Limit = optional()
    live_leases_per_agent: Limit = optional()
    mailbox_bytes_per_agent: Limit = optional()
    open_tasks_per_agent: Limit = optional()
    events_per_day: Limit = optional()
    bytes_per_day: Limit = optional()
    events_per_day_per_agent: Limit = optional()
    bytes_per_day_per_agent: Limit = optional()
    rate_per_key: Limit = optional()
    burst_per_key: Limit = optional()
    rate_per_tenant: Limit = optional()
    burst_per_tenant: Limit = optional()


class TenantBody(TenantRequest):
    tenant_id: TenantId


class TenantLimitsBody(_Limits, TenantRequest):
    """All limits of the tenant. A limit that is left out becomes that of the service."""


class TenantLimitsInfo(_Limits, ResponseModel):
    """The limits that an operator set for the tenant, in place of those of the service."""


class TenantInfo(ResponseModel):
    """A tenant. The keys of a suspended tenant are rejected with ``tenant_suspended``.

    A tenant with ``pausedAt`` is read only: commands of its keys get ``tenant_paused``.
    """

    id: str = Field(alias="tenantId")
    created_at: Time
    status: Literal["active", "suspended"] = "active"
    suspended_at: Time | None = optional()
    paused_at: Time | None = optional()
    limits: TenantLimitsInfo = Field(default_factory=TenantLimitsInfo)


CREATE_TENANT = Operation(
    method="POST",
    path=TENANTS,
    name="createTenant",
    summary="Create a tenant",
    roles=ADMIN_ONLY,
    body=TenantBody,
    response=TenantInfo,
    errors=(TenantExists,),
    command=True,
)
LIST_TENANTS = Operation(
    method="GET",
    path=TENANTS,
    name="listTenants",
    summary="List tenants",
    description="The tenant of the operators is left out.",
    roles=ADMIN_ONLY,
    query=PageQuery,
    response=list[TenantInfo],
)
GET_TENANT = Operation(
    method="GET",
    path=TENANTS + "/{tenant_id}",
    name="getTenant",
    summary="Get a tenant",
    description="A tenant key gets its own tenant.",
    roles=CAN_OPERATE,
    query=Query,
    response=TenantInfo,
    errors=(TenantNotFound,),
)
SUSPEND_TENANT = Operation(
    method="POST",
    path=TENANTS + "/{tenant_id}/suspend",
    name="suspendTenant",
    summary="Suspend a tenant",
    description=(
        "Its keys are rejected with `tenant_suspended`, and its connections end within a second. "
        "Leases and agents end by their own deadlines."
    ),
    roles=ADMIN_ONLY,
    query=ReasonQuery,
    response=TenantInfo,
    errors=(TenantNotFound,),
    command=True,
)
RESUME_TENANT = Operation(
    method="POST",
    path=TENANTS + "/{tenant_id}/resume",
    name="resumeTenant",
    summary="Resume a suspended tenant",
    description="Its keys are valid again.",
    roles=ADMIN_ONLY,
    query=ReasonQuery,
    response=TenantInfo,
    errors=(TenantNotFound,),
    command=True,
)
PAUSE_TENANT = Operation(
    method="POST",
    path=TENANTS + "/{tenant_id}/pause",
    name="pauseTenant",
    summary="Pause a tenant",
    description=(
        "Its keys read, and their commands are rejected with `tenant_paused`, except heartbeats, "
        "releases and the actions of operators. Leases, votes and tasks still reach their "
        "deadlines. A tenant key pauses its own tenant."
    ),
    roles=CAN_OPERATE,
    body=ReasonRequest,
    query=Query,
    response=TenantInfo,
    errors=(TenantNotFound,),
    command=True,
)
UNPAUSE_TENANT = Operation(
    method="POST",
    path=TENANTS + "/{tenant_id}/unpause",
    name="unpauseTenant",
    summary="Unpause a tenant",
    description="Commands of its keys are accepted again. A tenant key unpauses its own tenant.",
    roles=CAN_OPERATE,
    body=ReasonRequest,
    query=Query,
    response=TenantInfo,
    errors=(TenantNotFound,),
    command=True,
)
SET_TENANT_LIMITS = Operation(
    method="PUT",
    path=TENANTS + "/{tenant_id}/limits",
    name="setTenantLimits",
    summary="Set the limits of a tenant",
    description="The limits replace all that were set before. The tenant's log records them.",
    roles=ADMIN_ONLY,
    body=TenantLimitsBody,
    response=TenantInfo,
    errors=(TenantAmbiguous, TenantNotFound),
    command=True,
)
OPERATIONS = (
    *(CREATE_TENANT, LIST_TENANTS, GET_TENANT),
    *(SUSPEND_TENANT, RESUME_TENANT, PAUSE_TENANT, UNPAUSE_TENANT, SET_TENANT_LIMITS),
)
