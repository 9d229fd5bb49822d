"""Examples of task lists and schedules for the API documents."""

from typing import Any, Final

_AGENT: Final = "agent_a1b2c3d4e5f6"
_NOON: Final = "2026-03-01T12:00:00.000Z"
_NINE: Final = "2026-03-02T08:00:00.000Z"
_ITEM: Final = "item_019ca9b25d007a149b0e6c2f8e4d7a31"
_SCHEDULE: Final = "sched_019ca9b25d007f928d351a7b3c9e5f60"
_WEEKDAYS: Final = {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"}
_PAYLOAD: Final = {
    "kind": "agentTurn",
    "message": "Generate the report and send it as a document.",
    "active_tools": ["write_file", "send_document"],
    "tool_choice": {"type": "any"},
}
_LISTED: Final = {
    "id": _SCHEDULE,
    "name": None,
    "agent_id": _AGENT,
    "schedule": _WEEKDAYS,
    "preset": None,
    "session_key": "agent:outreach-agent:main",
    "missed": "one",
    "status": "active",
    "paused_reason": None,
    "next_at": _NINE,
    "last_at": None,
    "fired_count": 0,
    "created_at": _NOON,
}
_ITEM_1: Final[dict[str, Any]] = {
    "id": "1",
    "subject": "Write the report",
    "description": "",
    "status": "pending",
    "owner": None,
    "owner_id": None,
    "blocked_by": [],
    "created_at": _NOON,
    "updated_at": _NOON,
    "list_id": "weekly",
    "item_id": _ITEM,
    "version": 1,
}

PATH_IDS = {"schedule_id": _SCHEDULE, "scheduleId": _SCHEDULE}
BODIES: dict[str, dict[str, Any]] = {
    "taskList": {"action": "create", "subject": "Write the report", "list_id": "weekly"},
    "schedule": {"action": "create", "schedule": _WEEKDAYS, "payload": _PAYLOAD},
    "pauseSchedule": {"reason": "Too many reports"},
    "resumeSchedule": {"reason": "Fixed"},
}
PROBLEM_DETAILS: dict[str, dict[str, Any]] = {
    "unknown_task_list_action": {"action": "assign"},
    "unknown_task_status": {"requested": "done"},
    "missing_parameter": {"parameter": "id"},
    "task_list_not_found": {"listId": "weekly"},
    "task_list_not_empty": {"listId": "weekly", "count": 2},
    "too_many_task_lists": {"limit": 1_000},
    "too_many_list_items": {"limit": 1_000},
    "too_many_followers": {"limit": 100},
    "too_many_claims": {"limit": 100},
    "blocker_not_found": {"blocker": "7"},
    "blocked_in_circle": {"circle": "1 -> 2 -> 1"},
    "list_item_not_found": {"task": "7"},
    "list_item_not_claimable": {"task": "1", "current": "in_progress"},
    "list_item_blocked": {"task": "2", "blockers": "1"},
    "list_item_blocks": {"task": "1", "blocked": "2"},
    "illegal_transition": {"task": "1", "current": "completed", "requested": "pending"},
    "list_item_owned": {"task": "1", "owner": "other-agent"},
    "version_mismatch": {"task": "1", "version": 3, "expectedVersion": 2},
    "unknown_schedule_action": {"action": "start"},
    "schedule_invalid": {"why": "unknown time zone: Mars/Base"},
    "schedule_not_found": {"scheduleId": _SCHEDULE},
    "too_many_schedules": {"limit": 1_000},
}
NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "list_item_changed": {
        "change": "claimed",
        "list_id": "weekly",
        "id": "1",
        "item_id": _ITEM,
        "subject": "Write the report",
        "version": 2,
        "by_agent_id": _AGENT,
        "owner_id": _AGENT,
        "reason": None,
    },
    "schedule_fired": {
        "schedule_id": _SCHEDULE,
        "name": "report",
        "occurrence_at": _NOON,
        "next_at": _NINE,
        "session_key": "agent:outreach-agent:main",
        "message_id": "smsg_019ca9b25d007f928d351a7b3c9e5f60",
        "preset": None,
        "task_id": None,
    },
}
_SCHEDULE_STATE: dict[str, Any] = {
    "id": _SCHEDULE,
    "agent_id": "agent_a1b2c3d4e5f6",
    "status": "active",
    "paused_reason": None,
    "next_at": "2026-03-02T08:00:00.000Z",
}
RESPONSES: dict[str, Any] = {
    "pauseSchedule": _SCHEDULE_STATE | {"status": "paused", "paused_reason": "operator"},
    "resumeSchedule": _SCHEDULE_STATE,
    "taskList": {
        "ok": True,
        "task": _ITEM_1,
    },
    "schedule": {
        "ok": True,
        "schedule": _LISTED | {"payload": _PAYLOAD},
    },
    "listSchedules": [_LISTED],
    "listListTasks": [_ITEM_1],
}
