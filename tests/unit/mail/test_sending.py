"""One decision judges every recipient of a message, and a reply joins the thread it answers."""

from collections.abc import Sequence

import pytest

from quorate.domain.identity.agent_departures import RemoveAgent
from quorate.domain.mail.addresses import TooManyRecipients
from quorate.domain.mail.deliveries import (
    DELIVERIES,
    MessageBlocked,
    MessageHeld,
    MessageQueued,
    MessageRefused,
)
from quorate.domain.mail.mailbox import DeleteMessage
from quorate.domain.mail.mailbox_entries import MessageDelivered
from quorate.domain.mail.messages import (
    MESSAGES,
    SUBJECT_LENGTH_MAX,
    MessageNotFound,
    MessageSent,
    RecipientStatus,
    overall_status,
)
from quorate.domain.mail.sending import NotSchedulable, SubjectTooLong
from quorate.domain.mail.settings import MailSettings
from quorate.domain.mail.threads import MAIL_THREADS, PARTICIPANTS_MAX, MailThread, joined
from quorate.domain.shared.quotas import QuotaExceeded, Quotas
from tests.unit.support.sample_commands import (
    KIM,
    LEE,
    TENANT_KEY,
    acquire,
    deregister,
    id_of,
    register,
)
from tests.unit.support.sample_mail import (
    DOMAIN,
    HELD,
    KIM_MAIL,
    LEE_MAIL,
    accept_mail,
    account_in,
    address_of,
    agents_with_mail,
    freeze,
    incoming,
    kinds,
    mail,
    marks,
    statuses,
)
from tests.unit.support.specification import NOON, Outcome, Scenario, after

BOB = address_of("bob")


def thread_of(scenario: Scenario, message: str) -> MailThread:
    return scenario.tenant_state[MAIL_THREADS][f"thr_{message}"]


def code_of(outcome: Outcome) -> str | None:
    return None if outcome.rejection is None else outcome.rejection.kind.code


# -- Recipients ----------------------------------------------------------------


def test_message_to_an_agent_is_delivered_at_once() -> None:
    scenario = agents_with_mail("ann", "bob")
    outcome = scenario.execute(mail("ann", "bob", subject="TASK:7 Report", ack_required=True), NOON)

    sent, delivered = outcome.events
    assert isinstance(sent, MessageSent)
    assert (sent.sequence, sent.kind, sent.task_id) == (3, "TASK", "7")
    assert (sent.from_address, sent.to, sent.cc) == (address_of("ann"), (BOB,), ())
    assert isinstance(delivered, MessageDelivered)
    assert (delivered.agent_id, delivered.sequence, delivered.bytes) == (id_of("bob"), 3, 5)
    assert (delivered.sender_id, delivered.ack_minutes) == (id_of("ann"), 30.0)
    assert statuses(outcome) == {BOB: ("delivered", None)}


def test_agent_that_is_named_twice_receives_the_message_once() -> None:
    scenario = agents_with_mail("ann", "bob")
    outcome = scenario.execute(mail("ann", "bob", address_of(id_of("bob"))), NOON)
    assert kinds(outcome) == ["MessageSent", "MessageDelivered"]
    assert account_in(scenario, "bob").unread == 1


def test_agent_that_deregistered_receives_mail() -> None:
    scenario = agents_with_mail("ann", "gone")
    scenario.execute(deregister("gone"), NOON)
    assert scenario.execute(mail("ann", "gone"), NOON).result.status == "delivered"


@pytest.mark.parametrize("name", ["nobody", "removed", "agent_nobody"])
def test_address_without_an_agent_bounces_at_once(name: str) -> None:
    scenario = agents_with_mail("ann", "removed")
    scenario.execute(deregister("removed"), NOON)
    scenario.execute(RemoveAgent(agent_id=id_of("removed")), NOON)
    outcome = scenario.execute(mail("ann", name), NOON)

    refused = outcome.events[-1]
    assert isinstance(refused, MessageRefused)
    assert (refused.agent_id, refused.reason) == (id_of("ann"), "no_such_agent")
    assert statuses(outcome) == {address_of(name): ("bounced", "no_such_agent")}
    assert outcome.result.status == "bounced"


