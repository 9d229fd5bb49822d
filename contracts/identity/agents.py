"""Register, deregister, list and remove agents, and record heartbeats."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT, CAN_OPERATE, CAN_READ, CAN_REMOVE_AGENTS
from quorate.contracts.wire_models import (
    ROLE_LENGTH_MAX,
    AgentName,
    AgentRequest,
    PageQuery,
    Query,
    ReasonRequest,
    ResponseModel,
    TenantRequest,
    Time,
    optional,
    text_field,
)
from quorate.domain.identity.agent_departures import AgentActive, AgentHasKeys
from quorate.domain.identity.agents import ROLE_DEFAULT, ActingAsAnother, AgentNotFound
from quorate.domain.shared.quotas import QuotaExceeded

AgentStatus: TypeAlias = Literal["active", "inactive", "deregistered"]


class RegisterBody(TenantRequest):
    agent_name: AgentName | None = Field(
        default=None,
        description="Unique per tenant, case-insensitive. Required unless the key is an agent key.",
    )
    agent_role: Annotated[str, text_field(ROLE_LENGTH_MAX)] = ROLE_DEFAULT


class HeartbeatBody(AgentRequest):
    pass


class DeregisterBody(AgentRequest):
    incarnation: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Deregister only this registration of the agent, not a later one.",
    )
    only_if_idle: bool = Field(
        default=False, description="Deregister only an agent that holds no lease."
    )


class AgentsQuery(PageQuery):
    status: AgentStatus | None = Field(
        default=None, description="Default: active and inactive agents."
    )
    with_counts: bool = Field(
        default=True,
        description="`false` leaves the counts of each agent out. It is faster for agents that hold"
        " thousands of leases.",
    )


class AgentInfo(ResponseModel):
    """An agent. Without a further heartbeat it times out at ``activeUntil``.

    ``incarnation`` is the number of registrations under this name, from 1. The window of heartbeats
    is the one at the registration; agents of early versions have none. The response to a
    registration, and a list without counts, do not contain ``leasesHeld``, ``tasksClaimed`` and
    ``unreadMail``.
    """

    id: str
    tenant_id: str
    name: str = Field(alias="agentName")
    role: str = Field(alias="agentRole")
    last_heartbeat: Time
    registered_at: Time
    active_until: Time
    incarnation: int
    status: AgentStatus
    heartbeat_window_seconds: float | None = optional()
    leases_held: int | None = optional()
    tasks_claimed: int | None = optional()
    unread_mail: int | None = optional()


class HeartbeatInfo(ResponseModel):
    """``lastNotification``: sequence of the agent's latest notification, 0 if it has none."""

    ok: Literal[True] = True
    agent_id: str
    last_heartbeat: Time
    active_until: Time
    last_notification: int = 0


class DeregisteredInfo(ResponseModel):
    """``deregistered`` is false if a condition of the request kept the agent registered."""

    agent_id: str
    deregistered: bool


class RemovedInfo(ResponseModel):
    removed: Literal[True] = True


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
    while_paused=True,
)
DEREGISTER = Operation(
    method="POST",
    path="/v1/agent/deregister",
    name="deregister",
    summary="Deregister an agent",
    description=(
        "Its leases end, and it counts neither in electorates nor in quotas. It keeps its id, and "
        "can register again. A second deregistration succeeds."
    ),
    roles=CAN_ACT,
    body=DeregisterBody,
    query=Query,
    response=DeregisteredInfo,
    errors=(AgentNotFound, ActingAsAnother),
    command=True,
    unmetered=True,
    while_paused=True,
)
DEACTIVATE_AGENT = Operation(
    method="POST",
    path="/v1/agent/agents/{agent_id}/deactivate",
    name="deactivateAgent",
    summary="Mark an agent inactive",
    description=(
        "Its leases and claims end as after a missed heartbeat. Its next heartbeat or registration "
        "makes it active again. An agent that is not active stays as it is."
    ),
    roles=CAN_OPERATE,
    body=ReasonRequest,
    query=Query,
    response=AgentInfo,
    errors=(AgentNotFound,),
    command=True,
    unmetered=True,
)
LIST_AGENTS = Operation(
    method="GET",
    path="/v1/agent/agents",
    name="listAgents",
    summary="List agents",
    description=(
        "Active and inactive agents, each with its numbers of leases, of claimed tasks, and of "
        "unread messages. The `status` parameter "
        "selects agents by status."
    ),
    roles=CAN_READ,
    query=AgentsQuery,
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
REMOVE_AGENT = Operation(
    method="DELETE",
    path="/v1/agent/agents/{agent_id}",
    name="removeAgent",
    summary="Remove an agent",
    description=(
        "Only an agent that is not active and has no API key can be removed. Its config is removed "
        "too, its events remain. A later registration of the name creates a new agent."
    ),
    roles=CAN_REMOVE_AGENTS,
    query=Query,
    response=RemovedInfo,
    errors=(AgentNotFound, AgentActive, AgentHasKeys),
    command=True,
    unmetered=True,
)
OPERATIONS = (
    *(REGISTER, HEARTBEAT, DEREGISTER, DEACTIVATE_AGENT),
    *(LIST_AGENTS, GET_AGENT, REMOVE_AGENT),
)
