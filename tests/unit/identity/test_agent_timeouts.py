"""Active means: the last heartbeat is no older than the window. A lapse is a fact, and final."""

import pytest

from quorate.domain.coordination.leases import LEASES, LeaseExpired, live_lease
from quorate.domain.identity.agents import AGENTS, AgentInactive, AgentNotFound, HeartbeatReceived
from quorate.domain.shared.deadlines import RecordDue
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_events import (
    acquired,
    beat,
    blocked,
    expired,
    held,
    lapsed,
    registered,
    released,
    reregistered,
    revoked,
)
from tests.unit.support.scenario import (
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
from tests.unit.support.specification import NOON, WINDOW, Fact, after, given

AT_THE_WINDOW = Timestamp(NOON + WINDOW)
JUST_BEFORE = Timestamp(AT_THE_WINDOW - 1)
JUST_AFTER = Timestamp(AT_THE_WINDOW + 1)
settle_ann = RecordDue(aggregate="agent", id="agent_ann")


def test_a_heartbeat_renews_for_one_window() -> None:
    minute = after(minutes=1)
    story = given(registered("ann")).when(heartbeat("ann"), at=minute).then(beat("ann", at=minute))
    ann = story.tenant_state[AGENTS]["agent_ann"]

    assert ann.is_active(Timestamp(minute + WINDOW))
    assert not ann.is_active(Timestamp(minute + WINDOW + 1))


def test_a_heartbeat_changes_nothing_else() -> None:
    story = given(registered("ann", role="outbound"))
    story.ask(heartbeat("ann"), after(minutes=1))
    ann = story.tenant_state[AGENTS]["agent_ann"]

    assert (ann.name, ann.role, ann.incarnation) == ("ann", "outbound", 1)
    assert ann.registered_at == NOON


@pytest.mark.parametrize("at", [JUST_BEFORE, AT_THE_WINDOW])
def test_until_the_window_has_passed_nothing_lapses(at: Timestamp) -> None:
    given(registered("ann")).when(settle_ann, at=at).then_nothing().when(
        acquire("ann"), at=at
    ).then(acquired("ann", lease="new-lease", fence=2, until=Timestamp(at + 30 * 60_000), at=at))


def test_when_the_window_has_passed_the_lapse_is_recorded() -> None:
    given(registered("ann")).when(settle_ann, at=JUST_AFTER).then(lapsed("ann", at=JUST_AFTER))


def test_a_lapse_is_recorded_once() -> None:
    given(registered("ann"), lapsed("ann", at=JUST_AFTER)).when(
        settle_ann, at=after(hours=1)
    ).then_nothing()


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (JUST_BEFORE, [beat("ann", at=JUST_BEFORE)]),
        (AT_THE_WINDOW, [beat("ann", at=AT_THE_WINDOW)]),
        (JUST_AFTER, [lapsed("ann", at=JUST_AFTER), beat("ann", at=JUST_AFTER)]),
    ],
)
def test_a_heartbeat_comes_in_time_or_after_a_lapse(at: Timestamp, expected: list[Fact]) -> None:
    given(registered("ann")).when(heartbeat("ann"), at=at).then(*expected)


def test_a_lapse_ends_every_lease_of_that_agent_and_no_other() -> None:
    story = given(
        registered("ann"),
        registered("bob", at=after(minutes=1)),
        acquired("ann", KIM, lease="l1", fence=3, at=after(minutes=1)),
        acquired("ann", LEE, lease="l2", fence=4, at=after(minutes=1)),
    )
    story.ask(register("bob"), after(minutes=4))
    story.when(settle_ann, at=JUST_AFTER).then(
        lapsed("ann", at=JUST_AFTER),
        revoked("ann", KIM, lease="l1", at=JUST_AFTER),
        revoked("ann", LEE, lease="l2", at=JUST_AFTER),
    )

    assert story.tenant_state[LEASES].owned_by("agent_ann") == []
    assert story.tenant_state[AGENTS]["agent_bob"].is_active(JUST_AFTER)


def test_a_lease_that_ran_out_before_the_lapse_has_expired_and_was_not_revoked() -> None:
    late = after(minutes=10)
    soon = after(minutes=2)
    given(
        registered("ann"),
        acquired("ann", KIM, lease="long", fence=2),
        acquired("ann", LEE, lease="short", fence=3, until=soon),
    ).when(settle_ann, at=late).then(
        expired("ann", LEE, lease="short", until=soon, at=late),
        lapsed("ann", at=late),
        revoked("ann", KIM, lease="long", at=late),
    )


@pytest.mark.parametrize(
    ("until", "expires"), [(JUST_BEFORE, True), (AT_THE_WINDOW, True), (JUST_AFTER, False)]
)
def test_whichever_end_comes_first_is_the_end(until: Timestamp, expires: bool) -> None:
    late = after(minutes=10)
    story = given(registered("ann"), acquired("ann", fence=2, until=until))
    answer = story.ask(settle_ann, late)

    assert any(isinstance(event, LeaseExpired) for event in answer.events) == expires
    assert story.tenant_state[LEASES]["lease"].status == ("expired" if expires else "revoked")


