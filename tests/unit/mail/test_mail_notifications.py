"""Each event of mail notifies the agents that it concerns, and tells them no more than that."""

import json
from dataclasses import replace
from typing import Any

import pytest

from quorate.domain.mail.notifications import BODY_EVENT, RULES
from quorate.domain.registry import notifications_of
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.notifications import Notification, ToAgent
from quorate.eventlog.serialization import encode
from tests.unit.support.sample_commands import KIM
from tests.unit.support.sample_mail_events import (
    ACKNOWLEDGED,
    ANN,
    ANN_ADDRESS,
    BLOCKED,
    BOB,
    BOUNCED,
    CANCELLED,
    CID,
    DEAD_LETTERED,
    DELIVERED,
    DELIVERY,
    MESSAGE,
    NOTIFYING,
    OVERDUE,
    READ,
    REFUSED,
    REMINDED,
    SUBJECT,
    THREAD,
)

STATUS = {
    "message_id": MESSAGE,
    "address": None,
    "by_agent_id": None,
    "reason": None,
    "detail": None,
}


def notifications(event: Event) -> list[Notification]:
    return list(notifications_of(type(event).__name__, json.loads(encode(event))))


def only(event: Event) -> tuple[str, str, Any]:
    """Return the recipient, the name and the data of the only notification."""
    [found] = notifications(event)
    return found.recipient, found.name, found.data


def test_every_rule_has_an_example() -> None:
    assert {type(event).__name__ for event in NOTIFYING} == set(RULES)
    assert type(DELIVERED).__name__ == BODY_EVENT


@pytest.mark.parametrize("event", NOTIFYING, ids=lambda event: type(event).__name__)
def test_notifications_have_the_names_of_their_rule(event: Event) -> None:
    names = {one.name for one in notifications(event)}

    assert names == set(RULES[type(event).__name__].names)


def test_delivery_notifies_the_recipient_only() -> None:
    assert only(DELIVERED) == (
        BOB,
        "message_received",
        {
            "message_id": MESSAGE,
            "thread_id": THREAD,
            "sequence": 7,
            "from_address": ANN_ADDRESS,
            "subject": SUBJECT,
            "kind": "TASK",
            "task_id": "7",
            "level": 2,
            "importance": "high",
            "ack_required": True,
            "in_reply_to": "msg_0",
        },
    )


def test_delivery_of_a_plain_message_has_null_for_what_it_lacks() -> None:
    plain = replace(DELIVERED, kind=None, task_id=None, level=None, in_reply_to=None)
    (_, _, data) = only(plain)

    assert {name for name, value in data.items() if value is None} == {
        *("kind", "task_id", "level", "in_reply_to")
    }


@pytest.mark.parametrize(
    ("event", "status"),
    [(READ, "read"), (ACKNOWLEDGED, "acknowledged"), (OVERDUE, "ack_overdue")],
)
def test_sender_is_notified_of_what_a_recipient_did(event: Event, status: str) -> None:
    marked = STATUS | {"status": status, "by_agent_id": BOB}

    assert only(event) == (ANN, "message_status", marked)
    assert notifications(replace(event, sender_id=None)) == []


@pytest.mark.parametrize(
    ("event", "changes"),
    [
        (REFUSED, {"status": "bounced", "reason": "no_such_agent"}),
        (replace(REFUSED, reason="contact_blocked"), {"reason": "contact_blocked"}),
        (BOUNCED, {"status": "bounced", "reason": "rejected", "detail": BOUNCED.detail}),
        (DEAD_LETTERED, {"status": "dead_lettered", "detail": DEAD_LETTERED.detail}),
        (CANCELLED, {"status": "cancelled", "reason": "erased"}),
    ],
)
def test_sender_is_notified_of_what_was_not_delivered(event: Any, changes: Any) -> None:  # noqa: ANN401
    expected = STATUS | {"status": "blocked", "address": event.address} | changes

    assert only(event) == (ANN, "message_status", expected)


def test_block_by_a_lease_notifies_sender_and_holder() -> None:
    sender, holder = notifications(BLOCKED)

    assert (sender.audience, sender.name) == (ToAgent(agent_id=ANN), "message_status")
    assert sender.data == STATUS | {
        "status": "blocked",
        "address": KIM.email,
        "reason": "lease_conflict",
    }
    assert (holder.audience, holder.name) == (ToAgent(agent_id=CID), "send_blocked")
    assert holder.data == {
        "sendId": DELIVERY,
        "contactKey": KIM.key,
        "contactEmail": KIM.email,
        "agentId": ANN,
        "agentName": "ann",
        "reason": "lease_conflict",
        "conflict": True,
        "leaseHolder": {
            "agentId": CID,
            "agentName": "cid",
            "expiresAt": "2026-03-01T12:30:00.000Z",
        },
    }


@pytest.mark.parametrize("reason", ["stale_fence", "sending_frozen"])
def test_block_without_a_holder_notifies_the_sender_only(reason: Any) -> None:  # noqa: ANN401
    event = replace(BLOCKED, reason=reason, holder_id=None, holder_name=None, expires_at=None)
    (recipient, name, data) = only(event)

    assert (recipient, name, data["reason"]) == (ANN, "message_status", reason)


def test_reminder_notifies_the_recipient_only() -> None:
    reminder = {"message_id": MESSAGE, "subject": SUBJECT, "from_address": ANN_ADDRESS}

    assert only(REMINDED) == (BOB, "acknowledgement_due", reminder)


@pytest.mark.parametrize("event", NOTIFYING, ids=lambda event: type(event).__name__)
def test_no_notification_reveals_hashes_or_sizes(event: Event) -> None:
    for one in notifications(event):
        assert not {"bytes", "sha256", "contents"} & set(one.data)
