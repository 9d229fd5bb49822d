"""Marks of a mailbox, deletion, acknowledgements in time, erasure, and mail from outside."""

from typing import Any

import pytest

from quorate.domain.mail.mailbox import (
    AcknowledgeMessage,
    DeleteMessage,
    MarkRead,
    MarkUnread,
    StarMessage,
)
from quorate.domain.mail.mailbox_entries import MAIL_ENTRIES, MailEntry, entry_id
from quorate.domain.mail.messages import MESSAGES, MessageErased, MessageNotFound
from quorate.domain.mail.receiving import Reception, Rejection
from quorate.domain.mail.settings import MailSettings
from quorate.domain.mail.threads import MAIL_THREADS
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.quotas import Quotas
from tests.unit.support.sample_commands import deregister, id_of
from tests.unit.support.sample_mail import (
    DOMAIN,
    KIM_MAIL,
    accept_mail,
    account_in,
    address_of,
    agents_with_mail,
    delete,
    erase,
    incoming,
    kinds,
    mail,
    marks,
)
from tests.unit.support.specification import NOON, Outcome, Scenario, after

EXPIRING = MailSettings(domain=DOMAIN, retention_days=1.0)
FIVE_MINUTES = MailSettings(domain=DOMAIN, ack_minutes=5.0)


def entry_of(scenario: Scenario, name: str, message: str = "msg_1") -> MailEntry:
    return scenario.tenant_state[MAIL_ENTRIES][entry_id(message, id_of(name))]


def mark(scenario: Scenario, kind: type[Any], name: str, **more: Any) -> Outcome:  # noqa: ANN401
    return scenario.execute(marks(kind, name, **more), scenario.now)


def with_message(*, to: tuple[str, ...] = ("bob",), **more: Any) -> Scenario:  # noqa: ANN401
    scenario = agents_with_mail("ann", "bob", "cat")
    assert scenario.execute(mail("ann", *to, **more), NOON).rejection is None
    return scenario


# -- Marks ---------------------------------------------------------------------


def test_read_marks_of_one_mailbox() -> None:
    scenario = with_message(to=("bob", "cat"))
    assert kinds(mark(scenario, MarkRead, "bob")) == ["MessageRead"]
    assert kinds(mark(scenario, MarkRead, "bob")) == []
    assert (account_in(scenario, "bob").unread, account_in(scenario, "cat").unread) == (0, 1)

    assert kinds(mark(scenario, MarkUnread, "bob")) == ["MessageUnread"]
    assert kinds(mark(scenario, MarkUnread, "bob")) == []
    assert account_in(scenario, "bob").unread == 1


def test_star_is_set_removed_and_toggled() -> None:
    scenario = with_message()
    for starred, events, after_it in [
        (True, 1, True),
        (True, 0, True),
        (None, 1, False),
        (False, 0, False),
        (None, 1, True),
    ]:
        outcome = mark(scenario, StarMessage, "bob", starred=starred)
        assert (len(outcome.events), outcome.result.starred) == (events, after_it)


def test_sent_message_has_marks_of_its_sender() -> None:
    scenario = with_message()
    outcome = mark(scenario, StarMessage, "ann")
    assert outcome.result.starred
    assert outcome.result.read_at == NOON
    for kind in (MarkRead, MarkUnread, AcknowledgeMessage):
        assert kinds(mark(scenario, kind, "ann")) == []
    assert not entry_of(scenario, "bob").starred


@pytest.mark.parametrize(
    "kind", [MarkRead, MarkUnread, StarMessage, AcknowledgeMessage, DeleteMessage]
)
@pytest.mark.parametrize("message", ["msg_1", "msg_none"])
def test_message_of_others_is_unknown(kind: type[Any], message: str) -> None:
    scenario = with_message()
    scenario.when(marks(kind, "cat", message)).then_rejected(MessageNotFound())


# -- Deletion ------------------------------------------------------------------


def test_deletion_concerns_one_mailbox_and_frees_its_bytes() -> None:
    scenario = with_message(to=("bob", "cat"))
    assert mark(scenario, DeleteMessage, "bob").result.deleted
    account = account_in(scenario, "bob")
    assert (account.unread, account.stored_bytes, account.total_received) == (0, 0, 1)
    assert account_in(scenario, "cat").stored_bytes == 5
    for kind in (DeleteMessage, MarkRead, StarMessage):
        scenario.when(marks(kind, "bob")).then_rejected(MessageNotFound())
    assert scenario.tenant_state.count("mailbox_bytes") == 5


def test_deletion_of_a_read_message_does_not_change_the_unread_ones() -> None:
    scenario = with_message()
    mark(scenario, MarkRead, "bob")
    mark(scenario, DeleteMessage, "bob")
    assert account_in(scenario, "bob").unread == 0


