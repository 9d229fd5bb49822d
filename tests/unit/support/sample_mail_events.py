"""Sample events of mail: Ann sent a message to Bob and to Kim, who is outside."""

from typing import Any

from quorate.domain.mail.accounts import (
    MailPolicySet,
    MailSendingFrozen,
    MailSendingThawed,
    MailTierSet,
)
from quorate.domain.mail.deliveries import (
    ComplaintReceived,
    DeadLetterDropped,
    MessageBlocked,
    MessageBounced,
    MessageCancelled,
    MessageDeadLettered,
    MessageDeferred,
    MessageHeld,
    MessageQueued,
    MessageRefused,
    MessageRelayed,
)
from quorate.domain.mail.mailbox_entries import (
    AcknowledgementOverdue,
    AcknowledgementReminded,
    MailboxFreed,
    MessageAcknowledged,
    MessageDeleted,
    MessageDelivered,
    MessageRead,
    MessageStarred,
    MessageUnread,
)
from quorate.domain.mail.messages import MessageErased, MessageReceived, MessageSent
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.contents import ContentRef
from tests.unit.support.sample_commands import KIM, id_of
from tests.unit.support.specification import NOON, after

ANN, BOB, CID = id_of("ann"), id_of("bob"), id_of("cid")
ANN_ADDRESS, BOB_ADDRESS = "ann@agents.localhost", "bob@agents.localhost"
MESSAGE, THREAD, DELIVERY = "msg_1", "thr_1", "msg_1.1"
SUBJECT = "TASK:7: find leads"
TEXT = ContentRef(part="text", sha256="5eed", bytes=12)
_IN_MAILBOX: dict[str, Any] = {"message_id": MESSAGE, "agent_id": BOB}
_OF_DELIVERY: dict[str, Any] = {
    "delivery_id": DELIVERY,
    "message_id": MESSAGE,
    "agent_id": ANN,
    "address": KIM.email,
}
_ATTEMPTED: dict[str, Any] = {
    **_OF_DELIVERY,
    "attempts": 2,
    "smtp_code": 450,
    "detail": "450 try again",
}

SENT = MessageSent(
    message_id=MESSAGE,
    thread_id=THREAD,
    sequence=7,
    from_address=ANN_ADDRESS,
    to=(BOB_ADDRESS,),
    cc=(KIM.email,),
    subject=SUBJECT,
    contents=(TEXT,),
    importance="high",
    agent_id=ANN,
    agent_name="ann",
    ack_required=True,
)
RECEIVED = MessageReceived(
    message_id=MESSAGE,
    thread_id=THREAD,
    sequence=7,
    from_address=KIM.email,
    to=(BOB_ADDRESS,),
    cc=(),
    subject="Hello",
    contents=(TEXT,),
    importance="normal",
    attachments=(),
)
DELIVERED = MessageDelivered(
    message_id=MESSAGE,
    thread_id=THREAD,
    sequence=7,
    agent_id=BOB,
    address=BOB_ADDRESS,
    from_address=ANN_ADDRESS,
    subject=SUBJECT,
    bytes=12,
    importance="high",
    ack_required=True,
    sender_id=ANN,
    kind="TASK",
    task_id="7",
    level=2,
    in_reply_to="msg_0",
    ack_minutes=30.0,
)
READ = MessageRead(**_IN_MAILBOX, sender_id=ANN)
ACKNOWLEDGED = MessageAcknowledged(**_IN_MAILBOX, sender_id=ANN)
REMINDED = AcknowledgementReminded(**_IN_MAILBOX, subject=SUBJECT, from_address=ANN_ADDRESS)
OVERDUE = AcknowledgementOverdue(**_IN_MAILBOX, sender_id=ANN)
BLOCKED = MessageBlocked(
    **_OF_DELIVERY,
    thread_id=THREAD,
    contact_key=KIM.key,
    agent_name="ann",
    reason="lease_conflict",
    holder_id=CID,
    holder_name="cid",
    expires_at=after(minutes=30),
)
REFUSED = MessageRefused(
    message_id=MESSAGE,
    agent_id=ANN,
    address="nobody@agents.localhost",
    reason="no_such_agent",
)
BOUNCED = MessageBounced(**_ATTEMPTED, reason="rejected")
CANCELLED = MessageCancelled(**_OF_DELIVERY, reason="erased")
DEAD_LETTERED = MessageDeadLettered(**_ATTEMPTED)

NOTIFYING: tuple[Event, ...] = (
    *(DELIVERED, READ, ACKNOWLEDGED, REMINDED, OVERDUE),
    *(BLOCKED, REFUSED, BOUNCED, DEAD_LETTERED, CANCELLED),
)
# The caller has the response, and no other agent must act on them.
SILENT: tuple[Event, ...] = (
    SENT,
    RECEIVED,
    MessageErased(message_id=MESSAGE, reason="requested"),
    MessageUnread(**_IN_MAILBOX),
    MessageStarred(**_IN_MAILBOX, starred=True, is_sent=False),
    MessageDeleted(**_IN_MAILBOX, was_unread=True, bytes=12, is_sent=False),
    MailboxFreed(**_IN_MAILBOX, bytes=12),
    MessageQueued(**_OF_DELIVERY, thread_id=THREAD, contact_key=KIM.key, next_attempt_at=NOON),
    MessageHeld(**_OF_DELIVERY, thread_id=THREAD, contact_key=KIM.key, reason="no_relay"),
    MessageRelayed(**_ATTEMPTED),
    MessageDeferred(**_ATTEMPTED, next_attempt_at=after(minutes=1)),
    DeadLetterDropped(**_OF_DELIVERY),
    ComplaintReceived(**_OF_DELIVERY),
    MailPolicySet(agent_id=ANN, mode="open", allow=(), block=()),
    MailSendingFrozen(agent_id=ANN, reason="operator"),
    MailSendingThawed(agent_id=ANN),
    MailTierSet(agent_id=ANN, tier="trusted"),
)
