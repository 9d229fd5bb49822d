"""Presets, sessions, tasks, task lists and schedules of a tenant at one time.

Texts are not in the event log, so a snapshot has none. The field names are those of the HTTP API.
"""

from typing import Any, TypeAlias

from quorate.cli.output.console import print_table
from quorate.domain.sessions.list_items import LIST_ITEMS, ListItem
from quorate.domain.sessions.presets import PRESETS, REMOVED_PRESET
from quorate.domain.sessions.schedules import SCHEDULES, Schedule
from quorate.domain.sessions.sessions import SESSIONS, Session
from quorate.domain.sessions.task_events import UNNAMED
from quorate.domain.sessions.task_lists import TASK_LISTS
from quorate.domain.sessions.task_states import Task
from quorate.domain.sessions.tasks import TASKS
from quorate.domain.shared.state import TenantState
from quorate.domain.shared.timestamps import Timestamp, iso

Json: TypeAlias = dict[str, Any]
_SECOND_WIDTH = len("2026-03-01T12:00:00")


def take_session_state(tenant_state: TenantState) -> Json:
    """Return what a tenant has of each, without what was removed; the oldest first, or by name."""
    presets = [one for one in tenant_state[PRESETS].values() if one is not REMOVED_PRESET]
    sessions = [one for one in tenant_state[SESSIONS].values() if one.deleted_at is None]
    tasks = [one for one in tenant_state[TASKS].values() if not one.is_erased]
    schedules = [one for one in tenant_state[SCHEDULES].values() if not one.is_deleted]
    return {
        "presets": [
            {"name": one.id, "preset": dict(one.fields), "updated_at": iso(one.updated_at)}
            for one in sorted(presets, key=lambda one: one.id)
        ],
        "sessions": [
            _session(one) for one in sorted(sessions, key=lambda one: (one.created_at, one.id))
        ],
        "tasks": [_task(one) for one in sorted(tasks, key=lambda one: one.sequence)],
        "taskLists": _task_lists(tenant_state),
        "schedules": [
            _schedule(one) for one in sorted(schedules, key=lambda one: (one.created_at, one.id))
        ],
    }


def _session(session: Session) -> Json:
    return {
        "id": session.id,
        "key": session.key,
        "label": session.label,
        "model": session.model,
        "messageCount": session.message_count,
        "createdAt": iso(session.created_at),
        "updatedAt": iso(session.updated_at),
        "projectId": session.project_id,
        "agentId": session.owner_id,
        "version": session.version,
        "unread": session.unread,
        "parentId": session.source_id,
        "forkPoint": None if session.source_id is None else session.first_index,
    }


def _task(task: Task) -> Json:
    return {
        "task_id": task.id,
        "status": task.status,
        "state": task.state,
        "model": task.model,
        "preset": None if task.preset == UNNAMED else task.preset,
        "spawned_by": task.spawner_id,
        "parent_task_id": task.parent_id,
        "depth": task.depth,
        "started_at": iso(task.submitted_at),
        "finished_at": _iso(task.ended_at),
        "times_out_at": iso(task.times_out_at),
        "iterations": task.iterations,
        "tool_calls_made": task.tool_calls_made,
        "attempt": task.attempts,
        "max_attempts": task.max_attempts,
        "worker_id": task.worker_id,
        "claim_expires_at": None if task.claim is None else iso(task.claim.expires_at),
        "percent": task.percent,
        "message": task.message,
        "outputs": list(task.output_ids),
        "error": task.error,
        "is_dead_letter": task.is_dead_letter,
        "version": task.version,
    }


def _task_lists(tenant_state: TenantState) -> list[Json]:
    items: dict[str, list[ListItem]] = {}
    for item in sorted(tenant_state[LIST_ITEMS].values(), key=lambda one: one.number):
        if not item.is_deleted:
            items.setdefault(item.list_id, []).append(item)
    return [
        {
            "list_id": one.id,
            "followers": list(one.followers),
            "tasks": [_item(item) for item in items.get(one.id, ())],
        }
        for one in sorted(tenant_state[TASK_LISTS].values(), key=lambda one: one.id)
        if not one.is_deleted
    ]


def _item(item: ListItem) -> Json:
    return {
        "id": str(item.number),
        "subject": item.subject,
        "description": item.description,
        "status": item.status,
        "owner": item.owner_name,
        "owner_id": item.owner_id,
        "blocked_by": [str(number) for number in item.blocked_by],
        "created_at": iso(item.created_at),
        "updated_at": iso(item.updated_at),
        "list_id": item.list_id,
        "item_id": item.id,
        "version": item.version,
    }


def _schedule(schedule: Schedule) -> Json:
    return {
        "id": schedule.id,
        "name": schedule.name,
        "agent_id": schedule.agent_id,
        "schedule": dict(schedule.times),
        "preset": schedule.preset,
        "session_key": schedule.session_key,
        "missed": schedule.missed,
        "status": schedule.status,
        "paused_reason": schedule.paused_reason,
        "next_at": _iso(schedule.next_at),
        "last_at": _iso(schedule.last_at),
        "fired_count": schedule.fired_count,
        "created_at": iso(schedule.created_at),
    }


def _iso(at: Timestamp | None) -> str | None:
    return None if at is None else iso(at)


# -- Tables --------------------------------------------------------------------


def print_session_state(found: Json) -> None:
    print_table(
        "Presets",
        ("name", "updated"),
        [(one["name"], _format_time(one["updated_at"])) for one in found["presets"]],
    )
    print_table(
        "Sessions",
        ("key", "label", "messages", "unread", "id"),
        [
            (
                one["key"],
                one["label"] or "",
                str(one["messageCount"]),
                str(one["unread"]),
                one["id"],
            )
            for one in found["sessions"]
        ],
    )
    print_table(
        "Tasks",
        ("started", "preset", "state", "attempt", "message", "id"),
        [
            (
                _format_time(one["started_at"]),
                one["preset"] or "",
                one["state"],
                f"{one['attempt']} of {one['max_attempts']}",
                one["error"] or one["message"] or "",
                one["task_id"],
            )
            for one in found["tasks"]
        ],
    )
    print_table(
        "Task lists",
        ("list", "number", "subject", "status", "owner", "blocked by"),
        [
            (
                item["list_id"],
                item["id"],
                item["subject"],
                item["status"],
                item["owner"] or "",
                ", ".join(item["blocked_by"]),
            )
            for one in found["taskLists"]
            for item in one["tasks"]
        ],
    )
    print_table(
        "Schedules",
        ("name", "for", "status", "next", "fired", "id"),
        [
            (
                one["name"] or "",
                one["preset"] or one["session_key"] or "",
                one["status"],
                _format_time(one["next_at"] or ""),
                str(one["fired_count"]),
                one["id"],
            )
            for one in found["schedules"]
        ],
    )


def _format_time(time: str) -> str:
    return time[:_SECOND_WIDTH].replace("T", " ")
