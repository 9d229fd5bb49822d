"""Submit a task: check what the caller asks for, and resolve it with the preset (``spawn_agent``).

* What the call gives has precedence over what the preset gives. The result is in the event, so a
  preset that changes later changes no task.
* A task that is submitted in the run of another one is nested in it, at most DEPTH_MAX deep. The
  service counts: the caller names the task that it works on, and must hold its claim.
* The open tasks of one spawner are limited (``open_tasks_per_agent``). The limit binds submissions:
  a dead letter is retried also above it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from quorate.domain.identity.agents import AGENTS, AgentRef, acting_actively, reads_of_agent
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import (
    ATTEMPTS_DEFAULT,
    PRESETS,
    REMOVED_PRESET,
    TIMEOUT_SECONDS_DEFAULT,
    TIMEOUT_SECONDS_MAX,
    Preset,
    Restrictions,
)
from quorate.domain.sessions.task_events import UNNAMED, TaskSubmitted
from quorate.domain.sessions.task_states import State, Task
from quorate.domain.sessions.tasks import RETENTION_SECONDS_DEFAULT, TASKS, StaleFence
from quorate.domain.sessions.tool_controls import NO_CONTROLS, ToolControls
from quorate.domain.shared import quotas
from quorate.domain.shared.aggregates import Reads
from quorate.domain.shared.contents import Content
from quorate.domain.shared.errors import Conflict, Invalid, NotFound
from quorate.domain.shared.records import record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp

DEPTH_MAX = 3
SPAWN_TOOL = "spawn_agent"

# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class SpawnPresetNotFound(NotFound):
    code, title = "spawn_preset_not_found", "The preset of the task does not exist"
    detail = "spawn preset '{preset}' not found in config.agents.presets"
    preset: str


@dataclass(eq=False)
class SpawnPresetsNotConfigured(NotFound):
    code, title = "spawn_presets_not_configured", "The tenant has no presets"
    detail = "spawn preset requested but agents presets are not configured"


@dataclass(eq=False)
class TaskNestingTooDeep(Conflict):
    code, title = "task_nesting_too_deep", "Tasks are nested too deeply"
    detail = "maximum sub-agent nesting depth ({depth_max}) exceeded"
    depth_max: int


@dataclass(eq=False)
class TaskTimeoutInvalid(Invalid):
    code, title = "task_timeout_invalid", "Invalid timeout of a task"
    detail = "timeout_seconds is a whole number from 1 to {seconds_max}"
    seconds_max: int


@dataclass(eq=False)
class TaskTextRequired(Invalid):
    code, title = "task_text_required", "A task needs a text"
    detail = "missing required parameter: task"


@dataclass(eq=False)
class SpawnedTaskFailed(Conflict):
    """The caller waited for a result, and there is none."""

    code, title = "spawned_task_failed", "The task failed or was cancelled"
    detail = "{cause}"
    task_id: str
    cause: str
    task_state: State


# -- The submission ----------------------------------------------------------


@record
class TaskRequest:
    """What a task is, but for its texts: ``spawn_agent`` and schedules make one of their input.

    ``preset_count`` is how many presets the tenant has. It tells a preset that is missing from
    presets that were never set up.
    """

    task_id: str
    preset: str | None = None
    model: str | None = None
    controls: ToolControls = NO_CONTROLS
    allow_tools: tuple[str, ...] | None = None
    deny_tools: tuple[str, ...] = ()
    delegate_only: bool | None = None
    timeout_seconds: int | None = None
    retention_seconds: int = RETENTION_SECONDS_DEFAULT
    preset_count: int | None = None

    def reads(self) -> Reads:
        preset = () if self.preset is None else PRESETS.by("id", self.preset)
        return (*preset, quotas.COUNTS)


def submit_task(
    state: TenantState,
    context: DecisionContext,
    request: TaskRequest,
    *,
    spawner_id: str,
    contents: Sequence[Content],
    parent: Task | None = None,
    sequence: int | None = None,
) -> list[TaskSubmitted]:
    """Return the event that submits a task; raise DomainError.

    It depends on the reads of the request, and on the count of the spawner's open tasks.
    The contents have the id of the task. ``sequence`` is that of the event, the first of its
    decision by default.
    """
    preset = _preset(state, request)
    timeout = request.timeout_seconds
    if timeout is None:
        timeout = TIMEOUT_SECONDS_DEFAULT if preset is None else preset.timeout_seconds
    if not 1 <= timeout <= TIMEOUT_SECONDS_MAX:
        raise TaskTimeoutInvalid(TIMEOUT_SECONDS_MAX)
    depth = 1 if parent is None else parent.depth + 1
    if depth > DEPTH_MAX:
        raise TaskNestingTooDeep(DEPTH_MAX)
    controls = request.controls.over(NO_CONTROLS if preset is None else preset.controls)
    fields = {} if preset is None else preset.fields
    delegates = request.delegate_only
    own = state.owned_count("open_tasks", spawner_id)
    quotas.check("open_tasks_per_agent", own, context.quotas)
    size = sum([len(one.data) for one in contents])
    quotas.check("mailbox_bytes", state.count("mailbox_bytes"), context.quotas, more=size)
    return [
        TaskSubmitted(
            task_id=request.task_id,
            sequence=context.sequence if sequence is None else sequence,
            spawner_id=spawner_id,
            preset=request.preset or UNNAMED,
            contents=tuple([one.ref for one in contents]),
            depth=depth,
            timeout_seconds=timeout,
            times_out_at=Timestamp(context.now + timeout * MILLISECONDS_PER_SECOND),
            max_attempts=ATTEMPTS_DEFAULT if preset is None else preset.max_attempts,
            retention_seconds=request.retention_seconds,
            tool_controls=controls.to_json(),
            delegate_only=bool(fields.get("delegate_only")) if delegates is None else delegates,
            allow_tools=request.allow_tools,
            deny_tools=request.deny_tools or None,
            model=request.model if request.model is not None else fields.get("model"),
            parent_id=None if parent is None else parent.id,
        )
    ]


def _preset(state: TenantState, request: TaskRequest) -> Preset | None:
    if request.preset is None:
        return None
    found = state[PRESETS].get(request.preset)
    if found is not None and found is not REMOVED_PRESET:
        return found
    if request.preset_count == 0:
        raise SpawnPresetsNotConfigured
    raise SpawnPresetNotFound(request.preset)


@record
class SpawnTask:
    """Submit a task for an agent. ``texts`` are its contents, under the id of the task.

    ``parent_id`` is the task in whose run the caller acts.
    """

    caller: Principal
    agent: AgentRef
    restrictions: Restrictions
    request: TaskRequest
    texts: tuple[Content, ...]
    parent_id: str | None = None

    def contents(self) -> Sequence[Content]:
        return self.texts

    def reads(self) -> Reads:
        parent = () if self.parent_id is None else TASKS.by("id", self.parent_id)
        return (
            *reads_of_agent(self.caller, self.agent, AGENTS.name, quotas.OPEN_TASK_COUNT),
            *self.restrictions.reads(),
            *self.request.reads(),
            *parent,
        )

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[TaskSubmitted]:
        agent = acting_actively(self.caller, self.agent, state, context)
        self.restrictions.access(state, agent.id).check_tool(SPAWN_TOOL)
        return submit_task(
            state,
            context,
            self.request,
            spawner_id=agent.id,
            contents=self.texts,
            parent=self._parent(state, agent.id),
        )

    def _parent(self, state: TenantState, agent_id: str) -> Task | None:
        if self.parent_id is None:
            return None
        parent = state[TASKS].get(self.parent_id)
        if parent is None or parent.worker_id != agent_id:
            raise StaleFence(self.parent_id)
        return parent

    def result(self, state: TenantState, _events: Sequence[TaskSubmitted]) -> Task:
        return state[TASKS][self.request.task_id]