def test_mail_to_a_person_is_queued_with_its_fence() -> None:
    scenario = agents_with_mail("ann")
    fence = scenario.execute(acquire("ann", KIM), NOON).result.fence
    outcome = scenario.execute(mail("ann", KIM_MAIL, fence=fence), NOON)

    queued = outcome.events[-1]
    assert isinstance(queued, MessageQueued)
    assert (queued.contact_key, queued.fence, queued.next_attempt_at) == (KIM.key, fence, NOON)
    assert (outcome.result.status, queued.delivery_id) == ("queued", "msg_1.0")


def test_mail_to_a_person_is_held_without_a_relay() -> None:
    outcome = agents_with_mail("ann").execute(mail("ann", KIM_MAIL, settings=HELD), NOON)
    assert isinstance(outcome.events[-1], MessageHeld)
    assert statuses(outcome) == {KIM_MAIL: ("held", "no_relay")}


def test_contact_of_another_agent_is_blocked() -> None:
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(acquire("bob", KIM, minutes=30), NOON)
    outcome = scenario.execute(mail("ann", KIM_MAIL), NOON)

    blocked = outcome.events[-1]
    assert isinstance(blocked, MessageBlocked)
    assert (blocked.reason, blocked.holder_id, blocked.holder_name, blocked.expires_at) == (
        *("lease_conflict", id_of("bob"), "bob"),
        after(minutes=30),
    )
    assert outcome.result.status == "blocked"


def test_stale_fence_is_blocked() -> None:
    outcome = agents_with_mail("ann").execute(mail("ann", KIM_MAIL, fence=1), NOON)
    assert statuses(outcome) == {KIM_MAIL: ("blocked", "stale_fence")}


def test_each_recipient_is_judged_on_its_own() -> None:
    scenario = agents_with_mail("ann", "bob", "cat")
    scenario.execute(acquire("bob", LEE), NOON)
    scenario.execute(accept_mail("cat", "closed"), NOON)
    to = (KIM_MAIL, "bob", LEE_MAIL, "nobody", "cat")
    outcome = scenario.execute(mail("ann", *to[:2], cc=to[2:]), NOON)

    assert statuses(outcome) == {
        KIM_MAIL: ("queued", None),
        BOB: ("delivered", None),
        LEE_MAIL: ("blocked", "lease_conflict"),
        address_of("nobody"): ("bounced", "no_such_agent"),
        address_of("cat"): ("blocked", "contact_blocked"),
    }
    assert outcome.result.status == "partial"
    assert outcome.result.cc == (LEE_MAIL, address_of("nobody"), address_of("cat"))
    assert thread_of(scenario, "msg_1").addresses == (address_of("ann"), KIM_MAIL, BOB)


# -- What rejects the whole message ----------------------------------------------


def test_long_subject_is_rejected() -> None:
    scenario = agents_with_mail("ann", "bob")
    assert code_of(scenario.execute(mail("ann", "bob", subject="é" * 256), NOON)) is None
    scenario.when(mail("ann", "bob", message="msg_2", subject="é" * 257)).then_rejected(
        SubjectTooLong(SUBJECT_LENGTH_MAX)
    )


def test_full_mailbox_rejects_the_whole_message() -> None:
    scenario = agents_with_mail("ann", "bob", "cat", quotas=Quotas(mailbox_bytes_per_agent=10))
    scenario.execute(mail("ann", "cat", text="x" * 6), NOON)
    outcome = scenario.execute(mail("ann", "bob", "cat", message="msg_2", text="x" * 5), NOON)

    assert outcome.rejection is not None
    assert outcome.rejection.kind is QuotaExceeded
    assert outcome.events == ()
    assert account_in(scenario, "bob").unread == 0
    last = mail("ann", "bob", "cat", message="msg_3", text="x" * 4)
    assert scenario.execute(last, NOON).rejection is None
    assert account_in(scenario, "cat").stored_bytes == 10


