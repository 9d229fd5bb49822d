"""Examples of mail for the API documents; ``contracts/examples.py`` joins them with all others."""

from typing import Any, Final

_AGENT: Final = "agent_a1b2c3d4e5f6"
_MESSAGE: Final = "msg_019ca9b25d007a149b0e6c2f8e4d7a31"
_THREAD: Final = "thr_019ca9b25d007f928d351a7b3c9e5f60"
_NOON: Final = "2026-03-01T12:00:00.000Z"
_ONE: Final = "2026-03-01T13:00:00.000Z"
_MIDNIGHT: Final = "2026-03-02T00:00:00.000Z"
_TASK: Final = "TASK:42 \N{EM DASH} Process customer data"
_ANN, _BOB = "ann@agents.localhost", "bob@agents.localhost"

BODIES: dict[str, dict[str, Any]] = {
    "sendMail": {
        "to": [_BOB],
        "subject": _TASK,
        "body_text": '{"task_id": "42"}',
        "ack_required": True,
    },
    "starMessage": {"starred": True},
    "setMailPolicy": {"mode": "contacts_only", "allow": [_ANN], "block": []},
    "setMailTier": {"tier": "trusted"},
    "freezeMailAccount": {"detail": "Complaints"},
    "dropDeadLetter": {"detail": "The address does not exist any more"},
    "markMessageRead": {},
    "markMessageUnread": {},
    "acknowledgeMessage": {},
    "retryDeadLetter": {},
    "thawMailAccount": {},
    "eraseMessage": {"detail": "Requested by the person"},
}
QUERIES: dict[str, dict[str, Any]] = {
    "listInbox": {"unread_only": True, "limit": 20},
    "searchMail": {"q": "customer data"},
}
PATH_IDS = {
    "messageId": _MESSAGE,
    "threadId": _THREAD,
    "deliveryId": f"{_MESSAGE}.0",
    "number": "1",
}
PROBLEM_DETAILS: dict[str, dict[str, Any]] = {
    "recipient_invalid": {"address": "kim", "why": "there is no @ in it"},
    "too_many_recipients": {"limit": 10},
    "subject_too_long": {"lengthMax": 256},
    "daily_quota_exceeded": {
        "quota": "events_per_day",
        "limit": 100_000,
        "resetsAt": _MIDNIGHT,
        "retryAfterSeconds": 43_200,
    },
    "attachment_not_stored": {"why": "erased"},
    "not_schedulable": {"address": _BOB},
    "not_a_dead_letter": {"deliveryStatus": "relayed"},
    "rate_limit_exceeded": {
        "limitType": "hourly",
        "hourlyUsed": 1_000,
        "hourlyLimit": 1_000,
        "hourlyResetsAt": _ONE,
        "dailyUsed": 2_400,
        "dailyLimit": 10_000,
        "dailyResetsAt": _MIDNIGHT,
        "retryAfterSeconds": 1_800,
    },
}
_RECEIVED: dict[str, Any] = {
    "message_id": _MESSAGE,
    "thread_id": _THREAD,
    "from_address": _ANN,
    "from_agent_id": _AGENT,
    "to_addresses": [_BOB],
    "cc_addresses": [],
    "subject": _TASK,
    "body_text": '{"task_id": "42"}',
    "body_html": None,
    "direction": "inbound",
    "status": "delivered",
    "has_attachments": False,
    "attachments": [],
    "read_at": None,
    "starred": False,
    "acked_at": None,
    "importance": "normal",
    "ack_required": True,
    "in_reply_to": None,
    "kind": "TASK",
    "task_id": "42",
    "level": None,
    "erased_at": None,
    "sequence": 42,
    "created_at": _NOON,
}
_RECIPIENTS: list[dict[str, Any]] = [
    {"address": _BOB, "delivery_type": "internal", "status": "delivered", "reason": None}
]
_SENT = _RECEIVED | {"direction": "outbound", "read_at": _NOON, "recipients": _RECIPIENTS}
_PAGE: dict[str, Any] = {"total": 1, "has_more": False, "cursor": "42.42"}
_MARKS: dict[str, Any] = {
    "message_id": _MESSAGE,
    "read_at": _NOON,
    "starred": False,
    "acked_at": None,
}
_LIMIT: dict[str, Any] = {"used": 12, "limit": 1_000, "remaining": 988, "resets_at": _ONE}
_ACCOUNT: dict[str, Any] = {
    "email_address": _ANN,
    "agent_id": _AGENT,
    "status": "active",
    "send_tier": "active",
    "reputation_score": 1.0,
    "total_sent": 12,
    "total_received": 7,
    "total_bounced": 0,
    "total_spam_complaints": 0,
    "unread_count": 2,
    "stored_bytes": 4_096,
    "sending_frozen": False,
    "frozen_reason": None,
    "rate_limits": {
        "hourly": _LIMIT,
        "daily": {"used": 40, "limit": 10_000, "remaining": 9_960, "resets_at": _MIDNIGHT},
    },
    "created_at": _NOON,
}
_POLICY: dict[str, Any] = {"mode": "contacts_only", "allow": [_ANN], "block": []}
_DELIVERY: dict[str, Any] = {
    "id": f"{_MESSAGE}.0",
    "message_id": _MESSAGE,
    "thread_id": _THREAD,
    "agent_id": _AGENT,
    "address": "kim@example.com",
    "status": "dead_lettered",
    "attempts": 12,
    "smtp_code": 451,
    "detail": "4.7.1 Try again later",
    "queued_at": _NOON,
    "next_attempt_at": None,
    "updated_at": _MIDNIGHT,
}
RESPONSES: dict[str, Any] = {
    "sendMail": {
        "message_id": _MESSAGE,
        "thread_id": _THREAD,
        "status": "delivered",
        "delivery_type": "internal",
        "message": "The message was delivered.",
        "recipients": _RECIPIENTS,
    },
    "listInbox": {"messages": [_RECEIVED], "unread_count": 2, **_PAGE},
    "listSentMail": {"messages": [_SENT], **_PAGE},
    "getMessage": _RECEIVED | {"read_at": _NOON},
    "getThread": {
        "thread_id": _THREAD,
        "subject": _TASK,
        "participant_addresses": [_ANN, _BOB],
        "messages": [_SENT],
        "has_more": False,
        "cursor": "42.42",
    },
    "searchMail": {
        "messages": [_RECEIVED | {"snippet": "Process **customer** **data**"}],
        **_PAGE,
    },
    "receiveMail": {
        "message_id": _MESSAGE,
        "accepted": [_BOB],
        "rejected": [{"address": "zoe@agents.localhost", "reason": "no_such_agent"}],
    },
    "starMessage": {"starred": True},
    "markMessageRead": _MARKS,
    "markMessageUnread": _MARKS | {"read_at": None},
    "acknowledgeMessage": _MARKS | {"acked_at": _NOON},
    "deleteMessage": {"deleted": True},
    "eraseMessage": {"message_id": _MESSAGE, "erased_at": _NOON},
    "getMailAccount": _ACCOUNT,
    "getMailPolicy": _POLICY,
    "setMailPolicy": _POLICY,
    "getUnreadMail": {"unread": 7, "mailboxes": 2},
    "listDeadLetters": [_DELIVERY],
    "retryDeadLetter": _DELIVERY
    | {"status": "queued", "attempts": 0, "next_attempt_at": _MIDNIGHT},
    "dropDeadLetter": _DELIVERY | {"status": "dropped"},
    "freezeMailAccount": _ACCOUNT
    | {"status": "frozen", "sending_frozen": True, "frozen_reason": "operator"},
    "thawMailAccount": _ACCOUNT,
    "setMailTier": _ACCOUNT | {"send_tier": "trusted"},
}
