"""An agent is active while its last heartbeat is no older than the window."""

from dataclasses import replace

import pytest

from quorate.domain.coordination.leases import LEASES, LeaseExpired, live_lease
from quorate.domain.identity.agents import AGENTS, AgentInactive, AgentNotFound
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import (
    KIM,
    LEE,
    acquire,
    heartbeat,
    key_of,
    propose,
    register,
    release,
    renew,
    send,
    vote,
)
from tests.unit.support.sample_events import (
    acquired,
    agent_lapsed,
    blocked,
    expired,
    heartbeat_received,
    lease_held,
    registered,
    released,
    reregistered,
    revoked,
)
from tests.unit.support.specification import NOON, WINDOW, TimedEvent, after, given

AT_THE_WINDOW = Timestamp(NOON + WINDOW)
JUST_BEFORE = Timestamp(AT_THE_WINDOW - 1)
JUST_AFTER = Timestamp(AT_THE_WINDOW + 1)
record_due_of_ann = RecordDue(aggregate="agent", id="agent_ann")


def test_heartbeat_extends_activity_by_one_window() -> None:
    minute = after(minutes=1)
    scenario = (
        given(registered("ann"))
        .when(heartbeat("ann"), at=minute)
        .then(heartbeat_received("ann", at=minute))
    )
    ann = scenario.tenant_state[AGENTS]["agent_ann"]

    assert ann.is_active(Timestamp(minute + WINDOW))
    assert not ann.is_active(Timestamp(minute + WINDOW + 1))


def test_heartbeat_changes_nothing_else() -> None:
    scenario = given(registered("ann", role="outbound"))
    scenario.execute(heartbeat("ann"), after(minutes=1))
    ann = scenario.tenant_state[AGENTS]["agent_ann"]

    assert (ann.name, ann.role, ann.incarnation) == ("ann", "outbound", 1)
    assert ann.registered_at == NOON


@pytest.mark.parametrize("at", [JUST_BEFORE, AT_THE_WINDOW])
def test_agent_does_not_time_out_within_the_window(at: Timestamp) -> None:
    given(registered("ann")).when(record_due_of_ann, at=at).then_nothing().when(
        acquire("ann"), at=at
    ).then(acquired("ann", lease="new-lease", fence=2, until=Timestamp(at + 30 * 60_000), at=at))


def test_timeout_is_recorded_after_the_window() -> None:
    given(registered("ann")).when(record_due_of_ann, at=JUST_AFTER).then(
        agent_lapsed("ann", at=JUST_AFTER)
    )


def test_timeout_is_recorded_once() -> None:
    given(registered("ann"), agent_lapsed("ann", at=JUST_AFTER)).when(
        record_due_of_ann, at=after(hours=1)
    ).then_nothing()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (JUST_BEFORE, [heartbeat_received("ann", at=JUST_BEFORE)]),
        (AT_THE_WINDOW, [heartbeat_received("ann", at=AT_THE_WINDOW)]),
        (
            JUST_AFTER,
            [agent_lapsed("ann", at=JUST_AFTER), heartbeat_received("ann", at=JUST_AFTER)],
        ),
    ],
)
def test_heartbeat_after_the_window_records_the_timeout_first(
    at: Timestamp, expected: list[TimedEvent]
) -> None:
    given(registered("ann")).when(heartbeat("ann"), at=at).then(*expected)


def test_timeout_revokes_all_leases_of_the_agent_only() -> None:
    scenario = given(
        registered("ann"),
        registered("bob", at=after(minutes=1)),
        acquired("ann", KIM, lease="l1", fence=3, at=after(minutes=1)),
        acquired("ann", LEE, lease="l2", fence=4, at=after(minutes=1)),
    )
    scenario.execute(register("bob"), after(minutes=4))
    scenario.when(record_due_of_ann, at=JUST_AFTER).then(
        agent_lapsed("ann", at=JUST_AFTER),
        revoked("ann", KIM, lease="l1", at=JUST_AFTER),
        revoked("ann", LEE, lease="l2", at=JUST_AFTER),
    )

    assert scenario.tenant_state[LEASES].owned_by("agent_ann") == []
    assert scenario.tenant_state[AGENTS]["agent_bob"].is_active(JUST_AFTER)


def test_lease_that_ended_before_the_timeout_expires_instead_of_being_revoked() -> None:
    late = after(minutes=10)
    soon = after(minutes=2)
    given(
        registered("ann"),
        acquired("ann", KIM, lease="long", fence=2),
        acquired("ann", LEE, lease="short", fence=3, until=soon),
    ).when(record_due_of_ann, at=late).then(
        expired("ann", LEE, lease="short", until=soon, at=late),
        agent_lapsed("ann", at=late),
        revoked("ann", KIM, lease="long", at=late),
    )


