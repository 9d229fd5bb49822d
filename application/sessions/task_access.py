"""Who calls an operation on a task, and which tasks it may see."""

from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.domain.identity.agents import AgentNotFound, AgentRef, resolve_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import AgentRequired
from quorate.domain.sessions.task_spawning import check_spawner
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import TaskNotFound
from quorate.projections.snapshots import QueryResult


def worker_ref(call: Call) -> AgentRef:
    """Return the agent that works; raise AgentRequired if a key of the tenant names none."""
    principal: Principal = call.principal
    ref = AgentRef(id=call.body.agent_id, name=call.body.agent_name)
    if principal.role != "agent" and ref == AgentRef():
        raise AgentRequired
    return resolve_agent(principal, ref)


async def reader_id(service: Service, call: Call) -> str | None:
    """Return the id of the agent that reads; None for a key that reads for its tenant."""
    principal: Principal = call.principal
    ref = resolve_agent(principal, AgentRef(id=call.query.agent_id, name=call.query.agent_name))
    if principal.role == "agent":
        return ref.id
    if ref == AgentRef():
        return None
    found = await service.notifications.agent_id(principal.tenant, ref)
    if found is None:
        raise AgentNotFound
    return found


async def find_task(service: Service, tenant: str, task_id: str) -> QueryResult[Task]:
    """Return a task; raise TaskNotFound."""
    result = await service.sessions.tasks.one(tenant, task_id)
    if result.found is None:
        raise TaskNotFound(task_id)
    return QueryResult(found=result.found, sequence=result.sequence, now=result.now)


def check_reader(task: Task, agent_id: str | None) -> None:
    """Raise TaskAccessDenied unless it is the agent's own task, or one that it works on."""
    if agent_id is None or task.worker_id != agent_id:
        check_spawner(task, agent_id)