def test_quota_of_the_tenant_counts_each_body_once_until_it_is_erased() -> None:
    scenario = agents_with_mail("ann", "bob", "cat", quotas=Quotas(mailbox_bytes=10))
    assert code_of(scenario.execute(mail("ann", "bob", "cat", text="x" * 10), NOON)) is None
    full = scenario.execute(mail("ann", "bob", message="msg_2", text="x"), NOON)
    assert code_of(full) == "quota_exceeded"
    assert code_of(scenario.execute(mail("ann", "bob", message="msg_3", text=""), NOON)) is None


def test_only_mail_to_people_is_scheduled() -> None:
    scenario = agents_with_mail("ann", "bob")
    later = after(hours=1)
    outcome = scenario.execute(mail("ann", KIM_MAIL, scheduled_at=later), NOON)
    assert outcome.events[-1].next_attempt_at == later
    assert scenario.tenant_state[DELIVERIES]["msg_1.0"].queued_at == later
    scenario.when(mail("ann", KIM_MAIL, "bob", message="msg_2", scheduled_at=later)).then_rejected(
        NotSchedulable(BOB)
    )


def test_time_in_the_past_is_now() -> None:
    scenario = agents_with_mail("ann")
    outcome = scenario.execute(mail("ann", KIM_MAIL, scheduled_at=NOON), after(hours=1))
    assert outcome.events[-1].next_attempt_at == after(hours=1)


def test_agent_that_left_cannot_send() -> None:
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(deregister("ann"), NOON)
    assert code_of(scenario.execute(mail("ann", "bob"), NOON)) == "agent_not_found"


def test_tenant_key_sends_for_an_agent() -> None:
    scenario = agents_with_mail("ann", "bob")
    assert code_of(scenario.execute(mail("ann", "bob", by=TENANT_KEY), NOON)) is None


# -- Replies -------------------------------------------------------------------


def test_reply_joins_the_thread_under_its_first_subject() -> None:
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(mail("ann", "bob", subject="First"), NOON)
    reply = mail("bob", "ann", message="msg_2", subject="Re: other", in_reply_to="msg_1")
    outcome = scenario.execute(reply, NOON)

    assert (outcome.result.thread_id, outcome.result.in_reply_to) == ("thr_msg_1", "msg_1")
    thread = thread_of(scenario, "msg_1")
    assert thread.subject == "First"
    assert thread.addresses == (address_of("ann"), BOB)
    assert thread.agent_ids == (id_of("ann"), id_of("bob"))


def test_participant_that_was_added_answers_earlier_messages() -> None:
    scenario = agents_with_mail("ann", "bob", "cat")
    scenario.execute(mail("ann", "bob"), NOON)
    early = mail("cat", "ann", message="msg_c", in_reply_to="msg_1")
    assert code_of(scenario.execute(early, NOON)) == "message_not_found"

    scenario.execute(mail("bob", "cat", message="msg_2", in_reply_to="msg_1"), NOON)
    assert code_of(scenario.execute(early, NOON)) is None


def test_message_of_others_is_unknown() -> None:
    scenario = agents_with_mail("ann", "bob", "cat")
    scenario.execute(mail("ann", "bob"), NOON)
    for message in ("msg_1", "msg_none"):
        reply = mail("cat", "ann", message="msg_2", in_reply_to=message)
        scenario.when(reply).then_rejected(MessageNotFound())


