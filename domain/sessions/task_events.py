"""Events of tasks: submission, claims, progress, and the end.

* Texts are contents. An event with contents names them by ``content_id``, after which its stream is
  named; those of a submission have the id of the task.
* Progress messages and errors are short. They are in the log, and stay there.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from quorate.domain.identity.agents import AgentDeregistered, AgentLapsed
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp

UNNAMED = "-"  # Stands for the preset of tasks that name none.
InputKind: TypeAlias = Literal["input", "auth"]
FailureReason: TypeAlias = Literal["failed", "rejected", "timed_out", "dead_letter"]
ClaimEnd: TypeAlias = Literal[
    "expired", "released", "failed", "agent_inactive", "agent_deregistered", "operator"
]
ENDED_BY: Mapping[type[Any], ClaimEnd] = {
    AgentLapsed: "agent_inactive",
    AgentDeregistered: "agent_deregistered",
}


@record
class TaskSubmitted:
    task_id: str
    sequence: int  # Orders the queue and all lists.
    spawner_id: str
    preset: str  # UNNAMED for none.
    contents: tuple[ContentRef, ...]
    depth: int
    timeout_seconds: int
    times_out_at: Timestamp
    max_attempts: int
    retention_seconds: int
    tool_controls: Mapping[str, Any]
    delegate_only: bool
    allow_tools: tuple[str, ...] | None = None
    deny_tools: tuple[str, ...] | None = None
    model: str | None = None
    parent_id: str | None = None


@record
class TaskOffered:
    """Workers may claim the task again: after the wait that follows a lost claim, or at once."""

    task_id: str
    preset: str
    attempts: int


@record
class _OfClaim:
    task_id: str
    spawner_id: str
    worker_id: str
    fence: int


@record
class TaskClaimed(_OfClaim):
    preset: str
    attempts: int
    expires_at: Timestamp


@record
class TaskClaimRenewed(_OfClaim):
    expires_at: Timestamp


@record
class TaskClaimEnded(_OfClaim):
    """The worker lost the claim or gave it back. Without ``retry_at`` another event says more.

    ``attempts`` are those that count: one that an operator ended does not.
    """

    reason: ClaimEnd
    attempts: int
    detail: str | None = None
    retry_at: Timestamp | None = None


@record
class TaskProgressed(_OfClaim):
    """Progress, and partial output: then it has contents, under ``content_id``."""

    percent: int | None = None
    message: str | None = None
    content_id: str | None = None
    contents: tuple[ContentRef, ...] | None = None
    iterations: int | None = None
    tool_calls_made: int | None = None


@record
class TaskArtifactAdded(_OfClaim):
    content_id: str
    contents: tuple[ContentRef, ...]
    name: str
    media_type: str


@record
class TaskInputRequested(_OfClaim):
    content_id: str
    contents: tuple[ContentRef, ...]
    kind: InputKind


@record
class TaskInputAnswered(_OfClaim):
    content_id: str
    contents: tuple[ContentRef, ...]
    input_id: str


@record
class TaskCompleted(_OfClaim):
    content_id: str
    contents: tuple[ContentRef, ...]
    iterations: int | None = None
    tool_calls_made: int | None = None


@record
class TaskFailed:
    """``worker_id`` and ``fence`` are those of the claim that ends with the task."""

    task_id: str
    spawner_id: str
    reason: FailureReason
    error: str
    worker_id: str | None = None
    fence: int | None = None


@record
class TaskCanceled:
    """``parent_id`` is the task with whose end this one was canceled; None for a request.

    ``detail`` is why an operator canceled it; None for a request of its spawner.
    """

    task_id: str
    spawner_id: str
    worker_id: str | None = None
    fence: int | None = None
    parent_id: str | None = None
    detail: str | None = None


@record
class TaskRetried:
    """A dead letter begins again, with all its attempts."""

    task_id: str
    times_out_at: Timestamp
    detail: str | None = None  # Why, if the operator said it.


@record
class TaskContentErased:
    task_id: str
    content_id: str


@record
class TaskErased:
    task_id: str


Event: TypeAlias = (
    TaskSubmitted
    | TaskOffered
    | TaskClaimed
    | TaskClaimRenewed
    | TaskClaimEnded
    | TaskProgressed
    | TaskArtifactAdded
    | TaskInputRequested
    | TaskInputAnswered
    | TaskCompleted
    | TaskFailed
    | TaskCanceled
    | TaskRetried
    | TaskContentErased
    | TaskErased
)
