"""A faulty `quorate serve` that accepts a report from any agent while the task has some claim.

This program replaces the real service, to prove that the tests of tasks detect the fault.
"""

from quorate.cli.main import main
from quorate.domain.sessions import task_claims
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import TASKS, StaleFence
from quorate.domain.shared.state import TenantState


def held_task(state: TenantState, task_id: str, _worker: object, _fence: int) -> Task:
    task = state[TASKS][task_id]
    if task.claim is None:
        raise StaleFence(task_id)
    return task


if __name__ == "__main__":
    task_claims.held_task = held_task  # type: ignore[assignment]
    main()