def test_sender_deletes_its_own_copy() -> None:
    scenario = with_message()
    assert mark(scenario, DeleteMessage, "ann").result.deleted
    scenario.when(delete("ann")).then_rejected(MessageNotFound())
    assert entry_of(scenario, "bob").deleted_at is None


def test_message_to_oneself_is_deleted_from_the_inbox_first() -> None:
    scenario = with_message(to=("ann",))
    assert mark(scenario, StarMessage, "ann").result.starred
    assert mark(scenario, DeleteMessage, "ann").result.deleted
    assert entry_of(scenario, "ann").deleted_at == NOON

    assert mark(scenario, StarMessage, "ann").result.starred  # Now of the sent message.
    assert not mark(scenario, StarMessage, "ann").result.starred
    assert not mark(scenario, MarkRead, "ann").result.deleted
    assert mark(scenario, DeleteMessage, "ann").result.deleted
    scenario.when(delete("ann")).then_rejected(MessageNotFound())


# -- Acknowledgements ------------------------------------------------------------


def due(scenario: Scenario, minutes: float, milliseconds: int = 0) -> list[str]:
    command = RecordDue(aggregate="mail_entry", id=entry_id("msg_1", id_of("bob")))
    at = after(minutes=minutes, milliseconds=milliseconds)
    return [one for one in kinds(scenario.execute(command, at)) if one != "AgentLapsed"]


def test_missing_acknowledgement_is_reminded_once_then_overdue() -> None:
    scenario = with_message(ack_required=True, settings=FIVE_MINUTES)
    assert due(scenario, 5, -1) == []
    assert due(scenario, 5) == ["AcknowledgementReminded"]
    assert due(scenario, 5) == []
    assert due(scenario, 10, -1) == []
    assert due(scenario, 10) == ["AcknowledgementOverdue"]
    assert due(scenario, 100) == []


def test_late_scheduler_gives_both_in_turn() -> None:
    scenario = with_message(ack_required=True, settings=FIVE_MINUTES)
    assert due(scenario, 60) == ["AcknowledgementReminded"]
    assert due(scenario, 60) == ["AcknowledgementOverdue"]


@pytest.mark.parametrize("kind", [AcknowledgeMessage, DeleteMessage])
def test_no_acknowledgement_is_missing_after(kind: type[Any]) -> None:
    scenario = with_message(ack_required=True, settings=FIVE_MINUTES)
    mark(scenario, kind, "bob")
    assert due(scenario, 60) == []


def test_reading_is_not_acknowledging() -> None:
    scenario = with_message(ack_required=True, settings=FIVE_MINUTES)
    mark(scenario, MarkRead, "bob")
    assert due(scenario, 5) == ["AcknowledgementReminded"]


def test_nothing_is_due_without_request() -> None:
    assert due(with_message(settings=FIVE_MINUTES), 60) == []


def test_acknowledged_message_is_read() -> None:
    scenario = with_message(ack_required=True)
    outcome = mark(scenario, AcknowledgeMessage, "bob")
    assert kinds(outcome) == ["MessageRead", "MessageAcknowledged"]
    assert {one.sender_id for one in outcome.events} == {id_of("ann")}
    assert kinds(mark(scenario, AcknowledgeMessage, "bob")) == []
    assert account_in(scenario, "bob").unread == 0


def test_read_message_is_acknowledged_without_a_second_mark() -> None:
    scenario = with_message(ack_required=True)
    mark(scenario, MarkRead, "bob")
    assert kinds(mark(scenario, AcknowledgeMessage, "bob")) == ["MessageAcknowledged"]


def test_sender_is_told_of_reading_only_if_it_asked() -> None:
    [read] = mark(with_message(), MarkRead, "bob").events
    [asked] = mark(with_message(ack_required=True), MarkRead, "bob").events
    assert (read.sender_id, asked.sender_id) == (None, id_of("ann"))


# -- Erasure -------------------------------------------------------------------


def test_erasure_frees_the_bytes_of_each_mailbox_and_of_the_tenant() -> None:
    scenario = with_message(to=("bob", "cat", KIM_MAIL))
    scenario.execute(accept_mail("bob", "contacts_only", ["ann"]), NOON)
    scenario.execute(delete("cat"), NOON)
    outcome = scenario.execute(erase(), NOON)

    assert kinds(outcome) == ["MessageErased", "MailboxFreed"]
    assert outcome.result.erased_at == NOON
    assert scenario.tenant_state.count("mailbox_bytes") == 0
    bob = account_in(scenario, "bob")
    assert (bob.stored_bytes, bob.unread, bob.policy.mode) == (0, 1, "contacts_only")
    assert account_in(scenario, "cat").stored_bytes == 0


def test_erasure_again_records_nothing() -> None:
    scenario = with_message()
    scenario.execute(erase(), NOON)
    assert kinds(scenario.execute(erase(), NOON)) == []
    scenario.when(erase("msg_none")).then_rejected(MessageNotFound())


