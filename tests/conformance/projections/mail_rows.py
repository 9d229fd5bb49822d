"""Sample states of the mail read models, and the column values that are no field of them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Table

from quorate.domain.mail.accounts import MailAccount, MailPolicy
from quorate.domain.mail.deliveries import Delivery
from quorate.domain.mail.mailbox_entries import MailEntry
from quorate.domain.mail.messages import Message, RecipientState
from quorate.domain.mail.threads import MailThread
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.mail import accounts, deliveries, mailboxes, messages, threads

Write: TypeAlias = Callable[[str, str, Any], tuple[Any, ...]]
Sample: TypeAlias = tuple[Any, Write, Callable[[Any], Any], Mapping[str, Any]]

DELIVERY = Delivery(
    id="msg_1.0",
    message_id="msg_1",
    thread_id="thr_1",
    agent_id="agent_20",
    address="Kim@Example.com",
    contact_key="kim@example.com",
    status="deferred",
    queued_at=Timestamp(40),
    fence=41,
    attempts=42,
    next_attempt_at=Timestamp(43),
    updated_at=Timestamp(44),
    smtp_code=451,
    detail="later",
)
ACCOUNT = MailAccount(
    id="agent_21",
    created_at=Timestamp(45),
    tier="trusted",
    hour=46,
    hour_used=47,
    day=48,
    day_used=49,
    total_sent=50,
    total_received=51,
    total_bounced=52,
    total_complaints=53,
    unread=54,
    stored_bytes=55,
    outcomes="101",
    frozen_at=Timestamp(56),
    frozen_reason="operator",
    policy=MailPolicy(mode="closed", allow=("a",), block=("b",)),
)
THREAD = MailThread(
    id="thr_2",
    subject="first",
    created_at=Timestamp(57),
    addresses=("ann@x",),
    agent_ids=("agent_22",),
)
MESSAGE = Message(
    id="msg_3",
    thread_id="thr_3",
    sequence=58,
    created_at=Timestamp(59),
    from_address="ann@y",
    to=("bob@y",),
    cc=("cid@y",),
    subject="second",
    contents=(ContentRef(part="text", sha256="0" * 64, bytes=60),),
    sender_id="agent_23",
    kind="TASK",
    task_id="42",
    level=71,
    in_reply_to="msg_0",
    fence=72,
    scheduled_at=Timestamp(73),
    recipients=(RecipientState(address="bob@y", delivery_type="internal", status="delivered"),),
    erase_at=Timestamp(61),
    erased_at=Timestamp(62),
    rfc_message_id="<1@z>",
    is_deleted_by_sender=True,
)
ENTRY = MailEntry(
    id="msg_4/agent_24",
    message_id="msg_4",
    agent_id="agent_24",
    sequence=63,
    thread_id="thr_4",
    address="bob@v",
    from_address="ann@v",
    subject="third",
    delivered_at=Timestamp(64),
    bytes=65,
    sender_id="agent_25",
    kind="RESULT",
    task_id="43",
    read_at=Timestamp(66),
    starred=True,
    acked_at=Timestamp(67),
    deleted_at=Timestamp(68),
    ack_required=False,
    ack_due_at=Timestamp(69),
    reminded_at=Timestamp(70),
)


def samples(tenant: str) -> Mapping[Table, Sample]:
    own = {"tenant": tenant}
    details = messages.to_row(tenant, MESSAGE.id, MESSAGE)[-1]
    return {
        deliveries.TABLE: (DELIVERY, deliveries.to_row, deliveries.from_row, own),
        accounts.TABLE: (
            ACCOUNT,
            accounts.to_row,
            accounts.from_row,
            {**own, "policy": '["closed",["a"],["b"]]'},
        ),
        threads.TABLE: (
            THREAD,
            threads.to_row,
            threads.from_row,
            {**own, "addresses": '["ann@x"]', "agent_ids": '["agent_22"]'},
        ),
        messages.TABLE: (MESSAGE, messages.to_row, messages.from_row, {**own, "details": details}),
        mailboxes.TABLE: (ENTRY, mailboxes.to_row, mailboxes.from_row, own),
    }
