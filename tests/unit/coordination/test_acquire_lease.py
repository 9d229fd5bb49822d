"""Acquire a lease: at no time do two agents hold the same contact of the same tenant."""

from dataclasses import replace

import pytest

from quorate.domain.coordination.leases import LEASES, LeaseAcquired, live_lease
from quorate.domain.identity.agents import ActingAsAnother, AgentInactive, AgentNotFound, AgentRef
from quorate.domain.registry import stream_of
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import (
    KIM,
    LEE,
    TENANT_KEY,
    acquire,
    key_of,
    register,
    release,
)
from tests.unit.support.sample_events import (
    IN_HALF_AN_HOUR,
    acquired,
    agent_lapsed,
    expired,
    heartbeat_received,
    lease_held,
    registered,
    released,
    renewed,
    revoked,
)
from tests.unit.support.specification import NOON, WINDOW, Scenario, TimedEvent, after, given

SOON = after(minutes=2)
JUST_BEFORE = Timestamp(SOON - 1)
JUST_AFTER = Timestamp(SOON + 1)

ann_holds_kim = (registered("ann"), registered("bob"), acquired("ann", fence=3))
ann_holds_kim_until_soon = (*ann_holds_kim[:2], acquired("ann", fence=3, until=SOON))


def ann_and_bob(*events: TimedEvent) -> Scenario:
    return given(registered("ann"), registered("bob"), *events)


def test_free_contact_is_granted() -> None:
    given(registered("ann")).when(acquire("ann", intent="outbound_sales")).then(
        acquired("ann", lease="new-lease", fence=2, intent="outbound_sales")
    )


def test_lease_contains_all_requested_values() -> None:
    scenario = given(registered("ann"))
    lease = scenario.execute(acquire("ann", lease="l1", intent="sales"), after(minutes=1)).result

    assert (lease.id, lease.agent_id, lease.intent) == ("l1", "agent_ann", "sales")
    assert (lease.contact_email, lease.contact_key) == ("Kim@example.com", "kim@example.com")
    assert (lease.created_at, lease.expires_at) == (after(minutes=1), after(minutes=31))
    assert (lease.status, lease.fence, lease.ended_at) == ("active", 2, None)


@pytest.mark.parametrize(
    ("minutes", "milliseconds"),
    [(1 / 60, 1_000), (0.5, 30_000), (0.0333333, 2_000), (1_440, 86_400_000)],
)
def test_duration_may_be_a_fraction_of_minutes(minutes: float, milliseconds: int) -> None:
    given(registered("ann")).when(acquire("ann", minutes=minutes)).then(
        acquired("ann", lease="new-lease", fence=2, until=after(milliseconds=milliseconds))
    )


def test_held_contact_is_rejected_for_other_agents() -> None:
    given(*ann_holds_kim).when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))


def test_rejection_names_the_holder_and_the_expiry() -> None:
    error = lease_held("bob", by="ann")

    assert error.code == "lease_conflict"
    assert error.details == {
        "conflict": True,
        "lease_holder": {
            "agent_id": "agent_ann",
            "agent_name": "ann",
            "expires_at": "2026-03-01T12:30:00.000Z",
        },
        "will_notify": True,
    }


def test_each_rejection_is_recorded_and_grants_nothing() -> None:
    scenario = given(*ann_holds_kim)
    for _ in range(3):
        scenario.when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))

    assert len(scenario.events) == 6
    lease = live_lease(scenario.tenant_state, KIM.key)
    assert lease is not None
    assert lease.agent_id == "agent_ann"


def test_other_spelling_of_the_address_is_the_same_contact() -> None:
    shouted = EmailAddress(email="KIM@EXAMPLE.COM", key=KIM.key)

    given(*ann_holds_kim).when(acquire("bob", shouted)).then_rejected(
        lease_held("bob", by="ann", contact=shouted)
    )


