"""Explanations of messages name the events that delivered, refused or stopped them."""

from typing import Any

import pytest

from quorate.domain.explanations.causes import find_causes
from quorate.domain.explanations.explain import explain
from quorate.domain.explanations.mail import ACCOUNTS
from quorate.domain.explanations.records import Explanation, LoggedEvent
from quorate.domain.identity.agent_departures import RemoveAgent
from quorate.domain.mail.deliveries import (
    DeadLetterDropped,
    MessageBlocked,
    MessageBounced,
    MessageCancelled,
    MessageDeadLettered,
    MessageHeld,
    MessageRefused,
    MessageRelayed,
)
from quorate.domain.mail.delivery_attempts import (
    CancelErased,
    DropDeadLetter,
    RecordBounce,
    RecordRelayed,
)
from quorate.domain.mail.mailbox_entries import MessageDelivered
from quorate.domain.mail.messages import MessageErased
from quorate.domain.mail.receiving import DeliverReceived
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.records import changed
from tests.unit.explanations.histories import RecordedLog
from tests.unit.explanations.mail_histories import HOUR, KEPT_A_DAY, agents, begin
from tests.unit.support.sample_commands import (
    KIM,
    acquire,
    deregister,
    id_of,
)
from tests.unit.support.sample_commands import release as release_lease
from tests.unit.support.sample_mail import (
    HELD,
    KIM_MAIL,
    accept_mail,
    address_of,
    erase,
    fail,
    freeze,
    incoming,
    mail,
    of_delivery,
)


def queued() -> RecordedLog:
    """Return a log in which ann has sent a message to a person."""
    log = agents()
    log.do(mail("ann", KIM_MAIL))
    return log


def explain_with(log: RecordedLog, decision: LoggedEvent, **wrong: Any) -> Explanation:  # noqa: ANN401
    """Explain an event that says something else than the one in the log."""
    other = changed(decision, event=changed(decision.event, **wrong))
    return explain(log.events[: decision.sequence - 1], other)


# -- Inside the tenant -------------------------------------------------------


def test_delivery_names_the_message_and_both_agents() -> None:
    log = agents()
    log.do(accept_mail("cat", "closed"), mail("ann", "bob", ack_required=True))
    found = log.explain(MessageDelivered)
    assert log.names_of_facts(found) == ["AgentRegistered", "AgentRegistered", "MessageSent"]
    assert found.is_complete
    wrong = {"agent_id": id_of("cat"), "subject": "Another", "sender_id": id_of("cat")}
    for field, value in wrong.items():
        assert not explain_with(log, log.events[-1], **{field: value}).is_reproduced


def test_delivery_is_not_explained_without_the_policy_that_accepts_it() -> None:
    log = agents()
    log.do(accept_mail("bob", "closed"))
    log.do(accept_mail("bob", "contacts_only", allow=("ann",)))
    last_policy = log.events[-1].sequence
    log.do(mail("ann", "bob"))
    found = log.explain(MessageDelivered)
    assert found.is_complete
    without_last = [one for one in log.events[:-1] if one.sequence != last_policy]
    assert not explain(without_last, log.events[-1]).is_reproduced


def test_other_messages_of_a_mailbox_do_not_hide_what_decides() -> None:
    """They are in the stream of the mailbox, but what was sent is in streams of their own."""
    log = agents()
    log.do(incoming("bob"), mail("bob", "ann"), mail("ann", "bob", message="msg_2"))
    assert log.explain(MessageDelivered).is_complete
    log.do(accept_mail("bob", "closed"), mail("ann", "bob", message="msg_3"))
    assert "MailPolicySet" in log.names_of_facts(log.explain(MessageRefused))


def test_delivery_from_outside_names_its_arrival_and_the_recipient() -> None:
    log = agents()
    log.do(incoming("bob"))
    found = log.explain(MessageDelivered)
    assert log.names_of_facts(found) == ["AgentRegistered", "MessageReceived"]
    for field, value in (("agent_id", id_of("cat")), ("from_address", "lee@example.com")):
        assert not explain_with(log, log.events[-1], **{field: value}).is_reproduced


def test_delivery_from_outside_is_not_explained_against_the_policy_of_its_recipient() -> None:
    """The control: had the policy been set before, the message would not have been delivered."""
    log = agents()
    log.do(incoming("bob"))
    received, delivered = log.events[-2:]
    log.do(accept_mail("bob", "closed"))
    history = [*log.events[:3], log.events[-1], received]
    assert not explain(history, delivered).is_reproduced


