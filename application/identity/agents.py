"""Register agents, record heartbeats, and list agents."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.application.pagination import next_link
from quorate.contracts.problems import Problem
from quorate.contracts.requests import AgentRequest, HeartbeatBody, PageQuery, Query, RegisterBody
from quorate.contracts.responses import (
    AgentListResponse,
    AgentResponse,
    HeartbeatResponse,
    agent_response,
    dump,
    heartbeat_response,
)
from quorate.contracts.roles import CAN_ACT, CAN_READ
from quorate.domain.identity.agents import (
    Agent,
    AgentRef,
    Heartbeat,
    HeartbeatResult,
    RegisterAgent,
)
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.queries import AgentRow


def ref(body: AgentRequest) -> AgentRef:
    return AgentRef(id=body.agent_id, name=body.agent_name)


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
        return dump(agent_response(principal.tenant, agent, agent.last_heartbeat))

    return await service.execute(call, command, render)


async def heartbeat(service: Service, call: Call) -> Reply:
    command = Heartbeat(caller=call.principal, agent=ref(call.body))
    return await service.execute(call, command, _render_heartbeat)


def _render_heartbeat(result: HeartbeatResult) -> bytes:
    return dump(heartbeat_response(result))


async def get_agent(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    result = await service.reader.agent(tenant, call.path["agent_id"])
    if result.found is None:
        raise Problem("agent_not_found", "Agent not found.")
    response = _list_item(tenant, result.found, result.now)
    return Reply(body=dump(response), sequence=result.sequence)


async def list_agents(service: Service, call: Call) -> Reply:
    query: PageQuery = call.query
    tenant = call.principal.tenant
    result = await service.reader.agents(tenant, query.after or "", query.limit)
    response = [_list_item(tenant, row, result.now) for row in result.found]
    links = next_link("/v1/agent/agents", query, [one["id"] for one in response])
    return Reply(body=dump(response), sequence=result.sequence, headers=links)


def _list_item(tenant: str, row: AgentRow, now: Timestamp) -> AgentListResponse:
    return {**agent_response(tenant, row.agent, now), "leasesHeld": row.leases_held}


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/agent/register",
        name="register",
        summary="Register an agent",
        description="Registering an existing name updates the agent; it keeps its id.",
        roles=CAN_ACT,
        body=RegisterBody,
        query=Query,
        response=AgentResponse,
        problems=("quota_exceeded", "acting_as_another"),
        command=True,
        handler=register,
    ),
    Endpoint(
        method="POST",
        path="/v1/agent/coordination/heartbeat",
        name="heartbeat",
        summary="Send a heartbeat",
        description="A heartbeat extends the time until which the agent is active.",
        roles=CAN_ACT,
        body=HeartbeatBody,
        query=Query,
        response=HeartbeatResponse,
        problems=("agent_not_found", "acting_as_another"),
        command=True,
        urgent=True,
        handler=heartbeat,
    ),
    Endpoint(
        method="GET",
        path="/v1/agent/agents",
        name="listAgents",
        summary="List agents",
        description="Active and inactive agents, each with its number of leases.",
        roles=CAN_READ,
        query=PageQuery,
        response=list[AgentListResponse],
        handler=list_agents,
    ),
    Endpoint(
        method="GET",
        path="/v1/agent/agents/{agent_id}",
        name="getAgent",
        summary="Get an agent",
        roles=CAN_READ,
        query=Query,
        response=AgentListResponse,
        problems=("agent_not_found",),
        handler=get_agent,
    ),
)
