"""Deliveries to people: attempts, waits, the gate before each attempt, bounces and dead letters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.mail.deliveries import (
    DELIVERIES,
    Delivery,
    DeliveryNotFound,
    MessageBlocked,
    MessageDeferred,
    MessageQueued,
    NotADeadLetter,
)
from quorate.domain.mail.delivery_attempts import (
    DETAIL_LENGTH_MAX,
    JITTER_SHARE,
    BeginDelivery,
    CancelErased,
    DropDeadLetter,
    QueueHeld,
    RecordBounce,
    RecordComplaint,
    RecordRelayed,
    RetryDeadLetter,
    wait_before,
)
from quorate.domain.mail.messages import EraseMessage
from quorate.domain.mail.settings import RetryPolicy
from quorate.domain.shared.state import Command
from tests.unit.support.sample_commands import KIM, TENANT_KEY, acquire, heartbeat, id_of
from tests.unit.support.sample_mail import (
    HELD,
    KIM_MAIL,
    LEE_MAIL,
    account_in,
    agents_with_mail,
    fail,
    freeze,
    kinds,
    mail,
    of_delivery,
)
from tests.unit.support.specification import NOON, Outcome, Scenario, after

SHORT = RetryPolicy(seconds_min=60, seconds_max=240, hours=0.2)  # 720 seconds.


def queued(**more: Any) -> Scenario:  # noqa: ANN401
    scenario = agents_with_mail("ann", "bob")
    assert scenario.execute(mail("ann", KIM_MAIL, **more), NOON).rejection is None
    return scenario


def begin(scenario: Scenario, **more: Any) -> Outcome:  # noqa: ANN401
    command = of_delivery(BeginDelivery, contact_key=KIM.key, agent_id=id_of("ann"), **more)
    return scenario.execute(command, scenario.now)


def run(scenario: Scenario, command: Command) -> list[str]:
    return kinds(scenario.execute(command, scenario.now))


def delivery_in(scenario: Scenario) -> Delivery:
    return scenario.tenant_state[DELIVERIES]["msg_1.0"]


# -- Before an attempt -----------------------------------------------------------


def test_attempt_is_recorded_only_afterwards() -> None:
    scenario = queued()
    outcome = begin(scenario)
    assert outcome.events == ()
    assert outcome.result.is_due
    assert run(scenario, of_delivery(RecordRelayed, smtp_code=250, detail="ok")) == [
        "MessageRelayed"
    ]
    found = delivery_in(scenario)
    assert (found.status, found.attempts, found.smtp_code) == ("relayed", 1, 250)
    assert not begin(scenario).result.is_due


def test_lease_granted_in_between_blocks_the_message() -> None:
    scenario = queued()
    scenario.execute(acquire("bob", KIM), NOON)
    outcome = begin(scenario)

    [blocked] = outcome.events
    assert isinstance(blocked, MessageBlocked)
    assert (blocked.reason, blocked.agent_name, blocked.holder_name) == (
        *("lease_conflict", "ann"),
        "bob",
    )
    assert not outcome.result.is_due
    assert begin(scenario).events == ()


def test_fence_that_became_stale_blocks_the_message() -> None:
    scenario = agents_with_mail("ann")
    fence = scenario.execute(acquire("ann", KIM, minutes=1), NOON).result.fence
    scenario.execute(mail("ann", KIM_MAIL, fence=fence), NOON)
    assert begin(scenario).events == ()
    scenario.execute(heartbeat("ann"), after(minutes=2))
    [*_, blocked] = begin(scenario).events
    assert blocked.reason == "stale_fence"


def test_freeze_in_between_blocks_the_message() -> None:
    scenario = queued()
    scenario.execute(freeze("ann"), NOON)
    [blocked] = begin(scenario).events
    assert blocked.reason == "sending_frozen"


# -- Failures ------------------------------------------------------------------


def test_waits_double_up_to_a_maximum() -> None:
    waits = [wait_before(attempts, RetryPolicy(), 0.0) / 1_000 for attempts in range(9)]
    assert waits == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]


@given(
    attempts=st.integers(0, 10_000),
    jitter=st.floats(-1, 1),
    seconds=st.tuples(st.floats(0.001, 1e4), st.floats(0.001, 1e5)),
)
def test_jitter_is_a_fifth_at_most(
    attempts: int, jitter: float, seconds: tuple[float, float]
) -> None:
    policy = RetryPolicy(seconds_min=seconds[0], seconds_max=seconds[1])
    exact = min(seconds[0] * 2.0 ** min(attempts, 32), seconds[1]) * 1_000
    wait = wait_before(attempts, policy, jitter)
    assert (1 - JITTER_SHARE) * exact - 1 <= wait <= (1 + JITTER_SHARE) * exact + 1


def test_temporary_failures_defer_then_give_up() -> None:
    scenario = queued()
    now, waits = NOON, []
    while delivery_in(scenario).is_due:
        [event] = scenario.execute(fail(policy=SHORT, smtp_code=451, detail="later"), now).events
        if isinstance(event, MessageDeferred):
            waits.append((event.next_attempt_at - now) // 1_000)
            now = event.next_attempt_at
    assert waits == [60, 120, 240, 240]  # The next one would be after 720 seconds.
    found = delivery_in(scenario)
    assert (found.status, found.attempts, found.next_attempt_at) == ("dead_lettered", 5, None)
    assert (found.smtp_code, found.detail) == (451, "later")


def test_permanent_failure_bounces_at_once() -> None:
    scenario = queued()
    assert run(scenario, fail(permanent=True, detail="x" * 600)) == ["MessageBounced"]
    found = delivery_in(scenario)
    assert (found.status, found.detail) == ("bounced", "x" * DETAIL_LENGTH_MAX)


def test_scheduled_message_is_attempted_for_the_whole_time_from_then() -> None:
    later = after(hours=10)
    scenario = queued(scheduled_at=later)
    assert delivery_in(scenario).next_attempt_at == later
    outcome = scenario.execute(fail(policy=SHORT), later)
    assert kinds(outcome) == ["MessageDeferred"]


@pytest.mark.parametrize("end", [fail(permanent=True), of_delivery(RecordRelayed)])
@pytest.mark.parametrize(
    "late", [fail(), fail(permanent=True), of_delivery(RecordRelayed), of_delivery(QueueHeld)]
)
def test_late_outcome_of_an_ended_delivery_changes_nothing(end: Command, late: Command) -> None:
    scenario = queued()
    run(scenario, end)
    before = delivery_in(scenario)
    assert run(scenario, late) == []
    assert delivery_in(scenario) == before


def test_relayed_message_comes_back_once() -> None:
    scenario = queued()
    assert run(scenario, of_delivery(RecordBounce)) == []
    run(scenario, of_delivery(RecordRelayed))
    assert run(scenario, of_delivery(RecordComplaint)) == ["ComplaintReceived"]
    assert run(scenario, of_delivery(RecordBounce, detail="5.1.1")) == ["MessageBounced"]
    assert run(scenario, of_delivery(RecordBounce)) == []
    assert run(scenario, of_delivery(RecordComplaint)) == []
    assert delivery_in(scenario).status == "bounced"


def test_erased_message_is_cancelled_and_does_not_count_against_its_sender() -> None:
    scenario = queued()
    assert run(scenario, of_delivery(CancelErased)) == []
    before = account_in(scenario, "ann")
    run(scenario, EraseMessage(caller=TENANT_KEY, message_id=delivery_in(scenario).message_id))

    assert run(scenario, of_delivery(CancelErased)) == ["MessageCancelled"]
    assert run(scenario, of_delivery(CancelErased)) == []

    found = delivery_in(scenario)
    assert (found.status, found.detail, found.next_attempt_at) == ("cancelled", "erased", None)
    assert account_in(scenario, "ann") == before
    scenario.when(of_delivery(RetryDeadLetter)).then_rejected(NotADeadLetter("cancelled"))


# -- Held, and dead letters ------------------------------------------------------


def test_held_delivery_is_queued_when_there_is_a_relay() -> None:
    scenario = queued(settings=HELD)
    assert not begin(scenario).result.is_due
    assert run(scenario, of_delivery(QueueHeld)) == ["MessageQueued"]
    assert run(scenario, of_delivery(QueueHeld)) == []
    assert begin(scenario).result.is_due


def test_held_delivery_is_not_sent_before_its_time() -> None:
    later = after(hours=10)
    scenario = queued(settings=HELD, scheduled_at=later)
    run(scenario, of_delivery(QueueHeld))
    assert delivery_in(scenario).next_attempt_at == later


def dead_letter() -> Scenario:
    scenario = queued()
    scenario.execute(fail(policy=RetryPolicy(hours=0)), NOON)
    assert delivery_in(scenario).status == "dead_lettered"
    return scenario


def test_dead_letter_is_retried_from_the_beginning() -> None:
    scenario = dead_letter()
    scenario.execute(of_delivery(RetryDeadLetter), after(hours=48))
    found = delivery_in(scenario)
    assert (found.status, found.attempts, found.queued_at) == ("queued", 0, after(hours=48))
    assert found.next_attempt_at == after(hours=48)
    assert run(scenario, of_delivery(RetryDeadLetter)) == []


def test_retry_records_why() -> None:
    retried = dead_letter().execute(of_delivery(RetryDeadLetter, detail="why"), NOON)
    assert [one.detail for one in retried.events if isinstance(one, MessageQueued)] == ["why"]


def test_dead_letter_is_dropped_once() -> None:
    scenario = dead_letter()
    assert run(scenario, of_delivery(DropDeadLetter, detail="why")) == ["DeadLetterDropped"]
    assert run(scenario, of_delivery(DropDeadLetter)) == []
    scenario.when(of_delivery(RetryDeadLetter)).then_rejected(NotADeadLetter("dropped"))


def test_held_delivery_is_dropped_but_not_retried() -> None:
    scenario = queued(settings=HELD)
    assert run(scenario, of_delivery(RetryDeadLetter)) == []
    assert run(scenario, of_delivery(DropDeadLetter)) == ["DeadLetterDropped"]


def test_other_deliveries_are_neither_retried_nor_dropped() -> None:
    scenario = queued()
    scenario.when(of_delivery(DropDeadLetter)).then_rejected(NotADeadLetter("queued"))
    run(scenario, of_delivery(RecordRelayed))
    for kind in (DropDeadLetter, RetryDeadLetter):
        scenario.when(of_delivery(kind)).then_rejected(NotADeadLetter("relayed"))


@pytest.mark.parametrize(
    "command", [fail(), of_delivery(RecordRelayed), of_delivery(RetryDeadLetter)]
)
def test_unknown_delivery_is_not_found(command: Command) -> None:
    agents_with_mail("ann").when(command).then_rejected(DeliveryNotFound())


def test_deliveries_of_one_message_are_independent() -> None:
    scenario = agents_with_mail("ann")
    scenario.execute(mail("ann", KIM_MAIL, LEE_MAIL), NOON)
    run(scenario, fail(permanent=True))
    outcome = scenario.execute(of_delivery(RecordRelayed, number=1), NOON)
    assert outcome.result.status == "relayed"
    assert delivery_in(scenario).status == "bounced"
