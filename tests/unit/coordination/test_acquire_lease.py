"""At no instant do two agents hold a lease on the same contact of the same tenant."""

from dataclasses import replace

import pytest

from quorate.domain.coordination.leases import LEASES, LeaseAcquired, live_lease
from quorate.domain.identity.agents import ActingAsAnother, AgentInactive, AgentNotFound, AgentRef
from quorate.domain.registry import stream_of
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_events import (
    IN_HALF_AN_HOUR,
    acquired,
    beat,
    expired,
    held,
    lapsed,
    registered,
    released,
    renewed,
    revoked,
)
from tests.unit.support.scenario import KIM, LEE, TENANT_KEY, acquire, key_of, register, release
from tests.unit.support.specification import NOON, WINDOW, Fact, Story, after, given

SOON = after(minutes=2)
JUST_BEFORE = Timestamp(SOON - 1)
JUST_AFTER = Timestamp(SOON + 1)

ann_holds_kim = (registered("ann"), registered("bob"), acquired("ann", fence=3))
ann_holds_kim_until_soon = (*ann_holds_kim[:2], acquired("ann", fence=3, until=SOON))


def ann_and_bob(*facts: Fact) -> Story:
    return given(registered("ann"), registered("bob"), *facts)


def test_a_free_contact_goes_to_who_asks() -> None:
    given(registered("ann")).when(acquire("ann", intent="outbound_sales")).then(
        acquired("ann", lease="new-lease", fence=2, intent="outbound_sales")
    )


def test_a_lease_remembers_all_that_was_asked() -> None:
    story = given(registered("ann"))
    lease = story.ask(acquire("ann", lease="l1", intent="sales"), after(minutes=1)).outcome

    assert (lease.id, lease.agent_id, lease.intent) == ("l1", "agent_ann", "sales")
    assert (lease.contact_email, lease.contact_key) == ("Kim@example.com", "kim@example.com")
    assert (lease.created_at, lease.expires_at) == (after(minutes=1), after(minutes=31))
    assert (lease.status, lease.fence, lease.ended_at) == ("active", 2, None)


@pytest.mark.parametrize(
    ("minutes", "milliseconds"),
    [(1 / 60, 1_000), (0.5, 30_000), (0.0333333, 2_000), (1_440, 86_400_000)],
)
def test_minutes_may_be_fractions(minutes: float, milliseconds: int) -> None:
    given(registered("ann")).when(acquire("ann", minutes=minutes)).then(
        acquired("ann", lease="new-lease", fence=2, until=after(milliseconds=milliseconds))
    )


def test_a_held_contact_is_refused_to_everyone_else() -> None:
    given(*ann_holds_kim).when(acquire("bob")).then_refused(held("bob", by="ann"))


def test_the_refusal_says_who_holds_it_and_until_when() -> None:
    refusal = held("bob", by="ann")

    assert refusal.code == "lease_conflict"
    assert refusal.details == {
        "conflict": True,
        "lease_holder": {
            "agent_id": "agent_ann",
            "agent_name": "ann",
            "expires_at": "2026-03-01T12:30:00.000Z",
        },
    }


def test_the_refusal_is_recorded_each_time_and_grants_nothing() -> None:
    story = given(*ann_holds_kim)
    for _ in range(3):
        story.when(acquire("bob")).then_refused(held("bob", by="ann"))

    assert len(story.facts) == 6
    lease = live_lease(story.tenant_state, KIM.key)
    assert lease is not None
    assert lease.agent_id == "agent_ann"


def test_another_spelling_of_the_address_is_the_same_contact() -> None:
    shouted = EmailAddress(email="KIM@EXAMPLE.COM", key=KIM.key)

    given(*ann_holds_kim).when(acquire("bob", shouted)).then_refused(
        held("bob", by="ann", contact=shouted)
    )


def test_another_contact_is_free() -> None:
    given(*ann_holds_kim).when(acquire("bob", LEE)).then(
        acquired("bob", LEE, lease="new-lease", fence=4)
    )


def test_an_agent_may_hold_many_contacts() -> None:
    story = (
        given(*ann_holds_kim)
        .when(acquire("ann", LEE, lease="l2"))
        .then(acquired("ann", LEE, lease="l2", fence=4))
    )

    assert [lease.id for lease in story.tenant_state[LEASES].owned_by("agent_ann")] == [
        "lease",
        "l2",
    ]


def test_the_holder_who_acquires_again_renews_under_the_same_id_and_fence() -> None:
    minute = after(minutes=1)
    asked = given(*ann_holds_kim).when(acquire("ann"), at=minute)
    asked.then(renewed("ann", until=after(minutes=31), at=minute))

    lease = asked.answer.outcome
    assert (lease.id, lease.fence, lease.expires_at) == ("lease", 3, after(minutes=31))
    assert lease.created_at == NOON


def test_the_holder_who_acquires_again_for_less_loses_nothing() -> None:
    given(*ann_holds_kim).when(acquire("ann", minutes=5)).then_nothing()


def test_the_holder_may_change_the_intent_without_losing_time() -> None:
    minute = after(minutes=1)

    given(*ann_holds_kim).when(acquire("ann", minutes=5, intent="follow_up"), at=minute).then(
        renewed("ann", until=IN_HALF_AN_HOUR, intent="follow_up", at=minute)
    )


def test_until_the_last_millisecond_the_lease_is_valid() -> None:
    given(*ann_holds_kim_until_soon).when(acquire("bob"), at=JUST_BEFORE).then_refused(
        held("bob", by="ann", until=SOON)
    )


