"""Notifications of mail: new messages, what became of sent ones, and missing acknowledgements.

Their data have snake_case names, as all of mail. ``body_text`` is not in the event: it is
added when a notification of ``BODY_EVENT`` is written, if it is short and still exists.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from quorate.domain.coordination.send_gate import LEASE_CONFLICT
from quorate.domain.shared.notifications import Data, Notification, Rule, Rules, ToAgent

# The longest body that a notification contains, in bytes of UTF-8.
NOTIFIED_BODY_BYTES_MAX = 16 * 1_024
NAMES_CACHED_MAX = 256
BODY_EVENT = "MessageDelivered"
MESSAGE_RECEIVED = "message_received"
StatusName: TypeAlias = Literal[
    "read", "acknowledged", "ack_overdue", "bounced", "blocked", "dead_lettered", "cancelled"
]
_STATUS = "message_status"
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_RECEIVED = (
    *("messageId", "threadId", "sequence", "fromAddress", "subject", "kind", "taskId", "level"),
    *("importance", "ackRequired", "inReplyTo"),
)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def snake(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()


def _data(data: Data, names: Sequence[str]) -> dict[str, Any]:
    return {snake(name): data.get(name) for name in names}


def _to(agent_id: str, name: str, data: Data) -> Notification:
    return Notification(audience=ToAgent(agent_id=agent_id), name=name, data=data)


def _received(data: Data) -> Sequence[Notification]:
    return [_to(data["agentId"], MESSAGE_RECEIVED, _data(data, _RECEIVED))]


def _to_sender(
    sender_id: str, status: StatusName, data: Data, by_agent_id: str | None = None
) -> Notification:
    fields = {
        "status": status,
        "message_id": data["messageId"],
        "address": data.get("address"),
        "by_agent_id": by_agent_id,
        "reason": data.get("reason"),
        "detail": data.get("detail"),
    }
    return _to(sender_id, _STATUS, fields)


def _status(status: StatusName) -> Rule:
    """Notify the sender of what became of its message for one recipient."""

    def notify(data: Data) -> Sequence[Notification]:
        return [_to_sender(data["agentId"], status, data)]

    return Rule(names=(_STATUS,), notify=notify)


def _mark(status: StatusName) -> Rule:
    """Notify the sender, where it is to be notified, of what a recipient did."""

    def notify(data: Data) -> Sequence[Notification]:
        sender = data.get("senderId")
        if sender is None:
            return []
        return [_to_sender(sender, status, data, data["agentId"])]

    return Rule(names=(_STATUS,), notify=notify)


def _blocked(data: Data) -> Sequence[Notification]:
    """Notify the sender, and the agent that holds the contact, which learns no more than that."""
    (to_sender,) = _status("blocked").notify(data)
    if data["reason"] != LEASE_CONFLICT:
        return [to_sender]
    holder_id = data["holderId"]
    gate = {
        "sendId": data["deliveryId"],
        "contactKey": data["contactKey"],
        "contactEmail": data["address"],
        "agentId": data["agentId"],
        "agentName": data["agentName"],
        "reason": data["reason"],
        "conflict": True,
        "leaseHolder": {
            "agentId": holder_id,
            "agentName": data["holderName"],
            "expiresAt": data["expiresAt"],
        },
    }
    return [to_sender, _to(holder_id, "send_blocked", gate)]


def _refused(data: Data) -> Sequence[Notification]:
    status: StatusName = "blocked" if data["reason"] == "contact_blocked" else "bounced"
    return _status(status).notify(data)


def _reminded(data: Data) -> Sequence[Notification]:
    reminder = _data(data, ("messageId", "subject", "fromAddress"))
    return [_to(data["agentId"], "acknowledgement_due", reminder)]


RULES: Rules = {
    BODY_EVENT: Rule(names=(MESSAGE_RECEIVED,), notify=_received, to="agentId"),
    "MessageRead": _mark("read"),
    "MessageAcknowledged": _mark("acknowledged"),
    "AcknowledgementReminded": Rule(names=("acknowledgement_due",), notify=_reminded),
    "AcknowledgementOverdue": _mark("ack_overdue"),
    "MessageBlocked": Rule(names=(_STATUS, "send_blocked"), notify=_blocked),
    "MessageRefused": Rule(names=(_STATUS,), notify=_refused),
    "MessageBounced": _status("bounced"),
    "MessageDeadLettered": _status("dead_lettered"),
    "MessageCancelled": _status("cancelled"),
}
