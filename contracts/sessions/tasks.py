"""Work on tasks: claim one, report on it, and end it. Operators list and retry tasks."""

from typing import Annotated, Any, Literal

from pydantic import Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT, CAN_AUDIT, CAN_OPERATE, CAN_READ
from quorate.contracts.sessions.task_models import (
    ArtifactBody,
    ClaimInfo,
    TaskInfo,
    TaskStateInfo,
)
from quorate.contracts.wire_models import (
    PageQuery,
    Reason,
    Sequence,
    SnakeAgentQuery,
    SnakeAgentRequest,
    SnakeQuery,
    SnakeReasonRequest,
    SnakeRequest,
    Wait,
)
from quorate.domain.identity.agents import ActingAsAnother, AgentInactive, AgentNotFound
from quorate.domain.identity.principals import PRESET_NAME
from quorate.domain.sessions.presets import AgentRequired
from quorate.domain.sessions.task_claims import (
    CLAIM_SECONDS_DEFAULT,
    CLAIM_SECONDS_MAX,
    CLAIM_SECONDS_MIN,
    ERROR_LENGTH_MAX,
    PRESETS_PER_CLAIM_MAX,
    ClaimDenied,
    TooManyContents,
)
from quorate.domain.sessions.task_events import UNNAMED, InputKind
from quorate.domain.sessions.task_operators import TaskEnded
from quorate.domain.sessions.task_spawning import (
    TaskAlreadyAnswered,
    TaskInputNotFound,
    TaskNotADeadLetter,
)
from quorate.domain.sessions.tasks import StaleFence, TaskAccessDenied, TaskNotFound
from quorate.domain.shared.quotas import QuotaExceeded

TASKS = "/v1/tasks"
TASK = TASKS + "/{task_id}"

TASK_BYTES_MAX = 256 * 1_024  # Of the text and of the context of a task, in UTF-8.
RESULT_BYTES_MAX = 1_024 * 1_024
ARTIFACT_BYTES_MAX = 1_024 * 1_024
OUTPUT_BYTES_MAX = 64 * 1_024
QUESTION_BYTES_MAX = 64 * 1_024
MESSAGE_LENGTH_MAX = 500
NAME_LENGTH_MAX = 200
BODY_BYTES_MAX = 2 * 1_024 * 1_024  # A result or an artifact, as JSON.
COUNT_MAX = 1_000_000_000

Fence = Annotated[int, Field(ge=0, le=2**53 - 1)]
ClaimSeconds = Annotated[int, Field(ge=CLAIM_SECONDS_MIN, le=CLAIM_SECONDS_MAX)]
Count = Annotated[int, Field(ge=0, le=COUNT_MAX)]
WorkPreset = Annotated[
    str, Field(pattern=f"^({PRESET_NAME.pattern}|{UNNAMED})$", examples=["destination-router"])
]
_FENCE = "The `fence` of the claim."
_CLAIM_SECONDS = "How long the claim lasts unless it is renewed."


# -- Requests ----------------------------------------------------------------


class ClaimBody(SnakeAgentRequest):
    presets: Annotated[list[WorkPreset], Field(max_length=PRESETS_PER_CLAIM_MAX)] = Field(
        default=[UNNAMED],
        description=f"The oldest task of these; `{UNNAMED}` is for tasks without a preset.",
    )
    wait: Wait = Field(default=0.0, description="Seconds to wait for a task while there is none.")
    claim_seconds: ClaimSeconds = Field(default=CLAIM_SECONDS_DEFAULT, description=_CLAIM_SECONDS)


class HeldBody(SnakeAgentRequest):
    fence: Fence = Field(description=_FENCE)


class RenewBody(HeldBody):
    claim_seconds: ClaimSeconds = Field(default=CLAIM_SECONDS_DEFAULT, description=_CLAIM_SECONDS)


class ProgressBody(HeldBody):
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    message: Annotated[str, Field(max_length=MESSAGE_LENGTH_MAX)] | None = Field(
        default=None, description="Part of the log, also after the task is erased."
    )
    output: Annotated[str, Field(min_length=1, max_length=OUTPUT_BYTES_MAX)] | None = Field(
        default=None, description="A part of the result that is ready."
    )
    iterations: Count | None = None
    tool_calls_made: Count | None = None