def test_second_copy_from_outside_is_explained_by_the_first() -> None:
    log = agents()
    log.do(incoming("bob"))
    copy = DeliverReceived(
        recipients=incoming("cat").recipients,
        from_address="kim@example.com",
        message_id="msg_in",
    )
    log.do(copy)
    found = log.explain(MessageDelivered)
    assert log.names_of_facts(found) == ["AgentRegistered", "MessageReceived"]
    assert found.facts[0].text.startswith("Agent cat registered")


def test_refusal_by_policy_names_the_last_policy_of_the_recipient() -> None:
    log = agents()
    log.do(accept_mail("cat", "closed"), accept_mail("bob", block=("cat",)))
    log.do(accept_mail("bob", block=("ann",)), mail("ann", "bob"))
    found = log.explain(MessageRefused)
    assert found.outcome == "MessageRefused: contact_blocked"
    (policy,) = [one for one in found.facts if one.kind == "mail_policy"]
    assert log.events[policy.sequence - 1].event.block == ("ann",)
    assert [one.kind for one in found.facts] == ["agent", "agent", "mail_policy", "message"]


def test_refusal_of_an_address_by_id_names_the_policy_too() -> None:
    log = agents()
    log.do(accept_mail("bob", "closed"), mail("ann", id_of("bob")))
    assert "MailPolicySet" in log.names_of_facts(log.explain(MessageRefused))


def test_policy_of_another_agent_refuses_nothing() -> None:
    """The control: cat accepts no mail, but the address is that of bob."""
    log = agents()
    log.do(accept_mail("bob", "closed"), accept_mail("cat", "closed"), mail("ann", "bob"))
    refusal = log.events[-1]
    history = [one for one in log.events[:-1] if getattr(one.event, "mode", "") != "closed"]
    others = [one for one in log.events[:-1] if one.sequence != 4]
    assert not explain(history, refusal).is_reproduced
    assert not explain(others, refusal).is_reproduced


def test_refusal_of_an_unknown_name_names_the_message() -> None:
    log = agents()
    log.do(mail("ann", "dora"))
    found = log.explain(MessageRefused)
    assert found.outcome == "MessageRefused: no_such_agent"
    assert log.names_of_facts(found) == ["AgentRegistered", "MessageSent"]
    assert not explain_with(log, log.events[-1], address=address_of("bob")).is_reproduced


def test_refusal_of_a_removed_name_names_its_removal() -> None:
    log = agents()
    log.do(deregister("bob"), RemoveAgent(agent_id=id_of("bob")), mail("ann", "bob"))
    found = log.explain(MessageRefused)
    assert found.outcome == "MessageRefused: no_such_agent"
    assert not explain(log.events[:4] + log.events[5:6], log.events[-1]).is_reproduced


def test_absence_of_an_agent_cannot_be_explained_with_a_gap() -> None:
    log = agents()
    log.do(mail("ann", "dora"))
    found = explain(log.events[:-1], log.events[-1], has_gap=True)
    assert not found.is_complete
    assert found.facts == ()
    log.do(accept_mail("bob", "closed"), mail("ann", "bob", message="msg_2"))
    assert explain(log.events[:-1], log.events[-1], has_gap=True).is_complete


# -- To people ---------------------------------------------------------------


def test_block_when_sent_names_the_lease_of_the_holder() -> None:
    log = agents()
    log.do(acquire("bob", KIM), mail("ann", KIM_MAIL))
    found = log.explain(MessageBlocked)
    assert found.outcome == "MessageBlocked: lease_conflict"
    kinds = [one.kind for one in found.facts]
    assert kinds == ["agent", "agent", "lease", "message"]


def test_block_before_an_attempt_names_the_lease_and_the_queue() -> None:
    log = queued()
    log.do(acquire("bob", KIM), begin())
    found = log.explain(MessageBlocked)
    names = log.names_of_facts(found)
    assert {"MessageQueued", "LeaseAcquired"} <= set(names)
    assert names.index("MessageQueued") < names.index("LeaseAcquired")


def test_block_with_a_stale_fence_names_the_end_of_the_lease() -> None:
    log = agents()
    log.do(acquire("ann", KIM, lease="one"))
    log.do(release_lease("one", by=acquire("ann").caller), mail("ann", KIM_MAIL, fence=4))
    found = log.explain(MessageBlocked)
    assert found.outcome == "MessageBlocked: stale_fence"
    assert "LeaseReleased" in log.names_of_facts(found)


