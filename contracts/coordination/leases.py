"""Acquire, renew, release and list leases on contacts."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT, CAN_OPERATE, CAN_READ
from quorate.contracts.wire_models import (
    AgentId,
    AgentRequest,
    ContactEmail,
    Number,
    PageQuery,
    Query,
    ReasonRequest,
    ResponseModel,
    TenantRequest,
    Time,
    omit_null,
    optional,
    text_field,
)
from quorate.domain.coordination.leases import (
    DURATION_MINUTES_DEFAULT,
    DURATION_MINUTES_MAX,
    DURATION_MINUTES_MIN,
    HOLDER,
    INTENT_DEFAULT,
    LeaseEnded,
    LeaseHeld,
    LeaseNotFound,
    Status,
)
from quorate.domain.identity.agents import ActingAsAnother, AgentInactive, AgentNotFound
from quorate.domain.shared.email_addresses import AddressUnusable
from quorate.domain.shared.quotas import QuotaExceeded

LEASE = "/v1/agent/coordination/lease"
LEASES = "/v1/agent/coordination/leases"
INTENT_LENGTH_MAX = 128

Holder = Annotated[str, Field(pattern=f"^{HOLDER.pattern}$")]
Duration = Annotated[Number, Field(ge=DURATION_MINUTES_MIN, le=DURATION_MINUTES_MAX)]


class LeaseBody(AgentRequest):
    contact_email: ContactEmail
    intent: Annotated[str, text_field(INTENT_LENGTH_MAX)] | None = Field(
        default=None,
        description="Purpose label. Default: the intent of the lease that the request renews, "
        f"or `{INTENT_DEFAULT}` for a new lease.",
    )
    duration_minutes: Duration = DURATION_MINUTES_DEFAULT
    holder: Holder | None = Field(
        default=None,
        description="The instance of the agent that holds the lease, such as one process. Another "
        "instance, or a request without one, is a rival like another agent.",
    )


class RenewBody(TenantRequest):
    duration_minutes: Duration = DURATION_MINUTES_DEFAULT
    holder: Holder | None = Field(
        default=None, description="Renew the lease only if this instance of the agent holds it."
    )


class LeasesQuery(PageQuery):
    agent_id: AgentId | None = None
    contact_email: ContactEmail | None = None


class LeaseInfo(ResponseModel):
    """A lease. ``fence`` is its fencing token, which strictly increases per tenant.

    Send it with each request to the send gate. ``holder`` is the instance of the agent that holds
    the lease, if its request named one. ``contenders`` are the agents whose requests were rejected
    and that the service notifies when the lease ends.
    """

    id: str
    tenant_id: str
    agent_id: str
    contact_email: str
    intent: str
    expires_at: Time
    created_at: Time
    fence: int
    status: Status
    contenders: list[str] | None = optional()
    holder: str | None = optional()


class Released(ResponseModel):
    released: Literal[True] = True


class HolderInfo(ResponseModel):
    """The agent that holds a contact. ``expiresAt`` is the end of its lease unless it renews.

    ``holder`` is the instance of the agent, if its request named one.
    """

    model_config = ConfigDict(json_schema_extra=omit_null)
    agent_id: str
    agent_name: str
    expires_at: Time
    holder: str | None = optional()


class LeaseConflictDetails(ResponseModel):
    """The members of the problem ``lease_conflict``; the first two as the seed names them.

    ``willNotify``: whether the service notifies the agent when the lease ends. It does so for a
    limited number of agents. Others must request the contact again.
    """

    conflict: Literal[True]
    lease_holder: HolderInfo
    will_notify: bool


ACQUIRE_LEASE = Operation(
    method="POST",
    path=LEASE,
    name="acquireLease",
    summary="Acquire a lease on a contact",
    description="If the holder already has the contact, the request renews its lease. If the agent "
    "has registered again since the grant, it gets another lease with a new fence instead.",
    roles=CAN_ACT,
    body=LeaseBody,
    query=Query,
    response=LeaseInfo,
    errors=(
        QuotaExceeded,
        AgentNotFound,
        AgentInactive,
        ActingAsAnother,
        LeaseHeld,
        LeaseEnded,
        AddressUnusable,
    ),
    command=True,
    hot=True,
)
RELEASE_LEASE = Operation(
    method="DELETE",
    path=LEASE + "/{lease_id}",
    name="releaseLease",
    summary="Release a lease",
    description="A second release of the same lease succeeds and has no effect.",
    roles=CAN_ACT,
    query=Query,
    response=Released,
    errors=(LeaseNotFound, ActingAsAnother),
    command=True,
    hot=True,
    urgent=True,
    while_paused=True,
)
RENEW_LEASE = Operation(
    method="POST",
    path=LEASE + "/{lease_id}/renew",
    name="renewLease",
    summary="Renew a lease",
    description="A renewal extends a lease and never shortens it.",
    roles=CAN_ACT,
    body=RenewBody,
    query=Query,
    response=LeaseInfo,
    errors=(LeaseNotFound, LeaseEnded, LeaseHeld, ActingAsAnother),
    command=True,
    hot=True,
    urgent=True,
)
END_LEASE = Operation(
    method="POST",
    path=LEASE + "/{lease_id}/end",
    name="endLease",
    summary="End a lease of any agent",
    description="Its status becomes `revoked`; the holder and the agents that wait for the contact "
    "are notified. A lease that has ended stays as it is.",
    roles=CAN_OPERATE,
    body=ReasonRequest,
    query=Query,
    response=LeaseInfo,
    errors=(LeaseNotFound,),
    command=True,
    unmetered=True,
)
GET_LEASE = Operation(
    method="GET",
    path=LEASE + "/{lease_id}",
    name="getLease",
    summary="Get a lease",
    description="Ended leases remain readable.",
    roles=CAN_READ,
    query=Query,
    response=LeaseInfo,
    errors=(LeaseNotFound,),
)
LIST_LEASES = Operation(
    method="GET",
    path=LEASES,
    name="listLeases",
    summary="List active leases",
    roles=CAN_READ,
    query=LeasesQuery,
    response=list[LeaseInfo],
    errors=(AddressUnusable,),
)
OPERATIONS = (
    *(ACQUIRE_LEASE, RELEASE_LEASE, RENEW_LEASE, END_LEASE),
    *(GET_LEASE, LIST_LEASES),
)
