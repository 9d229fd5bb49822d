"""Turns of agents that occur at times: the tool `schedule`, in one tool with an `action`.

Operators list, pause and resume the schedules of all agents.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_AUDIT, CAN_OPERATE
from quorate.contracts.sessions.tool_inputs import SessionKey, ToolInput, tool
from quorate.contracts.wire_models import (
    PageLength,
    PageQuery,
    SnakeQuery,
    SnakeReasonRequest,
    SnakeRequest,
    SnakeResponse,
    Time,
)
from quorate.domain.identity.principals import PRESET_NAME
from quorate.domain.sessions.parameters import MissingParameter
from quorate.domain.sessions.policies import SessionAccessDenied, SessionSendDenied
from quorate.domain.sessions.schedule_times import ScheduleInvalid
from quorate.domain.sessions.schedules import (
    SCHEDULE_MESSAGE_LENGTH_MAX,
    SCHEDULE_NAME_LENGTH_MAX,
    Missed,
    ScheduleAgentRemoved,
    ScheduleNotFound,
    ScheduleStatus,
    TooManySchedules,
    UnknownScheduleAction,
)
from quorate.domain.sessions.session_errors import SessionNotFound
from quorate.domain.sessions.session_messages import SessionBodyTooLarge
from quorate.domain.sessions.task_submission import SpawnPresetNotFound
from quorate.domain.sessions.tool_controls import InvalidActiveTools, InvalidToolChoice
from quorate.domain.shared.quotas import QuotaExceeded

SCHEDULES_LISTED_MAX = 100
SCHEDULE_PATH = "/v1/schedules/{schedule_id}"


class AgentTurn(SnakeRequest):
    """What an occurrence sends: a message, and the tool controls of the run."""

    kind: Annotated[str, Field(max_length=32, examples=["agentTurn"])]
    message: Annotated[
        str,
        Field(
            min_length=1,
            max_length=SCHEDULE_MESSAGE_LENGTH_MAX,
            examples=["Generate the report and send it as a document."],
        ),
    ]
    active_tools: list[str] | None = None
    tool_choice: dict[str, Any] | str | None = None


class ScheduleInput(ToolInput):
    """`schedule` has `cron` and `timezone`, or `every_seconds`, or `at`.

    With neither `preset` nor `session_key`, the turn goes to the main session of the agent.
    """

    action: Annotated[str, Field(max_length=32, examples=["list"])] = Field(
        description="create, list, get, pause, resume, delete or run_now."
    )
    id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=SCHEDULE_NAME_LENGTH_MAX)] | None = None
    schedule: dict[str, Any] | None = None
    payload: AgentTurn | None = None
    preset: Annotated[str, Field(pattern=f"^{PRESET_NAME.pattern}$")] | None = None
    session_key: SessionKey | None = None
    missed: Missed = Field(
        default="one", description="What happens with occurrences that an outage delayed."
    )
    limit: PageLength = SCHEDULES_LISTED_MAX
    after: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="`next` of the previous page."
    )


class SchedulesQuery(SnakeQuery, PageQuery):
    model_config = SnakeQuery.model_config


class ListedSchedule(SnakeResponse):
    """A schedule. A `paused` one says why: `requested`, `operator`, or the code of a problem."""

    id: str
    name: str | None
    agent_id: str
    schedule: dict[str, Any]
    preset: str | None
    session_key: str | None
    missed: Missed
    status: ScheduleStatus
    paused_reason: str | None
    next_at: Time | None
    last_at: Time | None
    fired_count: int
    created_at: Time


class ScheduleInfo(ListedSchedule):
    """A schedule with what it sends."""

    payload: dict[str, Any]


class ScheduleStateInfo(SnakeResponse):
    """The state of a schedule, without its message."""

    id: str
    agent_id: str
    status: ScheduleStatus
    paused_reason: str | None
    next_at: Time | None


class ScheduleResult(SnakeResponse):
    """`list` answers `schedules`, `count` and `next`; `delete` answers `deleted`."""

    ok: bool
    schedule: ScheduleInfo | None = None
    schedules: list[ScheduleInfo] | None = None
    count: int | None = None
    next: str | None = None
    deleted: Literal[True] | None = None


SCHEDULE = tool(
    "schedule",
    "Schedule turns of an agent",
    description="Each occurrence sends a message to a session, or submits a task for a preset, "
    "once.",
    body=ScheduleInput,
    response=ScheduleResult,
    errors=(
        *(UnknownScheduleAction, MissingParameter, ScheduleInvalid, ScheduleNotFound),
        *(TooManySchedules, ScheduleAgentRemoved, InvalidActiveTools, InvalidToolChoice),
        *(SessionAccessDenied, SessionSendDenied, SessionNotFound, SpawnPresetNotFound),
        *(SessionBodyTooLarge, QuotaExceeded),
    ),
)
PAUSE_SCHEDULE = Operation(
    method="POST",
    path=SCHEDULE_PATH + "/pause",
    name="pauseSchedule",
    summary="Pause a schedule of any agent",
    description="It does not occur until it is resumed, by an operator or by its agent. A schedule "
    "that is not active stays as it is.",
    roles=CAN_OPERATE,
    body=SnakeReasonRequest,
    query=SnakeQuery,
    response=ScheduleStateInfo,
    errors=(ScheduleNotFound,),
    command=True,
    unmetered=True,
)
RESUME_SCHEDULE = Operation(
    method="POST",
    path=SCHEDULE_PATH + "/resume",
    name="resumeSchedule",
    summary="Resume a paused schedule of any agent",
    description="It continues with the next occurrence from now on. A schedule that is not paused "
    "stays as it is.",
    roles=CAN_OPERATE,
    body=SnakeReasonRequest,
    query=SnakeQuery,
    response=ScheduleStateInfo,
    errors=(ScheduleNotFound,),
    command=True,
)
LIST_SCHEDULES = Operation(
    method="GET",
    path="/v1/schedules",
    name="listSchedules",
    summary="List the schedules of all agents",
    description="In the order of their creation. Their messages are left out.",
    roles=CAN_AUDIT,
    query=SchedulesQuery,
    response=list[ListedSchedule],
)
OPERATIONS = (SCHEDULE, LIST_SCHEDULES, PAUSE_SCHEDULE, RESUME_SCHEDULE)