@pytest.mark.parametrize(
    "noticed_by",
    [
        settle_ann,
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
def test_whoever_notifications_a_lapse_records_the_same_facts(noticed_by: Command) -> None:
    late = after(minutes=6)
    story = given(
        registered("ann"), acquired("ann", fence=2), registered("bob", at=after(minutes=3))
    )

    story.when(noticed_by, at=late).then_settled(lapsed("ann", at=late), revoked("ann", at=late))


def test_what_fell_due_unseen_is_recorded_in_the_order_in_which_it_fell_due() -> None:
    late = after(minutes=12)
    given(
        registered("ann"),
        registered("bob"),
        acquired("ann", LEE, lease="of-ann", fence=3, until=after(minutes=4)),
        acquired("bob", KIM, lease="of-bob", fence=4, until=after(minutes=3)),
        beat("bob", at=after(minutes=1)),
    ).when(send("ann", KIM), at=late).then_settled(
        expired("bob", KIM, lease="of-bob", until=after(minutes=3), at=late),
        expired("ann", LEE, lease="of-ann", until=after(minutes=4), at=late),
        lapsed("ann", at=late),
        lapsed("bob", last=after(minutes=1), at=late),
    )


def test_a_later_heartbeat_does_not_bring_the_leases_back() -> None:
    late = after(minutes=6)
    story = given(registered("ann"), acquired("ann", fence=2))
    story.when(heartbeat("ann"), at=late).then(
        lapsed("ann", at=late), revoked("ann", at=late), beat("ann", at=late)
    )
    story.when(send("ann", fence=2)).then(blocked("ann", "stale_fence", fence=2, at=late))

    assert story.tenant_state[LEASES]["lease"].status == "revoked"
    assert live_lease(story.tenant_state, KIM.key) is None


def test_after_a_lapse_a_rival_gets_the_contact_and_keeps_it() -> None:
    late = after(minutes=6)
    until = after(minutes=36)
    story = given(
        registered("ann"), acquired("ann", fence=2), registered("bob", at=after(minutes=2))
    )
    story.when(acquire("bob", lease="next"), at=late).then(
        lapsed("ann", at=late),
        revoked("ann", at=late),
        acquired("bob", lease="next", fence=6, until=until, at=late),
    )

    story.when(heartbeat("ann")).then(beat("ann", at=late))
    story.when(release("lease", by=key_of("ann"))).then_nothing()
    story.when(acquire("ann")).then_refused(held("ann", by="bob", lease="next", until=until))


def test_a_returned_agent_may_acquire_anew_under_a_higher_fence() -> None:
    late = after(minutes=6)
    given(
        registered("ann"),
        acquired("ann", fence=2),
        lapsed("ann", at=late),
        revoked("ann", at=late),
        beat("ann", at=late),
    ).when(acquire("ann", lease="next")).then(
        acquired("ann", lease="next", fence=6, until=after(minutes=36), at=late)
    )


@pytest.mark.parametrize(
    "command",
    [acquire("ann"), propose("ann"), vote("ann", "approve")],
    ids=lambda command: type(command).__name__,
)
def test_a_lapsed_agent_may_not_act_before_it_is_heard_of_again(command: Command) -> None:
    story = given(registered("ann"), registered("bob"), beat("bob", at=after(minutes=5)))
    story.ask(propose("bob"), after(minutes=5))
    story.when(command, at=JUST_AFTER).then_refused(
        AgentInactive("agent_ann", NOON), settled=[lapsed("ann", at=JUST_AFTER)]
    ).when(heartbeat("ann")).then(beat("ann", at=JUST_AFTER))

    assert story.ask(command, JUST_AFTER).declined is None


def test_a_flood_of_heartbeats_is_few_facts() -> None:
    story = given(registered("ann"))
    for millisecond in range(10_000):
        story.ask(heartbeat("ann"), after(milliseconds=millisecond))

    beats = [fact.at for fact in story.facts[1:]]
    assert beats == [after(seconds=second) for second in range(1, 10)]


def test_what_a_coalesced_heartbeat_answers_stays_true() -> None:
    story = given(registered("ann"))
    told = story.ask(heartbeat("ann"), after(milliseconds=999)).outcome.agent.active_until

    assert told == AT_THE_WINDOW
    story.when(settle_ann, at=told).then_nothing()
    story.when(settle_ann, at=Timestamp(told + 1)).then(lapsed("ann", at=JUST_AFTER))


def test_a_heartbeat_after_a_lapse_is_never_coalesced() -> None:
    story = given(registered("ann", at=NOON), lapsed("ann", at=JUST_AFTER))

    story.when(heartbeat("ann")).then(beat("ann", at=JUST_AFTER)).when(
        heartbeat("ann")
    ).then_nothing()


def test_another_window_holds_from_the_next_heartbeat() -> None:
    story = given(registered("ann"), window=2_000)
    answer = story.ask(heartbeat("ann"), after(seconds=1))

    assert answer.events == (
        HeartbeatReceived(agent_id="agent_ann", active_until=after(seconds=3)),
    )


def test_a_window_that_was_changed_leaves_what_was_promised() -> None:
    """Activity is what the log says, not what today's configuration would make of it."""
    story = given(registered("ann"), acquired("ann", fence=2), window=2_000)

    story.when(settle_ann, at=AT_THE_WINDOW).then_nothing()


def test_with_a_short_window_heartbeats_are_not_coalesced_away() -> None:
    story = given(window=2_000)
    story.ask(register("ann"), NOON)
    for second in range(1, 20):
        story.ask(heartbeat("ann"), after(seconds=second))

    assert len(story.facts) == 20


def test_heartbeats_of_the_unknown_register_nobody() -> None:
    story = given().when(heartbeat("ann")).then_refused(AgentNotFound())

    assert list(story.tenant_state[AGENTS]) == []


def test_a_lapse_without_leases_ends_none() -> None:
    story = given(registered("ann"), acquired("ann", fence=2), released("ann"))

    story.when(settle_ann, at=JUST_AFTER).then(lapsed("ann", at=JUST_AFTER))


def test_an_agent_that_lapses_again_lapses_again() -> None:
    first, second = after(minutes=6), after(minutes=12)
    story = given(registered("ann"), lapsed("ann", at=first), reregistered("ann", at=first))

    story.when(settle_ann, at=second).then(lapsed("ann", last=first, at=second))
