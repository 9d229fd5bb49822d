"""Nested tasks end with the task in whose run they were submitted, unless it completes.

* The end of a task records nothing of its nested tasks: it would have to load them. The leader
  submits this command for them afterwards, some at a time.
* A canceled task ends its own nested tasks in the same way, so the end passes down all levels.
* A task that has ended gets no further nested tasks: a submission needs its claim.
"""

from collections.abc import Sequence

from quorate.domain.sessions.task_events import TaskCanceled
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import TASKS, canceled
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState

NESTED_PER_COMMAND_MAX = 100


@record
class CancelNestedTasks:
    """Cancel these tasks, as far as they are open and their parent has ended without a result."""

    parent_id: str
    task_ids: tuple[str, ...]

    def reads(self) -> Reads:
        return tuple([read for id_ in (self.parent_id, *self.task_ids) for read in _read(id_)])

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[TaskCanceled]:
        assert len(self.task_ids) <= NESTED_PER_COMMAND_MAX
        parent = state[TASKS].get(self.parent_id)
        if parent is None or not parent.ends_nested_tasks:
            return []
        return [
            canceled(task, parent.id)
            for id_ in self.task_ids
            if (task := state[TASKS].get(id_)) is not None and self._is_open(task)
        ]

    def _is_open(self, task: Task) -> bool:
        return task.parent_id == self.parent_id and not task.has_ended

    def result(self, _state: TenantState, events: Sequence[TaskCanceled]) -> int:
        return len(events)


def _read(task_id: str) -> Reads:
    return TASKS.by("id", task_id)