@pytest.mark.parametrize(
    ("until", "expires"), [(JUST_BEFORE, True), (AT_THE_WINDOW, True), (JUST_AFTER, False)]
)
def test_earlier_of_expiry_and_timeout_ends_the_lease(until: Timestamp, expires: bool) -> None:
    late = after(minutes=10)
    scenario = given(registered("ann"), acquired("ann", fence=2, until=until))
    outcome = scenario.execute(record_due_of_ann, late)

    assert any(isinstance(event, LeaseExpired) for event in outcome.events) == expires
    assert scenario.tenant_state[LEASES]["lease"].status == ("expired" if expires else "revoked")


@pytest.mark.parametrize(
    "command",
    [
        record_due_of_ann,
        RecordDue(aggregate="lease", id="lease"),
        acquire("bob"),
        send("bob"),
        heartbeat("ann"),
        register("ann"),
        renew("lease", by=key_of("ann")),
        release("lease", by=key_of("ann")),
    ],
    ids=lambda command: type(command).__name__,
)
def test_any_command_that_reads_the_agent_records_its_timeout(command: Command) -> None:
    late = after(minutes=6)
    scenario = given(
        registered("ann"), acquired("ann", fence=2), registered("bob", at=after(minutes=3))
    )

    scenario.when(command, at=late).then_recorded_first(
        agent_lapsed("ann", at=late), revoked("ann", at=late)
    )


def test_passed_deadlines_are_recorded_in_their_order() -> None:
    late = after(minutes=12)
    given(
        registered("ann"),
        registered("bob"),
        acquired("ann", LEE, lease="of-ann", fence=3, until=after(minutes=4)),
        acquired("bob", KIM, lease="of-bob", fence=4, until=after(minutes=3)),
        heartbeat_received("bob", at=after(minutes=1)),
    ).when(send("ann", KIM), at=late).then_recorded_first(
        expired("bob", KIM, lease="of-bob", until=after(minutes=3), at=late),
        expired("ann", LEE, lease="of-ann", until=after(minutes=4), at=late),
        agent_lapsed("ann", at=late),
        agent_lapsed("bob", last=after(minutes=1), at=late),
    )


def test_heartbeat_after_a_timeout_restores_no_lease() -> None:
    late = after(minutes=6)
    scenario = given(registered("ann"), acquired("ann", fence=2))
    scenario.when(heartbeat("ann"), at=late).then(
        agent_lapsed("ann", at=late), revoked("ann", at=late), heartbeat_received("ann", at=late)
    )
    scenario.when(send("ann", fence=2)).then(blocked("ann", "stale_fence", fence=2, at=late))

    assert scenario.tenant_state[LEASES]["lease"].status == "revoked"
    assert live_lease(scenario.tenant_state, KIM.key) is None


def test_contact_of_a_timed_out_agent_goes_to_another_agent() -> None:
    late = after(minutes=6)
    until = after(minutes=36)
    scenario = given(
        registered("ann"), acquired("ann", fence=2), registered("bob", at=after(minutes=2))
    )
    scenario.when(acquire("bob", lease="next"), at=late).then(
        agent_lapsed("ann", at=late),
        revoked("ann", at=late),
        acquired("bob", lease="next", fence=6, until=until, at=late),
    )

    scenario.when(heartbeat("ann")).then(heartbeat_received("ann", at=late))
    scenario.when(release("lease", by=key_of("ann"))).then_nothing()
    scenario.when(acquire("ann")).then_rejected(
        lease_held("ann", by="bob", lease="next", until=until)
    )


def test_returned_agent_acquires_again_with_a_higher_fence() -> None:
    late = after(minutes=6)
    given(
        registered("ann"),
        acquired("ann", fence=2),
        agent_lapsed("ann", at=late),
        revoked("ann", at=late),
        heartbeat_received("ann", at=late),
    ).when(acquire("ann", lease="next")).then(
        acquired("ann", lease="next", fence=6, until=after(minutes=36), at=late)
    )


@pytest.mark.parametrize(
    "command",
    [acquire("ann"), propose("ann"), vote("ann", "approve")],
    ids=lambda command: type(command).__name__,
)
def test_timed_out_agent_acts_only_after_a_heartbeat(command: Command) -> None:
    scenario = given(
        registered("ann"), registered("bob"), heartbeat_received("bob", at=after(minutes=5))
    )
    scenario.execute(propose("bob"), after(minutes=5))
    scenario.when(command, at=JUST_AFTER).then_rejected(
        AgentInactive("agent_ann", NOON), recorded_first=[agent_lapsed("ann", at=JUST_AFTER)]
    ).when(heartbeat("ann")).then(heartbeat_received("ann", at=JUST_AFTER))

    assert scenario.execute(command, JUST_AFTER).rejection is None


