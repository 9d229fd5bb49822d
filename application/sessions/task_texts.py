"""Make the contents of tasks, and render tasks with them."""

from collections.abc import Mapping
from typing import Any

from quorate.application.execution import Service
from quorate.application.new_contents import salted
from quorate.application.rendering import Json
from quorate.contracts.problems import Problem
from quorate.domain.sessions.task_events import UNNAMED
from quorate.domain.sessions.task_states import Artifact, Task
from quorate.domain.sessions.tasks import CONTEXT_PART, TASK_PART, TEXT_PART
from quorate.domain.shared.contents import Content, Contents
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp, iso

TASK_ID = "task_"
OUTPUT_ID, ARTIFACT_ID, INPUT_ID = "output_", "artifact_", "input_"
ANSWER_ID, RESULT_ID = "answer_", "result_"


def make_content(id_: str, part: str, data: bytes, bytes_max: int, field: str) -> Content:
    """Return a content with a random salt; raise Problem if it is too large."""
    if len(data) > bytes_max:
        raise Problem("body_too_large", f"{field}: at most {bytes_max} bytes of UTF-8.")
    return salted(id_, part, data, is_searched=False)


def one_text(service: Service, prefix: str, text: str, bytes_max: int) -> tuple[Content, ...]:
    id_ = service.prefixed_id(prefix)
    return (make_content(id_, TEXT_PART, text.encode(), bytes_max, TEXT_PART),)


async def read_texts(service: Service, tenant: str, task: Task) -> Contents:
    """Return the texts of a task: its own, its questions with answers, and its result."""
    ids = [task.id]
    for one in task.inputs:
        ids += [one.id] if one.answer_id is None else [one.id, one.answer_id]
    if task.result_id is not None:
        ids.append(task.result_id)
    return await service.sessions.task_contents.all(tenant, ids)


def text_in(contents: Contents, id_: str | None, part: str = TEXT_PART) -> str | None:
    if id_ is None or (found := contents.get((id_, part))) is None:
        return None
    return found.data.decode()


def render_task(task: Task, contents: Contents, now: Timestamp, *, has_result: bool) -> Json:
    """Return the JSON of a TaskInfo."""
    until = now if task.ended_at is None else task.ended_at
    claim = task.claim
    return {
        "task_id": task.id,
        "status": task.status,
        "state": task.state,
        "task": text_in(contents, task.id, TASK_PART),
        "context": text_in(contents, task.id, CONTEXT_PART),
        "model": task.model,
        "preset": preset_of(task),
        "spawned_by": task.spawner_id,
        "parent_task_id": task.parent_id,
        "depth": task.depth,
        "started_at": iso(task.submitted_at),
        "finished_at": None if task.ended_at is None else iso(task.ended_at),
        "times_out_at": iso(task.times_out_at),
        "elapsed_secs": max(0, until - task.submitted_at) // MILLISECONDS_PER_SECOND,
        "iterations": task.iterations,
        "tool_calls_made": task.tool_calls_made,
        "attempt": task.attempts,
        "max_attempts": task.max_attempts,
        "worker_id": None if claim is None else claim.worker_id,
        "claim_expires_at": None if claim is None else iso(claim.expires_at),
        "percent": task.percent,
        "message": task.message,
        "outputs": list(task.output_ids),
        "artifacts": [render_artifact(one) for one in task.artifacts],
        "inputs": [
            {
                "input_id": one.id,
                "kind": one.kind,
                "text": text_in(contents, one.id),
                "answer": text_in(contents, one.answer_id),
            }
            for one in task.inputs
        ],
        "error": task.error,
        "is_dead_letter": task.is_dead_letter,
        "text": text_in(contents, task.result_id) if has_result else None,
        "version": task.version,
    }


def render_artifact(artifact: Artifact) -> Json:
    return {
        "artifact_id": artifact.id,
        "name": artifact.name,
        "content_type": artifact.media_type,
        "bytes": artifact.bytes,
    }


def preset_of(task: Task) -> str | None:
    return None if task.preset == UNNAMED else task.preset


def render_claim(task: Task, contents: Contents) -> Json:
    """Return the JSON of a ClaimedTask."""
    assert task.claim is not None
    controls: Mapping[str, Any] = task.tool_controls
    return {
        "task_id": task.id,
        "fence": task.claim.fence,
        "claim_expires_at": iso(task.claim.expires_at),
        "task": text_in(contents, task.id, TASK_PART) or "",
        "context": text_in(contents, task.id, CONTEXT_PART),
        "model": task.model,
        "preset": preset_of(task),
        "active_tools": controls.get("active_tools"),
        "tool_choice": controls.get("tool_choice"),
        "allow_tools": None if task.allow_tools is None else list(task.allow_tools),
        "deny_tools": list(task.deny_tools or ()),
        "delegate_only": task.delegate_only,
        "spawned_by": task.spawner_id,
        "parent_task_id": task.parent_id,
        "depth": task.depth,
        "attempt": task.attempts,
        "max_attempts": task.max_attempts,
        "timeout_seconds": task.timeout_seconds,
        "times_out_at": iso(task.times_out_at),
        "version": task.version,
    }


def render_state(task: Task, id_: str | None = None) -> Json:
    """Return the JSON of a TaskStateInfo."""
    return {
        "task_id": task.id,
        "state": task.state,
        "version": task.version,
        "claim_expires_at": None if task.claim is None else iso(task.claim.expires_at),
        "id": id_,
    }


def render_spawned(task: Task, text: str | None) -> Json:
    """Return the JSON of a SpawnedInfo."""
    return {
        "task_id": task.id,
        "status": task.status,
        "state": task.state,
        "started_at": iso(task.submitted_at),
        "model": task.model,
        "preset": preset_of(task),
        "text": text,
        "iterations": task.iterations,
        "tool_calls_made": task.tool_calls_made,
    }
