"""Commands of the agent that submitted a task: cancel it, answer its questions; and of operators.

* Cancelling a task that has ended succeeds, and records nothing.
* An operator retries a dead letter: it begins again, with all its attempts and all its time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.domain.identity.agents import AGENTS, AgentRef, acting, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.task_claims import check_contents
from quorate.domain.sessions.task_events import (
    Event,
    TaskInputAnswered,
    TaskRetried,
)
from quorate.domain.sessions.task_states import State, Task
from quorate.domain.sessions.task_submission import SpawnTask
from quorate.domain.sessions.tasks import (
    TASKS,
    TaskAccessDenied,
    TaskNotFound,
    canceled,
    of_claim,
    offered,
)
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.errors import Conflict, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp

CANCEL_TOOL = "cancel_spawn"


@dataclass(eq=False)
class TaskInputNotFound(NotFound):
    code, title = "task_input_not_found", "The task waits for no such answer"


@dataclass(eq=False)
class TaskAlreadyAnswered(Conflict):
    """The question was answered, or its worker has the task no longer."""

    code, title = "task_already_answered", "The task does not wait for an answer"


@dataclass(eq=False)
class TaskNotADeadLetter(Conflict):
    code, title = "task_not_a_dead_letter", "The task is not a dead letter"
    task_state: State


def check_spawner(task: Task, agent_id: str | None) -> None:
    """Raise TaskAccessDenied; a key of the tenant that names no agent may act on all tasks."""
    if agent_id is not None and task.spawner_id != agent_id:
        raise TaskAccessDenied


class SpawnerCommand:
    """A command on a task of the caller's own."""

    __slots__ = ()
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    task_id: str

    def reads(self) -> Reads:
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name),
            *self.restrictions.reads(),
            *TASKS.by("id", self.task_id),
            quotas.COUNTS,
        )

    def _own(self, state: TenantState, tool: str | None = None) -> Task:
        names_agent = self.caller.role == "agent" or self.agent != AgentRef()
        agent_id = acting(self.caller, self.agent, state).id if names_agent else None
        if tool is not None:
            self.restrictions.access(state, agent_id).check_tool(tool)
        task = state[TASKS].get(self.task_id)
        if task is None or task.is_erased:
            raise TaskNotFound(self.task_id)
        check_spawner(task, agent_id)
        return task

    def result(self, state: TenantState, events: Sequence[Event]) -> tuple[Task, bool]:
        """Return the task, and whether the command changed it."""
        return state[TASKS][self.task_id], bool(events)


@record
class CancelTask(SpawnerCommand):
    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    task_id: str

    def decide(self, state: TenantState, _context: DecisionContext) -> Sequence[Event]:
        task = self._own(state, CANCEL_TOOL)
        if task.has_ended:
            return []
        return [canceled(task)]


@record
class AnswerInput(SpawnerCommand):
    """Answer a question of the worker that has the task."""

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    task_id: str
    input_id: str
    text: tuple[Content, ...]

    def contents(self) -> Sequence[Content]:
        return self.text

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task = self._own(state)
        asked = next((one for one in task.inputs if one.id == self.input_id), None)
        if asked is None:
            raise TaskInputNotFound
        if task.claim is None or asked.answer_id is not None:
            raise TaskAlreadyAnswered
        check_contents(state, context, task, self.text)
        return [
            TaskInputAnswered(
                **of_claim(task),
                content_id=self.text[0].id,
                contents=tuple([one.ref for one in self.text]),
                input_id=asked.id,
            )
        ]


@record
class RetryTask:
    """Offer a dead letter again."""

    caller: Principal
    task_id: str
    detail: str | None = None

    def reads(self) -> Reads:
        return TASKS.by("id", self.task_id)

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        task = state[TASKS].get(self.task_id)
        if task is None or task.is_erased:
            raise TaskNotFound(self.task_id)
        if not task.is_dead_letter:
            raise TaskNotADeadLetter(task.state)
        until = Timestamp(context.now + task.timeout_seconds * MILLISECONDS_PER_SECOND)
        retried = TaskRetried(task_id=task.id, times_out_at=until, detail=self.detail)
        return [retried, offered(task)]

    def result(self, state: TenantState, _events: Sequence[Event]) -> Task:
        return state[TASKS][self.task_id]


SPAWNING_COMMANDS = (SpawnTask, CancelTask, AnswerInput, RetryTask)