class ArtifactRequest(HeldBody):
    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
    content_type: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)] = "text/plain"
    text: Annotated[str, Field(max_length=ARTIFACT_BYTES_MAX)] | None = None
    data: Annotated[str, Field(max_length=BODY_BYTES_MAX)] | None = Field(
        default=None, description="The body in base64, instead of `text`."
    )


class InputBody(HeldBody):
    text: Annotated[str, Field(min_length=1, max_length=QUESTION_BYTES_MAX)]
    kind: InputKind = "input"


class AnswerBody(SnakeAgentRequest):
    input_id: Annotated[str, Field(min_length=1, max_length=64)]
    text: Annotated[str, Field(max_length=QUESTION_BYTES_MAX)]


class CompleteBody(HeldBody):
    text: Annotated[str, Field(max_length=RESULT_BYTES_MAX)]
    iterations: Count | None = None
    tool_calls_made: Count | None = None


class FailBody(HeldBody):
    error: Annotated[str, Field(min_length=1, max_length=ERROR_LENGTH_MAX)]
    outcome: Literal["failed", "rejected", "retry"] = Field(
        default="failed",
        description="`rejected`: the worker does not do such work. `retry`: another attempt may "
        "succeed.",
    )


class RetryBody(SnakeRequest):
    reason: Reason | None = None


class TaskQuery(SnakeAgentQuery):
    wait: Wait = Field(default=0.0, description="Seconds to wait for a later version.")
    after: Sequence | None = Field(default=None, description="The `version` that is known.")


TaskSelection = Literal["dead", "open", "submitted", "working", "input_required", "ended"]


class TasksQuery(SnakeQuery, PageQuery):
    model_config = SnakeQuery.model_config

    state: TaskSelection = Field(
        default="dead",
        description="`dead`: the attempts are used up. `open`: `submitted`, `working` or "
        "`input_required`, which includes `auth_required`. `ended`: with any result.",
    )


# -- Operations --------------------------------------------------------------

_AGENT_ERRORS = (AgentNotFound, AgentInactive, ActingAsAnother, AgentRequired)
_HELD_ERRORS = (AgentNotFound, ActingAsAnother, AgentRequired, TaskNotFound, StaleFence)

CLAIM_TASK = Operation(
    method="POST",
    path=TASKS + "/claim",
    name="claimTask",
    summary="Claim the oldest task of some presets",
    description="Any agent may, unless its key is bound to another preset.",
    roles=CAN_ACT,
    body=ClaimBody,
    query=SnakeQuery,
    response=ClaimInfo,
    errors=(*_AGENT_ERRORS, ClaimDenied),
    command=True,
    hot=True,
)
GET_TASK = Operation(
    method="GET",
    path=TASK,
    name="getTask",
    summary="Get a task",
    description="For the agent that submitted it, and for the worker that has it.",
    roles=CAN_READ,
    query=TaskQuery,
    response=TaskInfo,
    errors=(AgentNotFound, ActingAsAnother, TaskNotFound, TaskAccessDenied),
)


def _report(
    action: str,
    name: str,
    summary: str,
    body: type[HeldBody],
    **more: Any,  # noqa: ANN401
) -> Operation[TaskStateInfo]:
    errors = (*_HELD_ERRORS, *more.pop("errors", ()))
    return Operation(
        method="POST",
        path=f"{TASK}/{action}",
        name=name,
        summary=summary,
        roles=CAN_ACT,
        body=body,
        query=SnakeQuery,
        response=TaskStateInfo,
        errors=errors,
        command=True,
        **more,
    )