def test_deletion_after_erasure_frees_nothing_twice() -> None:
    scenario = with_message()
    scenario.execute(erase(), NOON)
    scenario.execute(delete("bob"), NOON)
    assert (account_in(scenario, "bob").stored_bytes, account_in(scenario, "bob").unread) == (0, 0)


def test_body_is_erased_when_its_retention_ends() -> None:
    scenario = with_message(settings=EXPIRING)
    command = RecordDue(aggregate="message", id="msg_1")
    assert kinds(scenario.execute(command, after(hours=24, milliseconds=-1))) == []
    erased, _ = scenario.execute(command, after(hours=24)).events
    assert erased == MessageErased(message_id="msg_1", reason="retention")
    assert kinds(scenario.execute(command, after(hours=48))) == []
    assert account_in(scenario, "bob").stored_bytes == 0


def test_any_command_on_an_entry_records_the_end_of_its_body() -> None:
    scenario = with_message(to=("bob", "cat"), settings=EXPIRING)
    outcome = scenario.execute(marks(MarkRead, "bob"), after(hours=24))
    assert "MessageErased" in kinds(outcome)
    assert kinds(outcome).count("MailboxFreed") == 2
    assert account_in(scenario, "cat").stored_bytes == 0


# -- Mail from outside -----------------------------------------------------------


def test_message_from_outside_is_delivered_and_recorded_once() -> None:
    scenario = agents_with_mail("ann", "bob")
    first = scenario.execute(incoming("ann", "nobody", subject="RESULT:7"), NOON)
    rejection = Rejection(address=address_of("nobody"), reason="no_such_agent")
    expected = Reception(message_id="msg_in", accepted=(address_of("ann"),), rejected=(rejection,))
    assert first.result == expected
    assert entry_of(scenario, "ann", "msg_in").task_id == "7"

    again = scenario.execute(incoming("ann", "nobody", message="msg_again"), NOON)
    assert (kinds(again), again.result) == ([], Reception(message_id="msg_in"))


def test_without_a_message_id_nothing_is_a_repetition() -> None:
    scenario = agents_with_mail("ann")
    for number in (1, 2):
        scenario.execute(incoming("ann", message=f"msg_{number}", rfc_id=None), NOON)
    assert account_in(scenario, "ann").unread == 2


def test_recipients_outside_reach_are_rejected_one_by_one() -> None:
    scenario = agents_with_mail("ann", "bob", quotas=Quotas(mailbox_bytes_per_agent=8))
    scenario.execute(accept_mail("bob", block=["kim@example.com"]), NOON)
    scenario.execute(incoming("ann", message="msg_0", rfc_id="0@x"), NOON)
    outcome = scenario.execute(incoming("ann", "bob", "nobody"), NOON)

    assert kinds(outcome) == []
    assert outcome.result.message_id is None
    assert {one.address.partition("@")[0]: one.reason for one in outcome.result.rejected} == {
        "ann": "mailbox_full",
        "bob": "contact_blocked",
        "nobody": "no_such_agent",
    }


def test_agent_that_deregistered_receives_mail() -> None:
    scenario = agents_with_mail("ann")
    scenario.execute(deregister("ann"), NOON)
    outcome = scenario.execute(incoming("ann"), NOON)
    assert outcome.result.accepted == (address_of("ann"),)


def test_full_tenant_rejects_all_recipients() -> None:
    scenario = agents_with_mail("ann", quotas=Quotas(mailbox_bytes=4))
    [rejected] = scenario.execute(incoming("ann"), NOON).result.rejected
    assert rejected.reason == "mailbox_full"


def test_repetition_does_not_accept_for_those_who_were_rejected() -> None:
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(accept_mail("bob", "closed"), NOON)
    scenario.execute(incoming("ann", "bob"), NOON)
    again = scenario.execute(incoming("ann", "bob"), NOON)
    assert (kinds(again), again.result.accepted) == ([], ())


def test_answer_from_outside_joins_the_thread_of_its_recipient() -> None:
    scenario = with_message(to=(KIM_MAIL,))
    answer = incoming("ann", sender="kim@example.com", replied_ids=("msg_none", "msg_1"))
    scenario.execute(answer, NOON)
    message = scenario.tenant_state[MESSAGES]["msg_in"]
    assert (message.thread_id, message.in_reply_to) == ("thr_msg_1", "msg_1")
    thread = scenario.tenant_state[MAIL_THREADS]["thr_msg_1"]
    assert thread.addresses == (address_of("ann"), KIM_MAIL)


def test_answer_from_outside_cannot_enter_the_thread_of_others() -> None:
    scenario = with_message(to=("bob",))
    scenario.execute(incoming("cat", replied_ids=("msg_1",)), NOON)
    message = scenario.tenant_state[MESSAGES]["msg_in"]
    assert (message.thread_id, message.in_reply_to) == ("thr_msg_in", None)
