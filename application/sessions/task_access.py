"""Who calls an operation on a task, and which tasks it may see."""

from quorate.application.acting_agents import acting_agent
from quorate.application.execution import Service
from quorate.application.operations import Call
from quorate.domain.identity.agents import AgentRef
from quorate.domain.sessions.presets import AgentRequired
from quorate.domain.sessions.task_spawning import check_spawner
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import TaskNotFound
from quorate.projections.snapshots import QueryResult


def worker_ref(call: Call) -> AgentRef:
    """Return the agent that works; raise AgentRequired if a key of the tenant names none."""
    ref = acting_agent(call)
    if ref is None:
        raise AgentRequired
    return ref


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
