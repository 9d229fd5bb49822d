"""Tasks, claims and artifacts as the service responds with them."""

from typing import Any

from quorate.contracts.wire_models import SnakeResponse, Time
from quorate.domain.sessions.task_events import InputKind
from quorate.domain.sessions.task_states import OutwardStatus, State

PREVIEW_LENGTH_MAX = 200  # Characters of a text in a list for operators.


class ArtifactInfo(SnakeResponse):
    artifact_id: str
    name: str
    content_type: str
    bytes: int


class ArtifactBody(SnakeResponse):
    """``data`` is the body in base64."""

    artifact_id: str
    name: str
    content_type: str
    bytes: int
    data: str


class TaskInputInfo(SnakeResponse):
    """A question of the worker. ``answer`` is null until there is one."""

    input_id: str
    kind: InputKind
    text: str | None
    answer: str | None


class TaskInfo(SnakeResponse):
    """A task. ``status`` is the one of the original, ``state`` the exact one, in A2A's terms.

    ``version`` counts what happened to it. ``text`` is the result; null until it is completed.
    ``worker_id`` and ``claim_expires_at`` are null while no worker has it. A dead letter has used
    up its attempts, and can be retried.
    """

    task_id: str
    status: OutwardStatus
    state: State
    task: str | None
    context: str | None
    model: str | None
    preset: str | None
    spawned_by: str
    parent_task_id: str | None
    depth: int
    started_at: Time
    finished_at: Time | None
    times_out_at: Time
    elapsed_secs: int
    iterations: int
    tool_calls_made: int
    attempt: int
    max_attempts: int
    worker_id: str | None
    claim_expires_at: Time | None
    percent: int | None
    message: str | None
    outputs: list[str]
    artifacts: list[ArtifactInfo]
    inputs: list[TaskInputInfo]
    error: str | None
    is_dead_letter: bool
    text: str | None
    version: int


class ClaimedTask(SnakeResponse):
    """A task and its claim. Every report on it names ``fence``."""

    task_id: str
    fence: int
    claim_expires_at: Time
    task: str
    context: str | None
    model: str | None
    preset: str | None
    active_tools: list[str] | None
    tool_choice: dict[str, Any] | None
    allow_tools: list[str] | None
    deny_tools: list[str]
    delegate_only: bool
    spawned_by: str
    parent_task_id: str | None
    depth: int
    attempt: int
    max_attempts: int
    timeout_seconds: int
    times_out_at: Time
    version: int


class ClaimInfo(SnakeResponse):
    """``task`` is null if none was offered in time."""

    task: ClaimedTask | None


class TaskStateInfo(SnakeResponse):
    """``claim_expires_at`` is null when the claim has ended; ``id`` is what was just recorded."""

    task_id: str
    state: State
    version: int
    claim_expires_at: Time | None
    id: str | None
