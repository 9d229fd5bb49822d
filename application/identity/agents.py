"""Registering, heartbeats, and who is there."""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.application.pagination import next_link
from quorate.contracts.problems import Problem
from quorate.contracts.requests import ByAgent, HeartbeatBody, PageQuery, Query, RegisterBody
from quorate.contracts.responses import (
    AgentAnswer,
    AgentListAnswer,
    HeartbeatAnswer,
    agent_answer,
    dump,
    heartbeat_answer,
)
from quorate.contracts.roles import ACTING, READING
from quorate.domain.identity.agents import Agent, AgentRef, Heard, Heartbeat, RegisterAgent
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.queries import AgentRow


def ref(body: ByAgent) -> AgentRef:
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
        return dump(agent_answer(principal.tenant, agent, agent.last_heartbeat))

    return await service.carry_out(call, command, render)


async def heartbeat(service: Service, call: Call) -> Reply:
    command = Heartbeat(caller=call.principal, agent=ref(call.body))
    return await service.carry_out(call, command, _render_heartbeat)


def _render_heartbeat(heard: Heard) -> bytes:
    return dump(heartbeat_answer(heard))


async def get_agent(service: Service, call: Call) -> Reply:
    tenant = call.principal.tenant
    seen = await service.reader.agent(tenant, call.path["agent_id"])
    if seen.found is None:
        raise Problem("agent_not_found", "No such agent.")
    answer = _listed(tenant, seen.found, seen.now)
    return Reply(body=dump(answer), sequence=seen.sequence)


async def list_agents(service: Service, call: Call) -> Reply:
    query: PageQuery = call.query
    tenant = call.principal.tenant
    seen = await service.reader.agents(tenant, query.after or "", query.limit)
    answer = [_listed(tenant, row, seen.now) for row in seen.found]
    links = next_link("/v1/agent/agents", query, [one["id"] for one in answer])
    return Reply(body=dump(answer), sequence=seen.sequence, headers=links)


def _listed(tenant: str, row: AgentRow, now: Timestamp) -> AgentListAnswer:
    return {**agent_answer(tenant, row.agent, now), "leasesHeld": row.leases_held}


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/agent/register",
        name="register",
        summary="Register an agent, or update it: the same name keeps its id",
        roles=ACTING,
        body=RegisterBody,
        query=Query,
        answer=AgentAnswer,
        problems=("quota_exceeded", "acting_as_another"),
        command=True,
        handler=register,
    ),
    Endpoint(
        method="POST",
        path="/v1/agent/coordination/heartbeat",
        name="heartbeat",
        summary="Say that an agent is alive",
        roles=ACTING,
        body=HeartbeatBody,
        query=Query,
        answer=HeartbeatAnswer,
        problems=("agent_not_found", "acting_as_another"),
        command=True,
        urgent=True,
        handler=heartbeat,
    ),
    Endpoint(
        method="GET",
        path="/v1/agent/agents",
        name="listAgents",
        summary="List the tenant's agents, active or not, with how many leases each holds",
        roles=READING,
        query=PageQuery,
        answer=list[AgentListAnswer],
        handler=list_agents,
    ),
    Endpoint(
        method="GET",
        path="/v1/agent/agents/{agent_id}",
        name="getAgent",
        summary="Look at one agent",
        roles=READING,
        query=Query,
        answer=AgentListAnswer,
        problems=("agent_not_found",),
        handler=get_agent,
    ),
)
