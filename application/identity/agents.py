"""Register, deregister, list and remove agents, and record heartbeats."""

from quorate.application.execution import Service
from quorate.application.named_tenant import tenant_of
from quorate.application.operations import Call, Reply, handles
from quorate.application.pagination import list_reply
from quorate.application.rendering import ARGUMENT, Json, constant, dump, renderer
from quorate.contracts.identity.agents import (
    DEACTIVATE_AGENT,
    DEREGISTER,
    GET_AGENT,
    HEARTBEAT,
    LIST_AGENTS,
    REGISTER,
    REMOVE_AGENT,
    AgentInfo,
    AgentsQuery,
    AgentStatus,
    DeregisterBody,
    DeregisteredInfo,
    HeartbeatInfo,
    RegisterBody,
    RemovedInfo,
)
from quorate.contracts.problems import Problem
from quorate.contracts.wire_models import AgentRequest
from quorate.domain.identity.agent_departures import (
    DeactivateAgent,
    DeregisterAgent,
    Deregistration,
    RemoveAgent,
)
from quorate.domain.identity.agents import (
    Agent,
    AgentNotFound,
    AgentRef,
    Heartbeat,
    HeartbeatResult,
    RegisterAgent,
)
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp
from quorate.projections.agent_counts import AgentRow


def _window_seconds(agent: Agent) -> float | None:
    window = agent.heartbeat_window
    return None if window is None else window / MILLISECONDS_PER_SECOND


render_agent = renderer(AgentInfo, Agent, status=ARGUMENT, heartbeat_window_seconds=_window_seconds)
_render_deregistered = renderer(DeregisteredInfo, Deregistration, deregistered="is_deregistered")
_REMOVED = constant(RemovedInfo)
render_heartbeat = renderer(
    HeartbeatInfo,
    HeartbeatResult,
    agent_id="agent.id",
    last_heartbeat="agent.last_heartbeat",
    active_until="agent.active_until",
)


def ref(body: AgentRequest) -> AgentRef:
    return AgentRef(id=body.agent_id, name=body.agent_name)


@handles(REGISTER)
async def register(service: Service, call: Call) -> Reply:
    body: RegisterBody = call.body
    principal = call.principal
    name = body.agent_name or principal.agent_name
    if name is None:
        raise Problem("invalid_request", "agentName: Field required")
    command = RegisterAgent(
        caller=principal,
        agent_name=name,
        agent_role=body.agent_role,
        new_agent_id=f"agent_{service.id()}",
    )

    def render(agent: Agent) -> bytes:
        status = "active" if agent.status == "active" else "inactive"
        return dump(render_agent(agent, tenant_id=principal.tenant, status=status))

    return await service.execute(call, command, render, grant_in=_activity)


@handles(HEARTBEAT)
async def heartbeat(service: Service, call: Call) -> Reply:
    command = Heartbeat(caller=call.principal, agent=ref(call.body))

    def render(result: HeartbeatResult) -> bytes:
        return dump(render_heartbeat(result))

    return await service.execute(call, command, render, grant_in=_activity)


def _activity(_response: bytes) -> bool:
    """Say that the stored response grants a time until which the agent is active."""
    return True


@handles(DEREGISTER)
async def deregister(service: Service, call: Call) -> Reply:
    body: DeregisterBody = call.body
    command = DeregisterAgent(
        caller=call.principal,
        agent=ref(body),
        incarnation=body.incarnation,
        only_if_idle=body.only_if_idle,
    )
    return await service.execute(call, command, lambda result: dump(_render_deregistered(result)))


@handles(DEACTIVATE_AGENT)
async def deactivate(service: Service, call: Call) -> Reply:
    tenant = tenant_of(call)
    command = DeactivateAgent(agent_id=call.path["agent_id"], detail=call.body.reason)

    def render(agent: Agent) -> bytes:
        status: AgentStatus = "deregistered" if agent.status == "deregistered" else "inactive"
        return dump(render_agent(agent, tenant_id=tenant, status=status))

    return await service.execute(call, command, render, tenant)


@handles(REMOVE_AGENT)
async def remove(service: Service, call: Call) -> Reply:
    command = RemoveAgent(agent_id=call.path["agent_id"])
    return await service.execute(call, command, lambda _: _REMOVED)


@handles(GET_AGENT)
async def get_agent(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    result = await service.reader.agent(tenant, call.path["agent_id"])
    if result.found is None:
        raise AgentNotFound
    response = _with_counts(tenant, result.found, result.now)
    return Reply(body=dump(response), sequence=result.sequence)


@handles(LIST_AGENTS)
async def list_agents(service: Service, call: Call) -> Reply:
    query: AgentsQuery = call.query
    tenant = call.principal.tenant
    return await list_reply(
        service,
        call,
        LIST_AGENTS.path,
        lambda after, limit, size: service.reader.agents(
            *(tenant, after, limit, query.status, size), with_counts=query.with_counts
        ),
        render=lambda row, now: _with_counts(tenant, row, now),
        cursor=lambda row: row.agent.id,
    )


def _with_counts(tenant: str, row: AgentRow, now: Timestamp) -> Json:
    status: AgentStatus = "active" if row.agent.is_active(now) else "inactive"
    if row.agent.status == "deregistered":
        status = "deregistered"
    return render_agent(
        row.agent,
        tenant_id=tenant,
        status=status,
        leases_held=row.leases_held,
        tasks_claimed=row.tasks_claimed,
        unread_mail=row.unread_mail,
    )
