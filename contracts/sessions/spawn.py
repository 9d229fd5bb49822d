"""The tools that hand work to the workers of a preset, and follow it: those of seed 003."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.sessions.task_models import TaskInfo
from quorate.contracts.sessions.tasks import TASK_BYTES_MAX
from quorate.contracts.sessions.tool_inputs import ToolInput, tool
from quorate.contracts.wire_models import Sequence, SnakeResponse, Time
from quorate.domain.identity.agents import AgentInactive
from quorate.domain.sessions.presets import NAMES_MAX, TEXT_LENGTH_MAX, TIMEOUT_SECONDS_MAX
from quorate.domain.sessions.task_states import OutwardStatus, State
from quorate.domain.sessions.task_submission import (
    SpawnedTaskFailed,
    SpawnPresetNotFound,
    SpawnPresetsNotConfigured,
    TaskNestingTooDeep,
    TaskTextRequired,
    TaskTimeoutInvalid,
)
from quorate.domain.sessions.tasks import TaskAccessDenied
from quorate.domain.sessions.tool_controls import (
    ACTIVE_TOOLS_MAX,
    TOOL_NAME_LENGTH_MAX,
    InvalidActiveTools,
    InvalidToolChoice,
)
from quorate.domain.shared.quotas import QuotaExceeded

SPAWN_BYTES_MAX = 2 * 1_024 * 1_024
LIST_LENGTH_DEFAULT, LIST_LENGTH_MAX = 20, 50
TASK_SHOWN_LENGTH = 500  # Of the text of a task, in lists.

ToolName = Annotated[str, Field(min_length=1, max_length=TOOL_NAME_LENGTH_MAX)]
ToolNames = Annotated[list[ToolName], Field(max_length=NAMES_MAX)]
ToolChoiceInput: TypeAlias = str | dict[str, Any]
TaskId = Annotated[str, Field(min_length=1, max_length=64)]


class SpawnInput(ToolInput):
    task: Annotated[str, Field(max_length=TASK_BYTES_MAX)] | None = Field(
        default=None, description="What is to be done. Required."
    )
    context: Annotated[str, Field(max_length=TASK_BYTES_MAX)] | None = None
    preset: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Whose workers do it."
    )
    model: Annotated[str, Field(max_length=TEXT_LENGTH_MAX)] | None = Field(
        default=None, description="Handed to the worker unchanged."
    )
    allow_tools: ToolNames | None = None
    deny_tools: ToolNames | None = None
    delegate_only: bool | None = Field(
        default=None, description="Whether the run may only delegate work."
    )
    nonblocking: bool = Field(
        default=False, description="Return the id of the task at once, and not its result."
    )
    active_tools: Annotated[list[ToolName], Field(max_length=ACTIVE_TOOLS_MAX)] | None = Field(
        default=None, description="The tools that the run sees. Default: those of the preset."
    )
    tool_choice: ToolChoiceInput | None = Field(
        default=None,
        description="`auto`, `any`, `none`, or `tool` with a name: as text or as an object.",
        examples=[{"type": "tool", "name": "classify_destination"}],
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=TIMEOUT_SECONDS_MAX)] | None = Field(
        default=None, description="How long the task may take. Default: that of the preset."
    )


class SpawnedInfo(SnakeResponse):
    """``text`` is the result; null while the task runs."""

    task_id: str
    status: OutwardStatus
    state: State
    started_at: Time
    model: str | None
    preset: str | None
    text: str | None
    iterations: int
    tool_calls_made: int


class TaskIdInput(ToolInput):
    task_id: TaskId


class SpawnListInput(ToolInput):
    status: State | Literal["running", "cancelled"] | None = None
    limit: Annotated[int, Field(ge=1, le=LIST_LENGTH_MAX)] = LIST_LENGTH_DEFAULT
    cursor: Sequence | None = Field(default=None, description="The `cursor` of the last page.")


class SpawnList(SnakeResponse):
    """The newest first. Long texts are cut, results left out. ``cursor`` is null at the end."""

    tasks: list[TaskInfo]
    count: int
    cursor: int | None


class CancelInfo(TaskInfo):
    """``cancelled`` is false for a task that had ended."""

    cancelled: bool


_OF_TASK = (TaskAccessDenied,)

SPAWN_AGENT = tool(
    "spawn_agent",
    "Hand a task to the workers of a preset",
    description="It waits for the result, unless `nonblocking` is true. A wait of more than ten "
    "minutes returns the task while it runs.",
    body=SpawnInput,
    response=SpawnedInfo,
    errors=(
        *(TaskTextRequired, SpawnPresetNotFound, SpawnPresetsNotConfigured, TaskNestingTooDeep),
        *(InvalidToolChoice, InvalidActiveTools, TaskTimeoutInvalid, SpawnedTaskFailed),
        *(QuotaExceeded, AgentInactive),
    ),
    body_bytes_max=SPAWN_BYTES_MAX,
)
SPAWN_STATUS = tool(
    "spawn_status",
    "Get the progress of a task",
    body=TaskIdInput,
    response=TaskInfo,
    errors=_OF_TASK,
    command=False,
)
SPAWN_RESULT = tool(
    "spawn_result",
    "Get the result of a task",
    description="It never waits: `text` is null while the task runs.",
    body=TaskIdInput,
    response=TaskInfo,
    errors=_OF_TASK,
    command=False,
)
SPAWN_LIST = tool(
    "spawn_list",
    "List the caller's own tasks",
    body=SpawnListInput,
    response=SpawnList,
    command=False,
)
CANCEL_SPAWN = tool(
    "cancel_spawn",
    "Cancel a task",
    description="The worker gets a notification, and a result that comes later is refused.",
    body=TaskIdInput,
    response=CancelInfo,
    errors=_OF_TASK,
    unmetered=True,
)
OPERATIONS: tuple[Operation[Any], ...] = (
    SPAWN_AGENT,
    SPAWN_STATUS,
    SPAWN_RESULT,
    SPAWN_LIST,
    CANCEL_SPAWN,
)