def test_other_contact_is_free() -> None:
    given(*ann_holds_kim).when(acquire("bob", LEE)).then(
        acquired("bob", LEE, lease="new-lease", fence=4)
    )


def test_agent_may_hold_many_contacts() -> None:
    scenario = (
        given(*ann_holds_kim)
        .when(acquire("ann", LEE, lease="l2"))
        .then(acquired("ann", LEE, lease="l2", fence=4))
    )

    assert [lease.id for lease in scenario.tenant_state[LEASES].owned_by("agent_ann")] == [
        "lease",
        "l2",
    ]


def test_acquiring_again_renews_with_the_same_id_and_fence() -> None:
    minute = after(minutes=1)
    execution = given(*ann_holds_kim).when(acquire("ann"), at=minute)
    execution.then(renewed("ann", until=after(minutes=31), at=minute))

    lease = execution.outcome.result
    assert (lease.id, lease.fence, lease.expires_at) == ("lease", 3, after(minutes=31))
    assert lease.created_at == NOON


def test_acquiring_again_with_a_shorter_duration_changes_nothing() -> None:
    given(*ann_holds_kim).when(acquire("ann", minutes=5)).then_nothing()


def test_acquiring_again_may_change_the_intent_only() -> None:
    minute = after(minutes=1)

    given(*ann_holds_kim).when(acquire("ann", minutes=5, intent="follow_up"), at=minute).then(
        renewed("ann", until=IN_HALF_AN_HOUR, intent="follow_up", at=minute)
    )


def test_acquiring_again_without_an_intent_keeps_the_intent() -> None:
    minute = after(minutes=1)
    scenario = given(registered("ann"), acquired("ann", fence=2, intent="outbound_sales"))

    scenario.when(acquire("ann"), at=minute).then(
        renewed("ann", until=after(minutes=31), intent="outbound_sales", at=minute)
    )


def test_free_contact_without_an_intent_gets_the_default() -> None:
    given(registered("ann")).when(acquire("ann")).then(
        acquired("ann", lease="new-lease", fence=2, intent="general")
    )


def test_lease_is_valid_until_the_last_millisecond() -> None:
    given(*ann_holds_kim_until_soon).when(acquire("bob"), at=JUST_BEFORE).then_rejected(
        lease_held("bob", by="ann", until=SOON)
    )


@pytest.mark.parametrize("at", [SOON, JUST_AFTER])
def test_expired_contact_is_granted_to_another_agent(at: Timestamp) -> None:
    until = Timestamp(at + 30 * 60_000)

    given(*ann_holds_kim_until_soon).when(acquire("bob"), at=at).then(
        expired("ann", until=SOON, at=at),
        acquired("bob", lease="new-lease", fence=5, until=until, at=at),
    )


@pytest.mark.parametrize("at", [SOON, JUST_AFTER])
def test_expired_contact_is_granted_to_its_holder_as_a_new_lease(at: Timestamp) -> None:
    until = Timestamp(at + 30 * 60_000)

    given(*ann_holds_kim_until_soon).when(acquire("ann"), at=at).then(
        expired("ann", until=SOON, at=at),
        acquired("ann", lease="new-lease", fence=5, until=until, at=at),
    )


def test_scheduler_records_an_expiry_once() -> None:
    record_due = RecordDue(aggregate="lease", id="lease")
    given(*ann_holds_kim_until_soon).when(record_due, at=JUST_BEFORE).then_nothing().when(
        record_due, at=SOON
    ).then(expired("ann", until=SOON, at=SOON)).when(record_due, at=JUST_AFTER).then_nothing()


def test_recorded_expiry_is_not_recorded_again_by_a_command() -> None:
    given(*ann_holds_kim_until_soon, expired("ann", until=SOON, at=SOON)).when(acquire("bob")).then(
        acquired("bob", lease="new-lease", fence=5, until=after(minutes=32), at=SOON)
    )


