"""Notifications of sessions: new messages to their owners, replies and reads to their senders.

Their data have snake_case names. The body is not in the event: it is added when a notification is
written, if it is short and still exists.
"""

from collections.abc import Sequence
from typing import Any

from quorate.domain.shared.notifications import Data, Notification, Rule, Rules, ToAgent

SESSION_BODY_EVENT = "SessionMessageAppended"
SESSION_MESSAGE, SESSION_READ = "session_message", "session_read"


def _appended(data: Data) -> Sequence[Notification]:
    fields: dict[str, Any] = {
        "session_key": data["sessionKey"],
        "message_id": data["messageId"],
        "index": data["index"],
        "role": data["role"],
        "from_agent_id": data.get("fromAgentId"),
        "context": data.get("contextLabel"),
        "in_reply_to": data.get("inReplyTo"),
        "is_reply": "answers" in data,
        "model": data.get("model"),
    }
    notified = dict.fromkeys((data["ownerId"], data.get("askerId")))
    return [
        Notification(audience=ToAgent(agent_id=one), name=SESSION_MESSAGE, data=fields)
        for one in notified
        if one is not None and one != data.get("fromAgentId")
    ]


def _read(data: Data) -> Sequence[Notification]:
    sender = data.get("senderId")
    if sender is None:
        return []
    fields = {
        "session_key": data["sessionKey"],
        "message_id": data["messageId"],
        "index": data["index"],
        "by_agent_id": data["agentId"],
    }
    return [Notification(audience=ToAgent(agent_id=sender), name=SESSION_READ, data=fields)]


RULES: Rules = {
    SESSION_BODY_EVENT: Rule(names=(SESSION_MESSAGE,), notify=_appended),
    "SessionMessageRead": Rule(names=(SESSION_READ,), notify=_read),
}
