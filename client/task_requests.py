"""Requests about tasks as data: one function for each operation, without I/O.

``Agent.spawn`` and ``Worker`` have the friendly forms. With an agent key, ``agent`` may be
``AgentRef()``: the key names its agent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from quorate.client.request_builder import Request, request_for
from quorate.contracts.sessions.spawn import (
    CANCEL_SPAWN,
    LIST_LENGTH_DEFAULT,
    SPAWN_AGENT,
    SPAWN_LIST,
    SPAWN_RESULT,
    SPAWN_STATUS,
    CancelInfo,
    SpawnedInfo,
    SpawnInput,
    SpawnList,
    SpawnListInput,
    TaskIdInput,
)
from quorate.contracts.sessions.task_models import (
    ArtifactBody,
    ClaimInfo,
    TaskInfo,
    TaskStateInfo,
)
from quorate.contracts.sessions.tasks import (
    ADD_ARTIFACT,
    ANSWER_TASK,
    CLAIM_TASK,
    COMPLETE_TASK,
    FAIL_TASK,
    GET_ARTIFACT,
    GET_TASK,
    LIST_DEAD_TASKS,
    RELEASE_TASK,
    RENEW_TASK,
    REPORT_PROGRESS,
    REQUEST_INPUT,
    RETRY_TASK,
    AnswerBody,
    ArtifactRequest,
    ClaimBody,
    CompleteBody,
    FailBody,
    HeldBody,
    InputBody,
    ProgressBody,
    RenewBody,
    TaskQuery,
    TaskSelection,
    TasksQuery,
)
from quorate.contracts.wire_models import PAGE_LENGTH_DEFAULT, SnakeAgentQuery, unchecked
from quorate.domain.identity.agents import AgentRef
from quorate.domain.sessions.task_claims import CLAIM_SECONDS_DEFAULT
from quorate.domain.sessions.task_events import InputKind
from quorate.domain.shared.records import changed

Outcome = Literal["failed", "rejected", "retry"]


def _named(agent: AgentRef) -> dict[str, Any]:
    fields = {"agent_id": agent.id, "agent_name": agent.name}
    return {name: value for name, value in fields.items() if value is not None}


def _given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field.
    return {name: value for name, value in fields.items() if value is not None}


# -- Handing over ------------------------------------------------------------


def spawn(
    agent: AgentRef,
    task: str,
    *,
    context: str | None = None,
    preset: str | None = None,
    model: str | None = None,
    allow_tools: Sequence[str] | None = None,
    deny_tools: Sequence[str] | None = None,
    delegate_only: bool | None = None,
    active_tools: Sequence[str] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    timeout_seconds: int | None = None,
    nonblocking: bool = True,
) -> Request[SpawnedInfo]:
    """Hand a task to the workers of a preset."""
    body = unchecked(SpawnInput)(
        **_named(agent),
        **_given(
            task=task,
            context=context,
            preset=preset,
            model=model,
            allow_tools=None if allow_tools is None else list(allow_tools),
            deny_tools=None if deny_tools is None else list(deny_tools),
            delegate_only=delegate_only,
            active_tools=None if active_tools is None else list(active_tools),
            tool_choice=tool_choice,
            timeout_seconds=timeout_seconds,
        ),
        nonblocking=nonblocking,
    )
    return request_for(SPAWN_AGENT, body)


def status(agent: AgentRef, task_id: str) -> Request[TaskInfo]:
    return request_for(SPAWN_STATUS, unchecked(TaskIdInput)(**_named(agent), task_id=task_id))


def result(agent: AgentRef, task_id: str) -> Request[TaskInfo]:
    return request_for(SPAWN_RESULT, unchecked(TaskIdInput)(**_named(agent), task_id=task_id))


def cancel(agent: AgentRef, task_id: str) -> Request[CancelInfo]:
    return request_for(CANCEL_SPAWN, unchecked(TaskIdInput)(**_named(agent), task_id=task_id))


def list_tasks(
    agent: AgentRef,
    *,
    status: str | None = None,
    limit: int = LIST_LENGTH_DEFAULT,
    cursor: int | None = None,
) -> Request[SpawnList]:
    """List the agent's own tasks, the newest first."""
    fields = _given(status=status, cursor=cursor)
    return request_for(
        SPAWN_LIST, unchecked(SpawnListInput)(**_named(agent), **fields, limit=limit)
    )


def get(
    agent: AgentRef, task_id: str, *, wait_seconds: float = 0.0, after: int | None = None
) -> Request[TaskInfo]:
    """Read a task, or wait for a later version than ``after``."""
    fields = _given(after=after) | ({"wait": wait_seconds} if wait_seconds else {})
    query = unchecked(TaskQuery)(**_named(agent), **fields)
    return request_for(GET_TASK, query=query, task_id=task_id)


def get_artifact(agent: AgentRef, task_id: str, artifact_id: str) -> Request[ArtifactBody]:
    query = unchecked(SnakeAgentQuery)(**_named(agent))
    return request_for(GET_ARTIFACT, query=query, task_id=task_id, artifact_id=artifact_id)