def test_frequent_heartbeats_record_few_events() -> None:
    scenario = given(registered("ann"))
    for millisecond in range(10_000):
        scenario.execute(heartbeat("ann"), after(milliseconds=millisecond))

    beats = [entry.at for entry in scenario.events[1:]]
    assert beats == [after(seconds=second) for second in range(1, 10)]


def test_result_of_a_coalesced_heartbeat_stays_true() -> None:
    scenario = given(registered("ann"))
    actual = scenario.execute(heartbeat("ann"), after(milliseconds=999)).result.agent.active_until

    assert actual == AT_THE_WINDOW
    scenario.when(record_due_of_ann, at=actual).then_nothing()
    scenario.when(record_due_of_ann, at=Timestamp(actual + 1)).then(
        agent_lapsed("ann", at=JUST_AFTER)
    )


def test_heartbeat_after_a_timeout_is_never_coalesced() -> None:
    scenario = given(registered("ann", at=NOON), agent_lapsed("ann", at=JUST_AFTER))

    scenario.when(heartbeat("ann")).then(heartbeat_received("ann", at=JUST_AFTER)).when(
        heartbeat("ann")
    ).then_nothing()


def test_changed_window_applies_from_the_next_registration() -> None:
    """Replicas with different windows give an agent the window of its registration."""
    scenario = given(registered("ann"), window=2_000)

    scenario.when(heartbeat("ann"), at=after(seconds=2)).then(
        heartbeat_received("ann", at=after(seconds=2))
    ).when(register("ann"), at=after(minutes=10)).then(
        agent_lapsed("ann", last=after(seconds=2), at=after(minutes=10)),
        reregistered("ann", window=2_000, at=after(minutes=10)),
    ).when(heartbeat("ann"), at=after(minutes=10, seconds=1)).then(
        heartbeat_received("ann", window=2_000, at=after(minutes=10, seconds=1))
    )


def test_registration_with_a_shorter_window_keeps_the_promised_activity() -> None:
    scenario = given(registered("ann"), window=2_000)
    promised, later = after(minutes=5), after(minutes=4, seconds=59, milliseconds=500)

    scenario.when(register("ann"), at=after(seconds=1)).then(
        reregistered("ann", window=2_000, until=promised, at=after(seconds=1))
    ).when(heartbeat("ann"), at=after(minutes=4)).then(
        heartbeat_received("ann", until=promised, at=after(minutes=4))
    ).when(heartbeat("ann"), at=later).then(heartbeat_received("ann", window=2_000, at=later))


def test_agent_of_an_early_version_gets_the_configured_window() -> None:
    """Its registration recorded no window. A heartbeat does not shorten its activity either."""
    event = replace(registered("ann").event, heartbeat_window_ms=None)
    scenario = given(TimedEvent(at=NOON, event=event), window=2_000)

    scenario.when(heartbeat("ann"), at=after(seconds=1)).then(
        heartbeat_received("ann", until=after(minutes=5), at=after(seconds=1))
    )


def test_changed_window_keeps_the_recorded_activity() -> None:
    """Activity depends on the recorded events, not on the current configuration."""
    scenario = given(registered("ann"), acquired("ann", fence=2), window=2_000)

    scenario.when(record_due_of_ann, at=AT_THE_WINDOW).then_nothing()


def test_short_window_does_not_coalesce_regular_heartbeats() -> None:
    scenario = given(window=2_000)
    scenario.execute(register("ann"), NOON)
    for second in range(1, 20):
        scenario.execute(heartbeat("ann"), after(seconds=second))

    assert len(scenario.events) == 20


def test_heartbeat_of_an_unknown_agent_is_rejected() -> None:
    scenario = given().when(heartbeat("ann")).then_rejected(AgentNotFound())

    assert list(scenario.tenant_state[AGENTS]) == []


def test_timeout_without_live_leases_revokes_none() -> None:
    scenario = given(registered("ann"), acquired("ann", fence=2), released("ann"))

    scenario.when(record_due_of_ann, at=JUST_AFTER).then(agent_lapsed("ann", at=JUST_AFTER))


def test_second_timeout_is_recorded_again() -> None:
    first, second = after(minutes=6), after(minutes=12)
    scenario = given(
        registered("ann"), agent_lapsed("ann", at=first), reregistered("ann", at=first)
    )

    scenario.when(record_due_of_ann, at=second).then(agent_lapsed("ann", last=first, at=second))