@pytest.mark.parametrize("at", [SOON, JUST_AFTER])
def test_at_its_end_the_lease_is_free_for_a_rival(at: Timestamp) -> None:
    until = Timestamp(at + 30 * 60_000)

    given(*ann_holds_kim_until_soon).when(acquire("bob"), at=at).then(
        expired("ann", until=SOON, at=at),
        acquired("bob", lease="new-lease", fence=5, until=until, at=at),
    )


@pytest.mark.parametrize("at", [SOON, JUST_AFTER])
def test_at_its_end_the_holder_gets_a_new_lease_too(at: Timestamp) -> None:
    until = Timestamp(at + 30 * 60_000)

    given(*ann_holds_kim_until_soon).when(acquire("ann"), at=at).then(
        expired("ann", until=SOON, at=at),
        acquired("ann", lease="new-lease", fence=5, until=until, at=at),
    )


def test_the_timer_finds_an_expiry_once() -> None:
    settle = RecordDue(aggregate="lease", id="lease")
    given(*ann_holds_kim_until_soon).when(settle, at=JUST_BEFORE).then_nothing().when(
        settle, at=SOON
    ).then(expired("ann", until=SOON, at=SOON)).when(settle, at=JUST_AFTER).then_nothing()


def test_an_expiry_that_the_timer_recorded_is_not_recorded_again() -> None:
    given(*ann_holds_kim_until_soon, expired("ann", until=SOON, at=SOON)).when(acquire("bob")).then(
        acquired("bob", lease="new-lease", fence=5, until=after(minutes=32), at=SOON)
    )


def test_the_timer_may_come_for_a_lease_that_never_was() -> None:
    given().when(RecordDue(aggregate="lease", id="nothing")).then_nothing()


def test_a_released_contact_is_free_at_once() -> None:
    given(*ann_holds_kim, released("ann")).when(acquire("bob")).then(
        acquired("bob", lease="new-lease", fence=5)
    )


def test_fences_only_grow_across_release_and_expiry_and_lapse() -> None:
    story = ann_and_bob()
    fences = []
    for minute in range(0, 60, 3):
        for name in ("ann", "bob"):
            now = after(minutes=minute)
            story.ask(register(name), now)
            answer = story.ask(acquire(name, lease=f"{name}{minute}", minutes=2), now)
            fences += [event.fence for event in answer.decided if isinstance(event, LeaseAcquired)]
            if minute % 2 and answer.outcome:
                story.ask(release(answer.outcome.id, by=key_of(name)), now)

    assert len(fences) > 20
    assert fences == sorted(set(fences))


def test_a_rival_waits_as_long_as_the_holder_is_active() -> None:
    at_the_window = after(milliseconds=WINDOW)
    story = given(*ann_holds_kim, beat("bob", at=SOON))

    story.when(acquire("bob"), at=at_the_window).then_refused(held("bob", by="ann"))


def test_a_rival_gets_what_an_agent_that_went_silent_held() -> None:
    late = after(milliseconds=WINDOW + 1)
    until = Timestamp(late + 30 * 60_000)

    given(*ann_holds_kim, beat("bob", at=SOON)).when(acquire("bob"), at=late).then(
        lapsed("ann", at=late),
        revoked("ann", at=late),
        acquired("bob", lease="new-lease", fence=7, until=until, at=late),
    )


def test_an_inactive_agent_acquires_nothing() -> None:
    late = after(minutes=6)

    given(registered("ann"), lapsed("ann", at=late)).when(acquire("ann")).then_refused(
        AgentInactive("agent_ann", NOON)
    )


def test_an_inactive_agent_is_told_when_it_was_last_heard_of() -> None:
    assert AgentInactive("agent_ann", NOON).details == {
        "agent_id": "agent_ann",
        "last_heartbeat": "2026-03-01T12:00:00.000Z",
    }


def test_an_unknown_agent_acquires_nothing() -> None:
    given().when(acquire("ann")).then_refused(AgentNotFound())


def test_the_tenants_key_acquires_for_whom_it_names() -> None:
    for ref in (AgentRef(id="agent_ann"), AgentRef(name="ann")):
        given(registered("ann")).when(replace(acquire("x"), caller=TENANT_KEY, agent=ref)).then(
            acquired("ann", lease="new-lease", fence=2)
        )


def test_the_tenants_key_must_name_somebody() -> None:
    given(registered("ann")).when(replace(acquire("x"), caller=TENANT_KEY)).then_refused(
        AgentNotFound()
    )


def test_an_agents_key_acquires_for_nobody_else() -> None:
    command = replace(acquire("ann"), agent=AgentRef(name="bob"))

    ann_and_bob().when(command).then_refused(ActingAsAnother("agent_ann"))


def test_of_500_who_ask_at_once_one_gets_it() -> None:
    names = [f"agent{number}" for number in range(50)]
    story = given(*(registered(name) for name in names))
    granted = 0
    for ask in range(500):
        name = names[ask * 7 % 50]
        answer = story.ask(acquire(name, lease=f"l{ask}", minutes=5), NOON)
        granted += sum(isinstance(event, LeaseAcquired) for event in answer.events)

    assert granted == 1


def test_the_facts_of_a_contact_are_one_stream() -> None:
    facts = (acquired("ann", fence=1), released("ann"), expired("bob", at=NOON))

    assert {stream_of(fact.event) for fact in facts} == {"lease-kim@example.com"}
