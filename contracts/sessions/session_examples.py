"""Examples of sessions for the API documents: the requests of seed 003, and notifications."""

from typing import Any, Final

_AGENT: Final = "agent_a1b2c3d4e5f6"
_MESSAGE: Final = "smsg_019ca9b25d007a149b0e6c2f8e4d7a31"
_KEY: Final = "agent:coder:main"

BODIES: dict[str, dict[str, Any]] = {
    "sessionsList": {"filter": "optional text", "limit": 20},
    "sessionsHistory": {"key": "agent:research:main", "limit": 20, "offset": 0},
    "sessionsSearch": {"query": "checkpoint rollback", "limit": 5, "exclude_current": True},
    "sessionsSend": {
        "key": _KEY,
        "message": "Please implement JWT middleware",
        "wait_for_reply": True,
        "context": "coordinator",
    },
    "sessionsCreate": {"label": "JWT middleware"},
    "sessionsDelete": {"key": "session:019ca9b2-5d00-7a14-9b0e-6c2f8e4d7a31"},
    "branchSession": {"label": "another approach", "fork_point": 4},
    "sessionState": {
        "operation": "set",
        "namespace": "plan",
        "key": "step",
        "value": {"number": 3},
    },
    "eraseSessionMessage": {"detail": "Requested by the person"},
}
PATH_IDS = {"sessionMessageId": _MESSAGE, "session_message_id": _MESSAGE}
PROBLEM_DETAILS: dict[str, dict[str, Any]] = {
    "tool_denied": {"tool": "sessions_send"},
    "session_access_denied": {"key": _KEY},
    "session_not_found": {"key": _KEY},
    "session_key_invalid": {"key": "main"},
    "session_has_branches": {"key": _KEY},
    "session_not_owned": {"key": _KEY},
    "fork_point_too_large": {"forkPoint": 9, "messageCount": 4},
    "too_many_branches": {"limit": 32},
    "session_message_not_found": {"messageId": _MESSAGE},
    "too_many_session_values": {"limit": 256},
    "session_body_too_large": {"bytesMax": 262_144},
    "session_value_too_large": {"bytesMax": 65_536},
}
NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "session_message": {
        "session_key": _KEY,
        "message_id": _MESSAGE,
        "index": 7,
        "role": "user",
        "from_agent_id": _AGENT,
        "context": "coordinator",
        "in_reply_to": None,
        "is_reply": False,
        "model": None,
        "content": "Please implement JWT middleware",
    },
    "session_read": {
        "session_key": _KEY,
        "message_id": _MESSAGE,
        "index": 7,
        "by_agent_id": _AGENT,
    },
}
_NOON: Final = "2026-03-01T12:00:00.000Z"
_SESSION: Final[dict[str, Any]] = {
    "id": "ses_main_a1b2c3d4e5f6",
    "key": _KEY,
    "label": None,
    "model": None,
    "messageCount": 8,
    "createdAt": _NOON,
    "updatedAt": _NOON,
    "projectId": None,
    "agentId": _AGENT,
    "version": 9,
    "unread": 1,
    "parentId": None,
    "forkPoint": None,
}
_SENT: Final[dict[str, Any]] = {
    "id": _MESSAGE,
    "session_key": _KEY,
    "index": 7,
    "sequence": 42,
    "role": "user",
    "content": "Please implement JWT middleware",
    "from": _AGENT,
    "context": "coordinator",
    "in_reply_to": None,
    "reply_id": None,
    "model": None,
    "created_at": _NOON,
    "read_at": None,
    "erased_at": None,
}
_STATE: Final = {"operation": "set", "namespace": "plan", "sessionKey": _KEY, "key": "step"}
RESPONSES: dict[str, Any] = {
    "listSessions": [
        _SESSION
        | {
            "lastMessage": {
                "id": _MESSAGE,
                "index": 7,
                "role": "user",
                "agentId": _AGENT,
                "bytes": 31,
                "createdAt": _NOON,
                "text": "Please implement JWT middleware",
            }
        }
    ],
    "sessionsList": {"sessions": [_SESSION], "count": 1, "nextCursor": None},
    "sessionsHistory": {
        "key": _KEY,
        "label": None,
        "messages": [_SENT],
        "totalMessages": 8,
        "offset": 0,
        "count": 1,
        "hasMore": True,
        "nextCursor": "7",
        "unread": 1,
    },
    "sessionsSearch": {
        "query": "JWT",
        "count": 1,
        "results": [
            _SESSION
            | {
                "nodeId": None,
                "snippet": "Please implement JWT middleware",
                "role": "user",
                "messageIndex": 7,
                "messageId": _MESSAGE,
            }
        ],
    },
    "sessionsSend": {
        "key": _KEY,
        "label": None,
        "sent": True,
        "waitForReply": False,
        "message_id": _MESSAGE,
        "index": 7,
        "replied": False,
        "reply": None,
        "result": {"ok": True, "text": None},
    },
    "sessionsCreate": {"key": _KEY, "created": False, "result": _SESSION},
    "sessionsDelete": {
        "key": "session:019ca9b2-5d00-7a14-9b0e-6c2f8e4d7a31",
        "deleted": True,
        "result": {"ok": True},
    },
    "branchSession": {
        "sessionKey": "session:019ca9b2-5d00-7a14-9b0e-6c2f8e4d7a31",
        "id": "ses_019ca9b25d007a149b0e6c2f8e4d7a31",
        "label": "another approach",
        "forkPoint": 4,
        "messageCount": 4,
    },
    "sessionState": _STATE | {"found": True, "value": None},
    "eraseSessionMessage": {"message_id": _MESSAGE, "erased_at": _NOON},
}
