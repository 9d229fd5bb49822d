"""Example data of the notifications of mail."""

from typing import Any

_MESSAGE_ID = "msg_019ca9b25d007f928d351a7b3c9e5f60"
_SENDER = "coordinator@agents.localhost"
_SUBJECT = "TASK:7: Find leads"

MAIL_NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "message_received": {
        "message_id": _MESSAGE_ID,
        "thread_id": "thr_019ca9b25d007c7f90b5a0c5d1e8f00a",
        "sequence": 41,
        "from_address": _SENDER,
        "subject": _SUBJECT,
        "kind": "TASK",
        "task_id": "7",
        "level": None,
        "importance": "normal",
        "ack_required": True,
        "in_reply_to": None,
        "body_text": "Find ten companies that use NATS.",
    },
    "message_status": {
        "status": "bounced",
        "message_id": _MESSAGE_ID,
        "address": "unknown@agents.localhost",
        "by_agent_id": None,
        "reason": "no_such_agent",
        "detail": None,
    },
    "acknowledgement_due": {
        "message_id": _MESSAGE_ID,
        "subject": _SUBJECT,
        "from_address": _SENDER,
    },
}
