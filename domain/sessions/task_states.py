"""The state of a task: what is known of it, and how its events change it."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, assert_never, get_args

from quorate.domain.sessions.policies import Policy, ToolRule
from quorate.domain.sessions.task_events import (
    Event,
    InputKind,
    TaskArtifactAdded,
    TaskCanceled,
    TaskClaimed,
    TaskClaimEnded,
    TaskClaimRenewed,
    TaskCompleted,
    TaskContentErased,
    TaskErased,
    TaskFailed,
    TaskInputAnswered,
    TaskInputRequested,
    TaskOffered,
    TaskProgressed,
    TaskRetried,
    TaskSubmitted,
)
from quorate.domain.sessions.tool_controls import parse_tool_controls
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp

# What a task may use that only delegates: the list of the original.
DELEGATE_TOOLS = (
    *("spawn_agent", "spawn_status", "spawn_result", "spawn_list", "cancel_spawn"),
    *("sessions_list", "sessions_history", "sessions_search", "sessions_send", "task_list"),
)
State: TypeAlias = Literal[
    "submitted",
    "working",
    "input_required",
    "auth_required",
    "completed",
    "failed",
    "canceled",
    "rejected",
]
STATES: tuple[State, ...] = get_args(State)
OutwardStatus: TypeAlias = Literal["running", "completed", "failed", "cancelled"]
OUTWARD: Mapping[State, OutwardStatus] = {
    "submitted": "running",
    "working": "running",
    "input_required": "running",
    "auth_required": "running",
    "completed": "completed",
    "failed": "failed",
    "rejected": "failed",
    "canceled": "cancelled",
}


@record
class Artifact:
    id: str  # Of its contents.
    name: str
    media_type: str
    bytes: int


@record
class TaskInput:
    """A question of the worker; ``id`` and ``answer_id`` are those of their contents."""

    id: str
    kind: InputKind
    answer_id: str | None = None


@record
class Claim:
    worker_id: str
    fence: int
    expires_at: Timestamp


@record
class Task:
    id: str
    sequence: int
    spawner_id: str
    preset: str
    submitted_at: Timestamp
    depth: int
    timeout_seconds: int
    times_out_at: Timestamp
    max_attempts: int
    retention_seconds: int
    tool_controls: Mapping[str, Any]
    delegate_only: bool
    stored_bytes: int
    allow_tools: tuple[str, ...] | None = None
    deny_tools: tuple[str, ...] | None = None
    model: str | None = None
    parent_id: str | None = None
    state: State = "submitted"
    version: int = 1
    is_offered: bool = True
    retry_at: Timestamp | None = None
    attempts: int = 0  # Claims so far.
    claim: Claim | None = None
    claimed_at: Timestamp | None = None  # The last time.
    percent: int | None = None
    message: str | None = None
    iterations: int = 0
    tool_calls_made: int = 0
    content_ids: tuple[str, ...] = ()  # Of all contents but the task's own.
    output_ids: tuple[str, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    inputs: tuple[TaskInput, ...] = ()
    result_id: str | None = None
    error: str | None = None
    ended_at: Timestamp | None = None
    is_dead_letter: bool = False
    is_erased: bool = False

    @property
    def status(self) -> OutwardStatus:
        return OUTWARD[self.state]

    @property
    def has_ended(self) -> bool:
        return self.ended_at is not None

    @property
    def ends_nested_tasks(self) -> bool:
        """Return whether the tasks that were submitted in its run end with it."""
        return self.has_ended and self.state != "completed"

    @property
    def worker_id(self) -> str | None:
        return None if self.claim is None else self.claim.worker_id

    @property
    def due_at(self) -> Timestamp | None:
        """Return when something happens to the task without a command."""
        if self.ended_at is not None:
            kept = self.retention_seconds * MILLISECONDS_PER_SECOND
            return None if self.is_erased else Timestamp(self.ended_at + kept)
        if self.claim is not None:
            return min(self.times_out_at, self.claim.expires_at)
        return min(self.times_out_at, self.retry_at or self.times_out_at)

    @property
    def policy(self) -> Policy:
        """Return what the run may use of the service's tools, besides the policy of its preset."""
        denied = tuple(self.deny_tools or ())
        if self.delegate_only:
            rule = ToolRule(allow=DELEGATE_TOOLS, deny=denied)
        else:
            rule = ToolRule(allow=self.allow_tools, deny=("spawn_agent", *denied))
        controls = self.tool_controls
        return Policy(
            tools=rule,
            controls=parse_tool_controls(controls.get("active_tools"), controls.get("tool_choice")),
        )


# -- Evolve ------------------------------------------------------------------

Changes: TypeAlias = dict[str, Any]


def evolve(state: Task | None, event: Event, at: Timestamp) -> Task:
    if isinstance(event, TaskSubmitted):
        return _submitted(event, at)
    assert state is not None, "the log changes a task that was never submitted"
    match event:
        case TaskContentErased():
            return state
        case TaskErased():
            return changed(state, is_erased=True, stored_bytes=0)
    # A task has many fields, so it is copied once.
    return changed(state, version=state.version + 1, **_changes(state, event, at))