def test_deleted_message_can_be_answered() -> None:
    """Deletion concerns the mailbox; the agent still takes part in the thread."""
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(mail("ann", "bob"), NOON)
    scenario.execute(marks(DeleteMessage, "bob"), NOON)
    reply = mail("bob", "ann", message="msg_2", in_reply_to="msg_1")
    assert code_of(scenario.execute(reply, NOON)) is None


def test_participants_of_a_thread_are_limited() -> None:
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(mail("ann", "bob"), NOON)
    last, number = "msg_1", 2
    while len(thread_of(scenario, "msg_1").addresses) + 9 <= PARTICIPANTS_MAX:
        people = [f"p{number}.{one}@example.com" for one in range(9)]
        message = f"msg_{number}"
        outcome = scenario.execute(mail("ann", *people, message=message, in_reply_to=last), NOON)
        assert code_of(outcome) is None
        last, number = message, number + 1
    people = [f"q{one}@example.com" for one in range(10)]
    scenario.when(mail("ann", *people, message="msg_x", in_reply_to=last)).then_rejected(
        TooManyRecipients(PARTICIPANTS_MAX)
    )


def test_agent_takes_part_once_by_its_name_or_id_and_in_any_case() -> None:
    scenario = agents_with_mail("ann", "Bob")
    scenario.execute(mail("ann", "BOB", KIM_MAIL), NOON)
    again = mail("Bob", address_of("ann"), "kim@EXAMPLE.com", message="msg_2", in_reply_to="msg_1")
    scenario.execute(again, NOON)
    alias = mail("ann", address_of(id_of("Bob").lower()), message="msg_3", in_reply_to="msg_2")
    scenario.execute(alias, NOON)

    assert thread_of(scenario, "msg_1").addresses == (address_of("ann"), BOB, KIM_MAIL)


def test_known_participant_does_not_change_a_thread() -> None:
    thread = joined(MailThread(id="t", subject="s", created_at=NOON), BOB, "agent_bob")
    assert joined(thread, BOB, "agent_bob") is thread
    assert joined(thread, "other@x", "agent_bob") is thread
    assert joined(thread, BOB.upper(), None) is thread
    assert joined(thread, "kim@example.com", None).agent_ids == ("agent_bob",)


# -- Retention, status ---------------------------------------------------------


def test_retention_is_fixed_when_the_message_is_sent() -> None:
    scenario = agents_with_mail("ann", "bob")
    kept = MailSettings(domain=DOMAIN, retention_days=1.5)
    assert scenario.execute(mail("ann", "bob", settings=kept), NOON).result.erase_at == after(
        hours=36
    )
    scenario.execute(register("cat"), after(hours=36))
    later = scenario.execute(incoming("ann", message="msg_2"), after(hours=36)).result
    assert scenario.tenant_state[MESSAGES][later.message_id].erase_at is None


@pytest.mark.parametrize(
    ("recipients", "status"),
    [
        ((), "delivered"),
        (("delivered", "delivered"), "delivered"),
        (("delivered", "queued"), "queued"),
        (("delivered", "deferred"), "queued"),
        (("held", "delivered"), "held"),
        (("held", "queued"), "queued"),
        (("relayed", "delivered"), "relayed"),
        (("relayed", "deferred"), "queued"),
        (("blocked", "blocked"), "blocked"),
        (("blocked", "delivered"), "partial"),
        (("queued", "blocked"), "partial"),
        (("bounced", "bounced"), "bounced"),
        (("bounced", "relayed"), "partial"),
        (("dead_lettered",), "dead_lettered"),
        (("dropped", "held"), "partial"),
    ],
)
def test_status_of_a_message(recipients: Sequence[RecipientStatus], status: str) -> None:
    assert overall_status(recipients) == status


def test_frozen_sender_reaches_agents_only() -> None:
    scenario = agents_with_mail("ann", "bob")
    scenario.execute(freeze("ann"), NOON)
    assert statuses(scenario.execute(mail("ann", "bob"), NOON)) == {BOB: ("delivered", None)}
