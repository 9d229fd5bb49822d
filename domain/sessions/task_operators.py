"""Commands of operators on any task: cancel it, or take it from its worker and offer it again.

* Cancelling a task that has ended succeeds, and records nothing.
* A requeued task is offered at once. The attempt that ends with it does not count, so the task is
  offered also after its last one. Its worker has lost the claim, and is notified.
* Requeuing a task that no worker has succeeds, and records nothing: it is in the queue.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.domain.sessions.task_events import Event, TaskCanceled, TaskClaimEnded
from quorate.domain.sessions.task_states import State, Task
from quorate.domain.sessions.tasks import TASKS, TaskNotFound, canceled, of_claim, offered
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.errors import Conflict
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState


@dataclass(eq=False)
class TaskEnded(Conflict):
    """A task that has ended is in no queue. A dead letter can be retried."""

    code, title = "task_ended", "The task has ended"
    reason = "its state is {task_state}"
    task_state: State


class _OperatorCommand:
    """A command on one task of the tenant, of any agent."""

    __slots__ = ()
    task_id: str

    def reads(self) -> Reads:
        return TASKS.by("id", self.task_id)

    def _task(self, state: TenantState) -> Task:
        task = state[TASKS].get(self.task_id)
        if task is None or task.is_erased:
            raise TaskNotFound(self.task_id)
        return task

    def result(self, state: TenantState, _events: Sequence[Event]) -> Task:
        return state[TASKS][self.task_id]


@record
class CancelAnyTask(_OperatorCommand):
    task_id: str
    detail: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[TaskCanceled]:
        task = self._task(state)
        return [] if task.has_ended else [canceled(task, detail=self.detail)]


@record
class RequeueTask(_OperatorCommand):
    task_id: str
    detail: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        task = self._task(state)
        if task.has_ended:
            raise TaskEnded(task.state)
        if task.claim is None:
            return []
        attempts = task.attempts - 1
        ended = TaskClaimEnded(
            **of_claim(task), reason="operator", attempts=attempts, detail=self.detail
        )
        return [ended, offered(changed(task, attempts=attempts))]


TASK_OPERATOR_COMMANDS = (CancelAnyTask, RequeueTask)