def test_scheduler_ignores_an_unknown_lease() -> None:
    given().when(RecordDue(aggregate="lease", id="nothing")).then_nothing()


def test_released_contact_is_free_at_once() -> None:
    given(*ann_holds_kim, released("ann")).when(acquire("bob")).then(
        acquired("bob", lease="new-lease", fence=5)
    )


def test_fences_increase_across_release_expiry_and_timeout() -> None:
    scenario = ann_and_bob()
    fences = []
    for minute in range(0, 60, 3):
        for name in ("ann", "bob"):
            now = after(minutes=minute)
            scenario.execute(register(name), now)
            outcome = scenario.execute(acquire(name, lease=f"{name}{minute}", minutes=2), now)
            fences += [event.fence for event in outcome.decided if isinstance(event, LeaseAcquired)]
            if minute % 2 and outcome.result:
                scenario.execute(release(outcome.result.id, by=key_of(name)), now)

    assert len(fences) > 20
    assert fences == sorted(set(fences))


def test_contact_stays_held_while_the_holder_is_active() -> None:
    at_the_window = after(milliseconds=WINDOW)
    scenario = given(*ann_holds_kim, heartbeat_received("bob", at=SOON))

    scenario.when(acquire("bob"), at=at_the_window).then_rejected(lease_held("bob", by="ann"))


def test_contact_of_an_inactive_holder_is_granted() -> None:
    late = after(milliseconds=WINDOW + 1)
    until = Timestamp(late + 30 * 60_000)

    given(*ann_holds_kim, heartbeat_received("bob", at=SOON)).when(acquire("bob"), at=late).then(
        agent_lapsed("ann", at=late),
        revoked("ann", at=late),
        acquired("bob", lease="new-lease", fence=7, until=until, at=late),
    )


def test_inactive_agent_cannot_acquire() -> None:
    late = after(minutes=6)

    given(registered("ann"), agent_lapsed("ann", at=late)).when(acquire("ann")).then_rejected(
        AgentInactive("agent_ann", NOON)
    )


def test_rejection_of_an_inactive_agent_has_its_last_heartbeat() -> None:
    assert AgentInactive("agent_ann", NOON).details == {
        "agent_id": "agent_ann",
        "last_heartbeat": "2026-03-01T12:00:00.000Z",
    }


def test_unknown_agent_cannot_acquire() -> None:
    given().when(acquire("ann")).then_rejected(AgentNotFound())


def test_tenant_key_acquires_for_the_named_agent() -> None:
    for ref in (AgentRef(id="agent_ann"), AgentRef(name="ann")):
        given(registered("ann")).when(replace(acquire("x"), caller=TENANT_KEY, agent=ref)).then(
            acquired("ann", lease="new-lease", fence=2)
        )


def test_tenant_key_must_name_an_agent() -> None:
    given(registered("ann")).when(replace(acquire("x"), caller=TENANT_KEY)).then_rejected(
        AgentNotFound()
    )


def test_agent_key_acquires_for_no_other_agent() -> None:
    command = replace(acquire("ann"), agent=AgentRef(name="bob"))

    ann_and_bob().when(command).then_rejected(ActingAsAnother("agent_ann"))


def test_one_of_500_concurrent_requests_gets_the_contact() -> None:
    names = [f"agent{number}" for number in range(50)]
    scenario = given(*(registered(name) for name in names))
    granted = 0
    for number in range(500):
        name = names[number * 7 % 50]
        outcome = scenario.execute(acquire(name, lease=f"l{number}", minutes=5), NOON)
        granted += sum(isinstance(event, LeaseAcquired) for event in outcome.events)

    assert granted == 1


def test_events_of_a_contact_form_one_stream() -> None:
    events = (acquired("ann", fence=1), released("ann"), expired("bob", at=NOON))

    assert {stream_of(entry.event) for entry in events} == {"lease-kim@example.com"}
