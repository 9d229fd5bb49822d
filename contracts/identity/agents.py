"""Register agents, record heartbeats, and list agents."""

from typing import Annotated, Literal

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT, CAN_READ
from quorate.contracts.wire_models import (
    ROLE_LENGTH_MAX,
    AgentName,
    AgentRequest,
    PageQuery,
    Query,
    ResponseModel,
    TenantRequest,
    Time,
    optional,
    text_field,
)
from quorate.domain.identity.agents import ROLE_DEFAULT, ActingAsAnother, AgentNotFound
from quorate.domain.shared.quotas import QuotaExceeded


class RegisterBody(TenantRequest):
    agent_name: AgentName | None = Field(
        default=None,
        description="Unique per tenant, case-insensitive. Required unless the key is an agent key.",
    )
    agent_role: Annotated[str, text_field(ROLE_LENGTH_MAX)] = ROLE_DEFAULT


class HeartbeatBody(AgentRequest):
    pass


class AgentInfo(ResponseModel):
    """An agent. Without a further heartbeat it times out at ``activeUntil``.

    ``incarnation`` is the number of registrations under this name, from 1. The response to a
    registration does not contain ``leasesHeld``.
    """

    id: str
    tenant_id: str
    name: str = Field(alias="agentName")
    role: str = Field(alias="agentRole")
    last_heartbeat: Time
    registered_at: Time
    active_until: Time
    incarnation: int
    status: Literal["active", "inactive"]
    leases_held: int | None = optional()


class HeartbeatInfo(ResponseModel):
    """``lastNotification``: sequence of the agent's latest notification, 0 if it has none."""

    ok: Literal[True] = True
    agent_id: str
    last_heartbeat: Time
    active_until: Time
    last_notification: int = 0


REGISTER = Operation(
    method="POST",
    path="/v1/agent/register",
    name="register",
    summary="Register an agent",
    description="Registering an existing name updates the agent; it keeps its id.",
    roles=CAN_ACT,
    body=RegisterBody,
    query=Query,
    response=AgentInfo,
    errors=(QuotaExceeded, ActingAsAnother, AgentNotFound),
    command=True,
)
HEARTBEAT = Operation(
    method="POST",
    path="/v1/agent/coordination/heartbeat",
    name="heartbeat",
    summary="Send a heartbeat",
    description="A heartbeat extends the time until which the agent is active.",
    roles=CAN_ACT,
    body=HeartbeatBody,
    query=Query,
    response=HeartbeatInfo,
    errors=(AgentNotFound, ActingAsAnother),
    command=True,
    hot=True,
    urgent=True,
)
LIST_AGENTS = Operation(
    method="GET",
    path="/v1/agent/agents",
    name="listAgents",
    summary="List agents",
    description="Active and inactive agents, each with its number of leases.",
    roles=CAN_READ,
    query=PageQuery,
    response=list[AgentInfo],
)
GET_AGENT = Operation(
    method="GET",
    path="/v1/agent/agents/{agent_id}",
    name="getAgent",
    summary="Get an agent",
    roles=CAN_READ,
    query=Query,
    response=AgentInfo,
    errors=(AgentNotFound,),
)
OPERATIONS = (REGISTER, HEARTBEAT, LIST_AGENTS, GET_AGENT)