_WITH_CONTENTS = (QuotaExceeded, TooManyContents)
RENEW_TASK = _report("renew", "renewTask", "Renew a claim", RenewBody, urgent=True, hot=True)
REPORT_PROGRESS = _report(
    "progress",
    "reportProgress",
    "Report progress and partial output",
    ProgressBody,
    errors=_WITH_CONTENTS,
    body_bytes_max=BODY_BYTES_MAX,
)
ADD_ARTIFACT = _report(
    "artifacts",
    "addArtifact",
    "Add a file to a task",
    ArtifactRequest,
    errors=_WITH_CONTENTS,
    body_bytes_max=BODY_BYTES_MAX,
)
REQUEST_INPUT = _report(
    "input",
    "requestInput",
    "Ask the agent that submitted the task",
    InputBody,
    errors=_WITH_CONTENTS,
    body_bytes_max=BODY_BYTES_MAX,
)
COMPLETE_TASK = _report(
    "complete",
    "completeTask",
    "Complete a task",
    CompleteBody,
    errors=(QuotaExceeded,),
    body_bytes_max=BODY_BYTES_MAX,
    hot=True,
)
FAIL_TASK = _report("fail", "failTask", "End a task without a result", FailBody, unmetered=True)
RELEASE_TASK = _report(
    "release",
    "releaseTask",
    "Give a task back",
    HeldBody,
    description="It is offered again at once, unless this was its last attempt.",
    unmetered=True,
    while_paused=True,
)
ANSWER_TASK = Operation(
    method="POST",
    path=TASK + "/answer",
    name="answerTask",
    summary="Answer a question of the worker",
    roles=CAN_ACT,
    body=AnswerBody,
    query=SnakeQuery,
    response=TaskStateInfo,
    errors=(
        *(AgentNotFound, ActingAsAnother, TaskNotFound, TaskAccessDenied, TaskInputNotFound),
        TaskAlreadyAnswered,
        *_WITH_CONTENTS,
    ),
    command=True,
    body_bytes_max=BODY_BYTES_MAX,
)
GET_ARTIFACT = Operation(
    method="GET",
    path=TASK + "/artifacts/{artifact_id}",
    name="getArtifact",
    summary="Get a file or a partial output of a task",
    roles=CAN_READ,
    query=SnakeAgentQuery,
    response=ArtifactBody,
    errors=(AgentNotFound, ActingAsAnother, TaskNotFound, TaskAccessDenied),
)
LIST_DEAD_TASKS = Operation(
    method="GET",
    path=TASKS,
    name="listDeadTasks",
    summary="List dead letters or the tasks of another state",
    description="The oldest first; those that have ended, the newest first. `task` is the "
    "beginning of its text; other texts are left out.",
    roles=CAN_AUDIT,
    query=TasksQuery,
    response=list[TaskInfo],
)
RETRY_TASK = Operation(
    method="POST",
    path=TASK + "/retry",
    name="retryTask",
    summary="Offer a dead letter again",
    description="It has all its attempts and all its time again.",
    roles=CAN_OPERATE,
    body=RetryBody,
    body_optional=True,
    query=SnakeQuery,
    response=TaskStateInfo,
    errors=(TaskNotFound, TaskNotADeadLetter),
    command=True,
)
CANCEL_TASK = Operation(
    method="POST",
    path=TASK + "/cancel",
    name="cancelTask",
    summary="Cancel a task of any agent",
    description="The agent that submitted it and its worker are notified, and tasks nested in it "
    "end with it. A task that has ended stays as it is.",
    roles=CAN_OPERATE,
    body=SnakeReasonRequest,
    query=SnakeQuery,
    response=TaskStateInfo,
    errors=(TaskNotFound,),
    command=True,
    unmetered=True,
)
REQUEUE_TASK = Operation(
    method="POST",
    path=TASK + "/requeue",
    name="requeueTask",
    summary="Take a task from its worker and offer it again",
    description="The worker loses its claim and is notified; the attempt does not count. A task "
    "that no worker has stays as it is.",
    roles=CAN_OPERATE,
    body=SnakeReasonRequest,
    query=SnakeQuery,
    response=TaskStateInfo,
    errors=(TaskNotFound, TaskEnded),
    command=True,
)
OPERATIONS = (
    CLAIM_TASK,
    RENEW_TASK,
    REPORT_PROGRESS,
    ADD_ARTIFACT,
    REQUEST_INPUT,
    COMPLETE_TASK,
    FAIL_TASK,
    RELEASE_TASK,
    ANSWER_TASK,
    GET_TASK,
    GET_ARTIFACT,
    LIST_DEAD_TASKS,
    RETRY_TASK,
    CANCEL_TASK,
    REQUEUE_TASK,
)
