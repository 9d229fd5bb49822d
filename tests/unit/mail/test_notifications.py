"""Who is notified of what in mail, and with which data."""

import json
from typing import Any

import pytest

from quorate.domain.mail.delivery_attempts import BeginDelivery
from quorate.domain.mail.mailbox import AcknowledgeMessage, MarkRead, StarMessage
from quorate.domain.mail.mailbox_entries import entry_id
from quorate.domain.mail.notifications import snake
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.registry import notifications_of
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.notifications import ToAgent
from quorate.domain.shared.state import Command
from quorate.eventlog.serialization import encode
from tests.unit.support.sample_commands import KIM, acquire, id_of
from tests.unit.support.sample_mail import (
    KIM_MAIL,
    accept_mail,
    address_of,
    agents_with_mail,
    fail,
    mail,
    marks,
    of_delivery,
)
from tests.unit.support.specification import Outcome, Scenario, after

Sent = list[tuple[str, str, dict[str, Any]]]


def notified(outcome: Outcome, *events: str) -> Sent:
    """Return recipient, name and data of the notifications of these events."""
    found = []
    for event in outcome.events:
        name = type(event).__name__
        if name in events:
            for one in notifications_of(name, json.loads(encode(event))):
                assert isinstance(one.audience, ToAgent)
                found.append((one.audience.agent_id, one.name, dict(one.data)))
    return found


def run(scenario: Scenario, command: Command) -> Outcome:
    outcome = scenario.execute(command, scenario.now)
    assert outcome.rejection is None
    return outcome


def test_recipient_learns_of_a_message() -> None:
    scenario = agents_with_mail("ann", "bob")
    command = mail("ann", "bob", subject="TASK:7", importance="high", ack_required=True)
    assert notified(run(scenario, command), "MessageDelivered") == [
        (
            id_of("bob"),
            "message_received",
            {
                "message_id": "msg_1",
                "thread_id": "thr_msg_1",
                "sequence": 3,
                "from_address": address_of("ann"),
                "subject": "TASK:7",
                "kind": "TASK",
                "task_id": "7",
                "level": None,
                "importance": "high",
                "ack_required": True,
                "in_reply_to": None,
            },
        )
    ]


def marked(status: str) -> dict[str, Any]:
    absent = dict.fromkeys(("address", "reason", "detail"))
    return {"status": status, "message_id": "msg_1", "by_agent_id": id_of("bob"), **absent}


def test_sender_learns_of_marks_if_it_asked() -> None:
    scenario = agents_with_mail("ann", "bob")
    run(scenario, mail("ann", "bob", ack_required=True))
    outcome = run(scenario, marks(AcknowledgeMessage, "bob"))
    assert notified(outcome, "MessageRead", "MessageAcknowledged") == [
        (
            id_of("ann"),
            "message_status",
            marked(status),
        )
        for status in ("read", "acknowledged")
    ]


def test_other_marks_notify_no_agent() -> None:
    scenario = agents_with_mail("ann", "bob")
    run(scenario, mail("ann", "bob"))
    for kind in (MarkRead, StarMessage):
        outcome = run(scenario, marks(kind, "bob"))
        assert notified(outcome, "MessageRead", "MessageStarred") == []


def test_missing_acknowledgement_is_notified_to_the_reader_then_to_the_sender() -> None:
    scenario = agents_with_mail("ann", "bob")
    run(scenario, mail("ann", "bob", subject="Hi", ack_required=True))
    due = RecordDue(aggregate="mail_entry", id=entry_id("msg_1", id_of("bob")))
    first, second = (scenario.execute(due, after(hours=hours)) for hours in (1, 2))
    reminder = {"message_id": "msg_1", "subject": "Hi", "from_address": address_of("ann")}
    assert notified(first, "AcknowledgementReminded") == [
        (id_of("bob"), "acknowledgement_due", reminder)
    ]
    overdue = marked("ack_overdue")
    assert notified(second, "AcknowledgementOverdue") == [(id_of("ann"), "message_status", overdue)]


@pytest.mark.parametrize(
    ("to", "status", "reason"),
    [("nobody", "bounced", "no_such_agent"), ("bob", "blocked", "contact_blocked")],
)
def test_sender_learns_of_refusals(to: str, status: str, reason: str) -> None:
    scenario = agents_with_mail("ann", "bob")
    run(scenario, accept_mail("bob", "closed"))
    [(who, name, data)] = notified(run(scenario, mail("ann", to)), "MessageRefused")
    assert (who, name, data["status"], data["reason"]) == (
        *(id_of("ann"), "message_status", status),
        reason,
    )
    assert data["address"] == address_of(to)


def test_both_agents_learn_of_a_block_before_an_attempt() -> None:
    scenario = agents_with_mail("ann", "bob")
    run(scenario, mail("ann", KIM_MAIL))
    run(scenario, acquire("bob", KIM))
    begin = of_delivery(BeginDelivery, contact_key=KIM.key, agent_id=id_of("ann"))
    sender, holder = notified(run(scenario, begin), "MessageBlocked")

    assert sender[:2] == (id_of("ann"), "message_status")
    assert (sender[2]["status"], sender[2]["reason"]) == ("blocked", "lease_conflict")
    assert holder[:2] == (id_of("bob"), "send_blocked")
    assert holder[2]["contactKey"] == KIM.key
    assert not {"subject", "messageId", "threadId"} & holder[2].keys()


def test_stale_fence_concerns_only_the_sender() -> None:
    scenario = agents_with_mail("ann")
    [found] = notified(run(scenario, mail("ann", KIM_MAIL, fence=1)), "MessageBlocked")
    assert found[:2] == (id_of("ann"), "message_status")


@pytest.mark.parametrize(
    ("failure", "event", "status"),
    [
        (fail(permanent=True, detail="550 no"), "MessageBounced", "bounced"),
        (
            fail(policy=RetryPolicy(hours=0), detail="550 no"),
            "MessageDeadLettered",
            "dead_lettered",
        ),
    ],
)
def test_sender_learns_of_failed_deliveries(failure: Command, event: str, status: str) -> None:
    scenario = agents_with_mail("ann")
    run(scenario, mail("ann", KIM_MAIL))
    [(who, _, data)] = notified(run(scenario, failure), event)
    assert (who, data["status"], data["detail"]) == (id_of("ann"), status, "550 no")


def test_names_of_data_are_snake_case() -> None:
    assert snake("inReplyTo") == "in_reply_to"
    assert snake("id") == "id"
