"""What the reads of tasks load: a second definition, written without the read models."""

from collections.abc import Iterable

from quorate.domain.identity.agents import AGENTS, Agent
from quorate.domain.sessions.task_claims import CANDIDATES_MAX
from quorate.domain.sessions.tasks import TASKS
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp

Keys = dict[str, list[tuple[str, ...]]]


def put_tasks(  # noqa: PLR0917 - as the reads of a scenario.
    part: TenantState,
    complete: TenantState,
    keys: Keys,
    found: list[Agent],
    ending: Iterable[str],
    now: Timestamp,
) -> None:
    """Put what is read of tasks into ``part``; add the workers of these tasks to ``found``.

    ``ending`` are agents that a command may end: what they work on is loaded with their leases.
    """
    tasks = complete[TASKS]
    for (preset,) in keys.pop("task.offered", []):
        offered = [one for one in tasks.values() if one.is_offered and one.preset == preset]
        for task in sorted(offered, key=lambda one: one.sequence)[:CANDIDATES_MAX]:
            part[TASKS].put(task.id, task)
    for (task_id,) in keys.pop("task.id", []):
        if (known := tasks.get(task_id)) is not None:
            part[TASKS].put(task_id, known)
            if known.worker_id is not None:
                found.append(complete[AGENTS][known.worker_id])
    overdue = [agent.id for agent in found if agent.is_overdue(now)]
    for agent_id in (*overdue, *ending):
        for task in tasks.owned_by(agent_id):
            part[TASKS].put(task.id, task)