def _submitted(event: TaskSubmitted, at: Timestamp) -> Task:
    return Task(
        id=event.task_id,
        sequence=event.sequence,
        spawner_id=event.spawner_id,
        preset=event.preset,
        submitted_at=at,
        depth=event.depth,
        timeout_seconds=event.timeout_seconds,
        times_out_at=event.times_out_at,
        max_attempts=event.max_attempts,
        retention_seconds=event.retention_seconds,
        tool_controls=event.tool_controls,
        delegate_only=event.delegate_only,
        stored_bytes=_bytes(event.contents),
        allow_tools=event.allow_tools,
        deny_tools=event.deny_tools,
        model=event.model,
        parent_id=event.parent_id,
    )


def _changes(  # noqa: PLR0911 - one for each event.
    task: Task,
    event: Any,  # noqa: ANN401 - of Event, without the first and the last ones.
    at: Timestamp,
) -> Changes:
    """Return the fields that an event changes."""
    match event:
        case TaskOffered():
            return {"is_offered": True, "retry_at": None}
        case TaskClaimed():
            claim = Claim(worker_id=event.worker_id, fence=event.fence, expires_at=event.expires_at)
            return {
                "state": "working",
                "is_offered": False,
                "claim": claim,
                "attempts": event.attempts,
                "claimed_at": at,
            }
        case TaskClaimRenewed():
            assert task.claim is not None
            return {"claim": changed(task.claim, expires_at=event.expires_at)}
        case TaskClaimEnded():
            return {
                "state": "submitted",
                "claim": None,
                "retry_at": event.retry_at,
                "attempts": event.attempts,
            }
        case TaskProgressed():
            return _progressed(task, event)
        case TaskArtifactAdded():
            size = _bytes(event.contents)
            one = Artifact(
                id=event.content_id, name=event.name, media_type=event.media_type, bytes=size
            )
            return _with_content(task, event) | {"artifacts": (*task.artifacts, one)}
        case TaskInputRequested():
            asked = TaskInput(id=event.content_id, kind=event.kind)
            required: State = "auth_required" if event.kind == "auth" else "input_required"
            return _with_content(task, event) | {"state": required, "inputs": (*task.inputs, asked)}
        case TaskInputAnswered():
            return _with_content(task, event) | _answered(task, event)
        case TaskCompleted():
            found = _with_content(task, event) | _with_counts(task, event)
            return found | _ended("completed", at) | {"result_id": event.content_id}
        case TaskFailed():
            ending: State = "rejected" if event.reason == "rejected" else "failed"
            is_dead = event.reason == "dead_letter"
            return _ended(ending, at) | {"error": event.error, "is_dead_letter": is_dead}
        case TaskCanceled():
            return _ended("canceled", at) | {"error": f"cancelled by {_canceler(event)}"}
        case TaskRetried():
            return {
                "state": "submitted",
                "attempts": 0,
                "times_out_at": event.times_out_at,
                "error": None,
                "ended_at": None,
                "is_dead_letter": False,
            }
        case _:
            assert_never(event)


def _canceler(event: TaskCanceled) -> str:
    if event.detail is not None:
        return f"an operator: {event.detail}"
    return "caller" if event.parent_id is None else f"the end of task {event.parent_id}"


def _bytes(contents: tuple[ContentRef, ...] | None) -> int:
    return sum([ref.bytes for ref in contents or ()])


def _with_content(task: Task, event: Any) -> Changes:  # noqa: ANN401 - an event with contents.
    return {
        "content_ids": (*task.content_ids, event.content_id),
        "stored_bytes": task.stored_bytes + _bytes(event.contents),
    }


def _with_counts(task: Task, event: TaskProgressed | TaskCompleted) -> Changes:
    iterations, calls = event.iterations, event.tool_calls_made
    return {
        "iterations": task.iterations if iterations is None else iterations,
        "tool_calls_made": task.tool_calls_made if calls is None else calls,
    }


def _progressed(task: Task, event: TaskProgressed) -> Changes:
    found = _with_counts(task, event) | {
        "percent": task.percent if event.percent is None else event.percent,
        "message": task.message if event.message is None else event.message,
    }
    if event.content_id is None:
        return found
    outputs = {"output_ids": (*task.output_ids, event.content_id)}
    return found | _with_content(task, event) | outputs


def _answered(task: Task, event: TaskInputAnswered) -> Changes:
    inputs = tuple(
        [
            changed(one, answer_id=event.content_id) if one.id == event.input_id else one
            for one in task.inputs
        ]
    )
    return {"state": "working", "inputs": inputs}


def _ended(state: State, at: Timestamp) -> Changes:
    return {"state": state, "ended_at": at, "is_offered": False, "claim": None, "retry_at": None}