def answer(agent: AgentRef, task_id: str, input_id: str, text: str) -> Request[TaskStateInfo]:
    """Answer a question of the worker."""
    body = unchecked(AnswerBody)(**_named(agent), input_id=input_id, text=text)
    return request_for(ANSWER_TASK, body, task_id=task_id)


def list_dead_letters(
    *, limit: int = PAGE_LENGTH_DEFAULT, after: str | None = None
) -> Request[list[TaskInfo]]:
    """List tasks whose attempts are used up, the oldest first."""
    query = unchecked(TasksQuery)(**_given(limit=limit, after=after))
    return request_for(LIST_DEAD_TASKS, query=query)


def list_by_state(
    state: TaskSelection,
    *,
    limit: int = PAGE_LENGTH_DEFAULT,
    after: str | None = None,
) -> Request[list[TaskInfo]]:
    """List the tasks of all agents in one state, the oldest first; for tenants and auditors."""
    query = unchecked(TasksQuery)(**_given(state=state, limit=limit, after=after))
    return request_for(LIST_DEAD_TASKS, query=query)


def retry(task_id: str) -> Request[TaskStateInfo]:
    """Offer a dead letter again."""
    return request_for(RETRY_TASK, task_id=task_id)


# -- Work --------------------------------------------------------------------


def claim(
    agent: AgentRef,
    presets: Sequence[str],
    *,
    wait_seconds: float = 0.0,
    claim_seconds: int = CLAIM_SECONDS_DEFAULT,
) -> Request[ClaimInfo]:
    """Claim the oldest task of some presets; ``-`` is for tasks without one."""
    body = unchecked(ClaimBody)(
        **_named(agent), presets=list(presets), wait=wait_seconds, claim_seconds=claim_seconds
    )
    return changed(request_for(CLAIM_TASK, body), long_poll_seconds=wait_seconds)


def renew(
    agent: AgentRef, task_id: str, fence: int, *, claim_seconds: int = CLAIM_SECONDS_DEFAULT
) -> Request[TaskStateInfo]:
    body = unchecked(RenewBody)(**_named(agent), fence=fence, claim_seconds=claim_seconds)
    return request_for(RENEW_TASK, body, task_id=task_id)


def progress(
    agent: AgentRef,
    task_id: str,
    fence: int,
    *,
    percent: int | None = None,
    message: str | None = None,
    output: str | None = None,
    iterations: int | None = None,
    tool_calls_made: int | None = None,
) -> Request[TaskStateInfo]:
    """Report progress, and a part of the result that is ready."""
    fields = _given(
        percent=percent,
        message=message,
        output=output,
        iterations=iterations,
        tool_calls_made=tool_calls_made,
    )
    body = unchecked(ProgressBody)(**_named(agent), fence=fence, **fields)
    return request_for(REPORT_PROGRESS, body, task_id=task_id)


def add_artifact(
    agent: AgentRef,
    task_id: str,
    fence: int,
    name: str,
    *,
    content_type: str,
    text: str | None = None,
    data: str | None = None,
) -> Request[TaskStateInfo]:
    """Add a file: its text, or its ``data`` in base64."""
    fields = _given(text=text, data=data)
    body = unchecked(ArtifactRequest)(
        **_named(agent), fence=fence, name=name, content_type=content_type, **fields
    )
    return request_for(ADD_ARTIFACT, body, task_id=task_id)


def request_input(
    agent: AgentRef, task_id: str, fence: int, text: str, *, kind: InputKind = "input"
) -> Request[TaskStateInfo]:
    """Ask the agent that handed over the task."""
    body = unchecked(InputBody)(**_named(agent), fence=fence, text=text, kind=kind)
    return request_for(REQUEST_INPUT, body, task_id=task_id)


def complete(
    agent: AgentRef,
    task_id: str,
    fence: int,
    text: str,
    *,
    iterations: int | None = None,
    tool_calls_made: int | None = None,
) -> Request[TaskStateInfo]:
    fields = _given(iterations=iterations, tool_calls_made=tool_calls_made)
    body = unchecked(CompleteBody)(**_named(agent), fence=fence, text=text, **fields)
    return request_for(COMPLETE_TASK, body, task_id=task_id)


def fail(
    agent: AgentRef, task_id: str, fence: int, error: str, *, outcome: Outcome = "failed"
) -> Request[TaskStateInfo]:
    """End the task, or with ``retry`` only this attempt."""
    body = unchecked(FailBody)(**_named(agent), fence=fence, error=error, outcome=outcome)
    return request_for(FAIL_TASK, body, task_id=task_id)


def release(agent: AgentRef, task_id: str, fence: int) -> Request[TaskStateInfo]:
    """Give the task back."""
    body = unchecked(HeldBody)(**_named(agent), fence=fence)
    return request_for(RELEASE_TASK, body, task_id=task_id)