def test_block_of_a_frozen_sender_names_the_freeze() -> None:
    log = agents()
    log.do(freeze("ann"), mail("ann", KIM_MAIL))
    found = log.explain(MessageBlocked)
    assert found.outcome == "MessageBlocked: sending_frozen"
    assert "MailSendingFrozen" in log.names_of_facts(found)


def test_held_message_says_that_the_relay_is_not_in_the_log() -> None:
    log = agents()
    log.do(mail("ann", KIM_MAIL, settings=HELD))
    found = log.explain(MessageHeld)
    assert log.names_of_facts(found) == ["AgentRegistered", "MessageSent"]
    assert not found.is_complete
    assert "not in the log" in found.rule


def test_relayed_message_names_the_last_failed_attempt() -> None:
    log = queued()
    for _ in range(3):
        log.do(fail(smtp_code=450))
    log.do(of_delivery(RecordRelayed, smtp_code=250))
    found = log.explain(MessageRelayed)
    assert log.names_of_facts(found) == ["MessageSent", "MessageQueued", "MessageDeferred"]
    assert "Attempt 3" in found.facts[-1].text


def test_bounce_names_the_queued_message() -> None:
    log = queued()
    log.do(fail(permanent=True, smtp_code=550, detail="No such user"))
    found = log.explain(MessageBounced)
    assert found.outcome == "MessageBounced: rejected"
    assert log.names_of_facts(found) == ["MessageSent", "MessageQueued"]


def test_returned_message_names_that_it_was_relayed() -> None:
    log = queued()
    log.do(of_delivery(RecordRelayed), of_delivery(RecordBounce, detail="Mailbox full"))
    found = log.explain(MessageBounced)
    assert found.outcome == "MessageBounced: returned"
    assert log.names_of_facts(found)[-1] == "MessageRelayed"


def test_dead_letter_says_that_its_time_limit_is_not_in_the_log() -> None:
    log = queued()
    log.do(fail())
    log.wait(2 * HOUR)
    log.do(fail(policy=RetryPolicy(hours=1)))
    found = log.explain(MessageDeadLettered)
    assert log.names_of_facts(found)[-1] == "MessageDeferred"
    assert not found.is_complete
    assert "not in the log" in found.rule


def test_dropped_dead_letter_names_the_dead_letter_and_a_dropped_held_one_the_hold() -> None:
    log = queued()
    log.do(fail(policy=RetryPolicy(hours=0)), of_delivery(DropDeadLetter, detail="Gone"))
    found = log.explain(DeadLetterDropped)
    assert found.is_complete
    assert log.names_of_facts(found)[-1] == "MessageDeadLettered"
    log = agents()
    log.do(mail("ann", KIM_MAIL, settings=HELD), of_delivery(DropDeadLetter))
    assert log.names_of_facts(log.explain(DeadLetterDropped))[-1] == "MessageHeld"


def test_erased_message_that_waits_is_cancelled_by_the_erasure() -> None:
    log = queued()
    log.do(erase(), of_delivery(CancelErased))
    found = log.explain(MessageCancelled)
    assert log.names_of_facts(found) == ["MessageSent", "MessageQueued", "MessageErased"]


def test_erasure_names_the_message() -> None:
    log = queued()
    log.do(erase())
    found = log.explain(MessageErased)
    assert log.names_of_facts(found) == ["MessageSent"]
    assert found.outcome == "MessageErased: requested"
    log = agents()
    log.do(mail("ann", "bob", settings=KEPT_A_DAY))
    log.wait(24 * HOUR)
    log.do(RecordDue(aggregate="message", id="msg_1"))
    found = log.explain(MessageErased)
    assert found.outcome == "MessageErased: retention"
    assert log.names_of_facts(found) == ["MessageSent"]


# -- All of them -------------------------------------------------------------


def test_without_the_events_before_nothing_is_reproduced() -> None:
    log = queued()
    log.do(mail("ann", "bob", "dora", message="msg_2"), incoming("cat"), freeze("ann"))
    log.do(fail(policy=RetryPolicy(hours=0)), of_delivery(DropDeadLetter), erase())
    explained = [one for one in log.events if type(one.event) in ACCOUNTS]
    assert len(explained) >= 6
    for one in explained:
        assert find_causes(ACCOUNTS[type(one.event)], (), one) is None


@pytest.mark.parametrize("kind", [one for one in ACCOUNTS if ACCOUNTS[one].assumes])
def test_rule_that_assumes_something_says_so(kind: type[Any]) -> None:
    assert "not in the log" in ACCOUNTS[kind].rules[""]
