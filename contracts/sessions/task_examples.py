"""Examples of tasks for the API documents; ``contracts/examples.py`` joins them with all others."""

from typing import Any, Final

_AGENT: Final = "agent_a1b2c3d4e5f6"
_TASK: Final = "task_019ca9b25d007a149b0e6c2f8e4d7a31"
_ARTIFACT: Final = "artifact_019ca9b25d007f928d351a7b3c9e5f60"
_NOON: Final = "2026-03-01T12:00:00.000Z"
_LATER: Final = "2026-03-01T12:05:00.000Z"
_MINUTE: Final = "2026-03-01T12:01:00.000Z"
_PRESET: Final = "destination-router"
_TEXT: Final = "Classify whether the reply should be inline, file, or PR."

BODIES: dict[str, dict[str, Any]] = {
    "spawnAgent": {
        "task": _TEXT,
        "active_tools": ["classify_destination"],
        "tool_choice": {"type": "tool", "name": "classify_destination"},
        "nonblocking": True,
    },
    "spawnStatus": {"task_id": _TASK},
    "spawnResult": {"task_id": _TASK},
    "spawnList": {"status": "running"},
    "cancelSpawn": {"task_id": _TASK},
    "claimTask": {"presets": [_PRESET], "wait": 20.0},
    "renewTask": {"fence": 41, "claim_seconds": 60},
    "reportProgress": {"fence": 41, "percent": 40, "message": "reading"},
    "addArtifact": {"fence": 41, "name": "report.txt", "text": "All is well."},
    "requestInput": {"fence": 41, "text": "Which branch?"},
    "completeTask": {"fence": 41, "text": "inline"},
    "failTask": {"fence": 41, "error": "The disk is full", "outcome": "retry"},
    "releaseTask": {"fence": 41},
    "answerTask": {"input_id": "input_019ca9b25d007c7f90b5a0c5d1e8f00a", "text": "main"},
    "retryTask": {"reason": "The disk has space again"},
    "cancelTask": {"reason": "Out of date"},
    "requeueTask": {"reason": "The worker hangs"},
}
QUERIES: dict[str, dict[str, Any]] = {
    "getTask": {"wait": 20, "after": 2},
    "listDeadTasks": {"state": "working"},
}
PATH_IDS = {"taskId": _TASK, "artifactId": _ARTIFACT}
PROBLEM_DETAILS: dict[str, dict[str, Any]] = {
    "task_not_found": {"taskId": _TASK},
    "stale_fence": {"taskId": _TASK},
    "claim_denied": {"preset": "observer"},
    "too_many_contents": {"limit": 200},
    "spawn_preset_not_found": {"preset": "observer"},
    "task_nesting_too_deep": {"depthMax": 3},
    "task_timeout_invalid": {"secondsMax": 604_800},
    "task_not_a_dead_letter": {"taskState": "completed"},
    "task_ended": {"taskState": "completed"},
    "spawned_task_failed": {
        "taskId": _TASK,
        "cause": "sub-agent timed out after 300s",
        "taskState": "failed",
    },
    "invalid_tool_choice": {"why": "type tool needs a name"},
    "invalid_active_tools": {"why": "a list of names is required"},
    "tool_denied": {"tool": "spawn_agent"},
}
_INFO: dict[str, Any] = {
    "task_id": _TASK,
    "status": "running",
    "state": "working",
    "task": _TEXT,
    "context": None,
    "model": None,
    "preset": _PRESET,
    "spawned_by": _AGENT,
    "parent_task_id": None,
    "depth": 1,
    "started_at": _NOON,
    "finished_at": None,
    "times_out_at": _LATER,
    "elapsed_secs": 12,
    "iterations": 1,
    "tool_calls_made": 1,
    "attempt": 1,
    "max_attempts": 3,
    "worker_id": "agent_b2c3d4e5f6a1",
    "claim_expires_at": _MINUTE,
    "percent": 40,
    "message": "reading",
    "outputs": [],
    "artifacts": [],
    "inputs": [],
    "error": None,
    "is_dead_letter": False,
    "text": None,
    "version": 3,
}
_STATE: dict[str, Any] = {
    "task_id": _TASK,
    "state": "working",
    "version": 3,
    "claim_expires_at": _MINUTE,
    "id": None,
}
_ENDED = _STATE | {"state": "completed", "claim_expires_at": None}
RESPONSES: dict[str, Any] = {
    "spawnAgent": {
        "task_id": _TASK,
        "status": "running",
        "state": "submitted",
        "started_at": _NOON,
        "model": None,
        "preset": _PRESET,
        "text": None,
        "iterations": 0,
        "tool_calls_made": 0,
    },
    "spawnStatus": _INFO,
    "spawnResult": _INFO | {"status": "completed", "state": "completed", "text": "inline"},
    "spawnList": {"tasks": [_INFO], "count": 1, "cursor": None},
    "cancelSpawn": _INFO | {"status": "cancelled", "state": "canceled", "cancelled": True},
    "claimTask": {
        "task": {
            "task_id": _TASK,
            "fence": 41,
            "claim_expires_at": _MINUTE,
            "task": _TEXT,
            "context": None,
            "model": None,
            "preset": _PRESET,
            "active_tools": ["classify_destination"],
            "tool_choice": {"type": "tool", "name": "classify_destination"},
            "allow_tools": None,
            "deny_tools": [],
            "delegate_only": False,
            "spawned_by": _AGENT,
            "parent_task_id": None,
            "depth": 1,
            "attempt": 1,
            "max_attempts": 3,
            "timeout_seconds": 300,
            "times_out_at": _LATER,
            "version": 2,
        }
    },
    "getTask": _INFO,
    "renewTask": _STATE,
    "reportProgress": _STATE,
    "addArtifact": _STATE | {"id": _ARTIFACT},
    "requestInput": _STATE | {"state": "input_required"},
    "completeTask": _ENDED,
    "failTask": _ENDED | {"state": "submitted"},
    "releaseTask": _ENDED | {"state": "submitted"},
    "answerTask": _STATE,
    "getArtifact": {
        "artifact_id": _ARTIFACT,
        "name": "report.txt",
        "content_type": "text/plain",
        "bytes": 12,
        "data": "QWxsIGlzIHdlbGwu",
    },
    "listDeadTasks": [_INFO],
    "retryTask": _ENDED | {"state": "submitted"},
    "cancelTask": _ENDED | {"state": "canceled"},
    "requeueTask": _ENDED | {"state": "submitted"},
}
NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "task_offered": {"task_id": _TASK, "preset": _PRESET},
    "task_progress": {
        "task_id": _TASK,
        "worker_id": _AGENT,
        "percent": 40,
        "message": "reading",
        "output_id": None,
    },
    "task_input_required": {
        "task_id": _TASK,
        "worker_id": _AGENT,
        "input_id": "input_019ca9b25d007c7f90b5a0c5d1e8f00a",
        "kind": "input",
    },
    "task_finished": {"task_id": _TASK, "state": "completed", "reason": None, "error": None},
    "task_cancelled": {"task_id": _TASK, "fence": 41, "reason": "cancelled"},
}
