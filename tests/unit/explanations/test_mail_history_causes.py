"""Explanations of what follows from many messages: freezes of a sender, and random mail."""

from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from quorate.domain.explanations.explain import explain
from quorate.domain.mail.accounts import MailSendingFrozen
from quorate.domain.mail.delivery_attempts import (
    CancelErased,
    DropDeadLetter,
    QueueHeld,
    RecordBounce,
    RecordComplaint,
    RecordRelayed,
    RetryDeadLetter,
)
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.records import changed
from quorate.domain.shared.state import Command
from tests.unit.explanations.histories import RecordedLog, assert_facts_are_causes
from tests.unit.explanations.mail_histories import HOUR, KEPT_A_DAY, NAMES, agents, begin
from tests.unit.support.sample_commands import KIM, acquire, deregister, id_of, register
from tests.unit.support.sample_commands import release as release_lease
from tests.unit.support.sample_mail import (
    HELD,
    KIM_MAIL,
    accept_mail,
    erase,
    fail,
    freeze,
    incoming,
    mail,
    of_delivery,
    thaw,
)

# -- Frozen senders ----------------------------------------------------------


def test_freeze_by_an_operator_names_the_agent_only() -> None:
    log = agents()
    log.do(freeze("ann"))
    found = log.explain(MailSendingFrozen)
    assert found.outcome == "MailSendingFrozen: operator"
    assert log.names_of_facts(found) == ["AgentRegistered"]


def bounces(log: RecordedLog, number: int, *, first: int = 0) -> None:
    for at in range(first, first + number):
        log.do(mail("ann", KIM_MAIL, message=f"msg_{at}"), fail(f"msg_{at}", permanent=True))


def test_freeze_for_bounces_names_each_of_them() -> None:
    log = agents()
    bounces(log, 10)
    found = log.explain(MailSendingFrozen)
    assert found.is_complete
    assert log.names_of_facts(found) == ["MessageBounced"] * 10
    one_less = [one for one in log.events[:-1] if one.sequence != found.facts[0].sequence]
    assert not explain(one_less, log.events[-1]).is_reproduced


def test_freeze_after_a_thaw_names_only_later_outcomes() -> None:
    log = agents()
    bounces(log, 10)
    log.do(thaw("ann"))
    thawed = log.events[-1].sequence
    bounces(log, 9, first=10)
    log.do(mail("ann", KIM_MAIL, message="msg_last"), of_delivery(RecordRelayed, "msg_last"))
    log.do(of_delivery(RecordComplaint, "msg_last"))
    found = log.explain(MailSendingFrozen)
    assert log.names_of_facts(found)[-1] == "ComplaintReceived"
    assert all(one.sequence > thawed for one in found.facts)
    assert len(found.facts) == 10


def test_outcomes_of_another_sender_do_not_freeze() -> None:
    log = agents()
    bounces(log, 10)
    other = changed(log.events[-1], event=changed(log.events[-1].event, agent_id=id_of("bob")))
    assert not explain(log.events[:-1], other).is_reproduced


# -- All of them -------------------------------------------------------------

STEPS = ("mail", "fenced", "inside", "both", "outside", "hold", "begin", "fail", "bounce", "late")
MORE_STEPS = ("relay", "return", "spam", "queue", "retry", "drop", "cancel", "erase", "due")
OF_OTHERS = ("policy", "open", "block", "freeze", "thaw", "acquire", "free", "leave", "register")


def step_of(step: str, name: str, message: str) -> Command:
    commands: dict[str, Command] = {
        "mail": mail(name, KIM_MAIL, message=message),
        "fenced": mail(name, KIM_MAIL, message=message, fence=5),
        "inside": mail(name, "bob", message=message, settings=KEPT_A_DAY),
        "both": mail(name, "cat", "dora", KIM_MAIL, message=message),
        "outside": incoming("bob", "cat", message=message, rfc_id=f"<{message}>"),
        "hold": mail(name, KIM_MAIL, message=message, settings=HELD),
        "begin": begin(message),
        "fail": fail(message),
        "bounce": fail(message, permanent=True),
        "late": fail(message, policy=RetryPolicy(hours=0)),
        "relay": of_delivery(RecordRelayed, message),
        "return": of_delivery(RecordBounce, message),
        "spam": of_delivery(RecordComplaint, message),
        "queue": of_delivery(QueueHeld, message),
        "retry": of_delivery(RetryDeadLetter, message),
        "drop": of_delivery(DropDeadLetter, message),
        "cancel": of_delivery(CancelErased, message),
        "erase": erase(message),
        "due": RecordDue(aggregate="message", id=message),
        "policy": accept_mail(name, "contacts_only", allow=("ann",)),
        "open": accept_mail(name, "open"),
        "block": accept_mail(name, block=("ann", "kim@example.com")),
        "freeze": freeze(name),
        "thaw": thaw(name),
        "acquire": acquire(name, KIM, lease=f"lease-{message}"),
        "free": release_lease(f"lease-{message}", by=acquire(name).caller),
        "leave": deregister(name),
        "register": register(name),
    }
    return commands[step]


SENDS = frozenset({"mail", "fenced", "inside", "both", "outside", "hold"})


@examples(
    st.lists(
        st.tuples(
            st.sampled_from((*STEPS, *STEPS, *MORE_STEPS, *OF_OTHERS)),
            st.sampled_from(NAMES),
            st.integers(0, 3),
            st.sampled_from((0, 0, 1, 25)),
        ),
        max_size=30,
    )
)
def test_facts_of_any_history_of_mail_are_causes(steps: list[tuple[str, str, int, int]]) -> None:
    log, sent = agents(), 0
    for step, name, back, hours in steps:
        log.wait(hours * HOUR)
        sent += step in SENDS
        log.do(step_of(step, name, f"msg_{sent if step in SENDS else max(0, sent - back)}"))
    assert_facts_are_causes(log.events)


@settings(max_examples=25)
@examples(st.lists(st.sampled_from(("bounce", "bounce", "relay", "thaw")), max_size=14))
def test_facts_of_any_freeze_are_causes(outcomes: list[str]) -> None:
    log = agents()
    for number, outcome in enumerate(("bounce", "relay", *outcomes, *["bounce"] * 10)):
        message = f"msg_{number}"
        log.do(mail("ann", KIM_MAIL, message=message), step_of(outcome, "ann", message))
    assert_facts_are_causes(log.events, MailSendingFrozen)
