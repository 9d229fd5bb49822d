"""A task: work that an agent hands to the workers of a preset (``spawn_agent`` of seed 003).

* A task is offered until a worker claims it (``task_claims.py``), and ends once: completed, failed,
  rejected or canceled. Nothing that comes later changes it.
* It fails when its time is over (``times_out_at``), claimed or not. The time runs from its
  submission, so a task that no worker claims ends as well.
* Its texts are contents: they are erased ``retention_seconds`` after its end, and the task with
  them. Progress messages and errors are short, and part of the log.
* ``version`` counts the events of a task, so that a reader can wait for the next one.
"""

from dataclasses import dataclass
from operator import attrgetter
from typing import Any, get_args

from quorate.domain.identity.agents import AGENTS, AgentDeregistered, AgentLapsed
from quorate.domain.sessions.task_events import (
    ENDED_BY,
    ClaimEnd,
    Event,
    FailureReason,
    TaskCanceled,
    TaskClaimed,
    TaskClaimEnded,
    TaskContentErased,
    TaskErased,
    TaskFailed,
    TaskOffered,
)
from quorate.domain.sessions.task_states import Task, evolve
from quorate.domain.shared.aggregates import Aggregate, Counter, Deadline, Owner
from quorate.domain.shared.errors import Conflict, Forbidden, NotFound
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp

RETENTION_SECONDS_DEFAULT = 7 * 86_400
RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 1, 60
DOUBLINGS_MAX = 16
CONTENTS_PER_TASK_MAX = 200
TASK_PART, CONTEXT_PART, TEXT_PART = "task", "context", "text"

# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class TaskNotFound(NotFound):
    code, title = "task_not_found", "Task not found"
    detail = "spawn task not found: {task_id}"
    task_id: str


@dataclass(eq=False)
class TaskAccessDenied(Forbidden):
    """Only the agent that submitted a task may see it, and the worker that has it."""

    code, title = "task_access_denied", "The task belongs to another agent"
    detail = "spawn task access denied"


@dataclass(eq=False)
class StaleFence(Conflict):
    """The claim has ended, or was never the caller's: the task is another worker's, or over."""

    code, title = "stale_fence", "The claim on the task has ended"
    detail = "the claim on task {task_id} has ended: stop working on it"
    task_id: str


# -- Without a command -------------------------------------------------------


def of_claim(task: Task) -> dict[str, Any]:
    """Return the fields that all events of a claim have."""
    assert task.claim is not None
    return {
        "task_id": task.id,
        "spawner_id": task.spawner_id,
        "worker_id": task.claim.worker_id,
        "fence": task.claim.fence,
    }


def failed(task: Task, reason: FailureReason, error: str, *, has_claim: bool) -> TaskFailed:
    claim = task.claim if has_claim else None
    return TaskFailed(
        task_id=task.id,
        spawner_id=task.spawner_id,
        reason=reason,
        error=error,
        worker_id=None if claim is None else claim.worker_id,
        fence=None if claim is None else claim.fence,
    )


def canceled(task: Task, parent_id: str | None = None, detail: str | None = None) -> TaskCanceled:
    claim = task.claim
    return TaskCanceled(
        task_id=task.id,
        spawner_id=task.spawner_id,
        worker_id=None if claim is None else claim.worker_id,
        fence=None if claim is None else claim.fence,
        parent_id=parent_id,
        detail=detail,
    )


def claim_ended(
    task: Task, reason: ClaimEnd, at: Timestamp, detail: str | None = None
) -> list[Event]:
    """Return the end of a claim at this time, and of the task if that was its last attempt."""
    is_last = task.attempts >= task.max_attempts
    wait = min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN << min(task.attempts - 1, DOUBLINGS_MAX))
    is_at_once = reason == "released"
    retry_at = None if is_last or is_at_once else Timestamp(at + wait * MILLISECONDS_PER_SECOND)
    events: list[Event] = [
        TaskClaimEnded(
            **of_claim(task),
            reason=reason,
            attempts=task.attempts,
            detail=detail,
            retry_at=retry_at,
        )
    ]
    if is_last:
        error = detail or f"no worker finished it in {task.attempts} attempts, the last: {reason}"
        events.append(failed(task, "dead_letter", error, has_claim=False))
    elif is_at_once:
        events.append(offered(task))
    return events


def offered(task: Task) -> TaskOffered:
    return TaskOffered(task_id=task.id, preset=task.preset, attempts=task.attempts)


def _due_events(task: Task) -> list[Event]:
    if task.has_ended:
        erased = [TaskContentErased(task_id=task.id, content_id=one) for one in task.content_ids]
        return [*erased, TaskErased(task_id=task.id)]
    if task.due_at == task.times_out_at:
        error = f"sub-agent timed out after {task.timeout_seconds}s"
        return [failed(task, "timed_out", error, has_claim=True)]
    if task.claim is not None:
        return claim_ended(task, "expired", task.claim.expires_at)
    return [offered(task)]


def _end_claims_of(state: TenantState, event: AgentLapsed | AgentDeregistered) -> list[Event]:
    """End the claims that were still valid when their worker ended, the earliest first."""
    held = [
        task
        for task in state[TASKS].owned_by(event.agent_id)
        if task.due_at is not None and task.due_at > event.active_until
    ]
    reason = ENDED_BY[type(event)]
    return [
        follows
        for task in sorted(held, key=lambda task: task.sequence)
        for follows in claim_ended(task, reason, event.active_until)
    ]


# -- The aggregate ------------------------------------------------------------


def _check_fence(event: Event, sequence: int) -> None:
    if isinstance(event, TaskClaimed):
        assert event.fence == sequence, (
            f"fence {event.fence} is not the sequence {sequence} of its claim"
        )


def _stream(event: Event) -> str:
    """Contents are found by the stream, so an event with contents has a stream of its own."""
    return f"task-{getattr(event, 'content_id', None) or event.task_id}"


TASKS: Aggregate[Task] = Aggregate(
    name="task",
    events=get_args(Event),
    stream=_stream,
    id_of=attrgetter("task_id"),
    evolve=evolve,
    phase_of=attrgetter("worker_id", "stored_bytes", "ended_at"),
    counters={
        "mailbox_bytes": Counter(amount=attrgetter("stored_bytes")),
        "open_tasks": Counter(
            amount=lambda task: 0 if task.has_ended else 1, owner=attrgetter("spawner_id")
        ),
    },
    owner=Owner(aggregate=AGENTS, id_of=attrgetter("worker_id")),
    deadline=Deadline(
        at=lambda task: task.due_at or Timestamp(0),
        has_passed=lambda task, now: task.due_at is not None and now >= task.due_at,
        events=_due_events,
        rank=4,
    ),
    is_final=attrgetter("is_erased"),
    reacts_to=dict.fromkeys(ENDED_BY, _end_claims_of),
    erases={TaskContentErased: attrgetter("content_id"), TaskErased: attrgetter("task_id")},
)
