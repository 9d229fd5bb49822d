"""Instances of one agent exclude each other; a later registration gets a new fence."""

from dataclasses import replace

import pytest

from quorate.domain.coordination.leases import (
    CONTENDERS_MAX,
    HOLDER,
    LEASES,
    LeaseAcquired,
    LeaseEnded,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.registry import notifications_of
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.serialization import decode, encode, public
from tests.unit.support.sample_commands import TENANT_KEY, acquire, key_of, release, renew, send
from tests.unit.support.sample_events import (
    IN_HALF_AN_HOUR,
    acquired,
    authorized,
    blocked,
    expired,
    lease_held,
    registered,
    renewed,
    reregistered,
    revoked,
)
from tests.unit.support.specification import NOON, Scenario, TimedEvent, after, given

MINUTE = after(minutes=1)
LATER = after(minutes=31)


def held_by(holder: str | None, *, incarnation: int | None = 1) -> Scenario:
    """The contact kim is held by ann, and by this instance of it."""
    lease = acquired("ann", fence=2, holder=holder, incarnation=incarnation)
    return given(registered("ann"), lease)


def with_holder(entry: TimedEvent, holder: str | None) -> TimedEvent:
    return replace(entry, event=replace(entry.event, holder=holder))


def superseded(at: Timestamp = NOON, holder: str | None = None) -> TimedEvent:
    entry = with_holder(revoked("ann", at=at), holder)
    return replace(entry, event=replace(entry.event, reason="superseded"))


# -- Instances of one agent ------------------------------------------------------


@pytest.mark.parametrize(("holder", "rival"), [("first", "second"), ("first", None)])
def test_other_instance_of_the_agent_is_a_rival(holder: str | None, rival: str | None) -> None:
    held_by(holder).when(acquire("ann", holder=rival)).then_rejected(
        lease_held("ann", by="ann", holder=holder, requested_holder=rival)
    )


def test_instance_takes_over_a_lease_of_the_agent_as_a_whole() -> None:
    scenario = held_by(None)
    scenario.when(acquire("ann", holder="first")).then(
        superseded(), acquired("ann", lease="new-lease", fence=4, holder="first")
    )

    scenario.when(send("ann", fence=2)).then(blocked("ann", "stale_fence", fence=2))
    scenario.when(acquire("ann", holder="second")).then_rejected(
        lease_held("ann", by="ann", lease="new-lease", holder="first", requested_holder="second")
    )


@pytest.mark.parametrize("holder", ["first", None])
def test_holder_that_acquires_again_renews(holder: str | None) -> None:
    held_by(holder).when(acquire("ann", holder=holder), at=MINUTE).then(
        with_holder(renewed("ann", until=LATER, at=MINUTE), holder)
    )


def test_grant_records_the_holder_and_the_registration() -> None:
    execution = given(registered("ann")).when(acquire("ann", holder="first"))
    execution.then(acquired("ann", lease="new-lease", fence=2, holder="first", incarnation=1))

    assert (execution.outcome.result.holder, execution.outcome.result.incarnation) == ("first", 1)


def test_rejection_names_the_holder() -> None:
    details = lease_held("ann", by="ann", holder="first", requested_holder="second").details

    assert public(details)["leaseHolder"]["holder"] == "first"


def test_other_instance_gets_the_contact_after_the_lease() -> None:
    scenario = held_by("first")
    scenario.execute(release("lease", by=key_of("ann")), NOON)

    scenario.when(acquire("ann", holder="second")).then(
        acquired("ann", lease="new-lease", fence=4, holder="second")
    )


@pytest.mark.parametrize("by", [key_of("ann"), TENANT_KEY])
def test_other_instance_does_not_renew(by: Principal) -> None:
    command = replace(renew("lease", by=key_of("ann"), holder="second"), caller=by)

    held_by("first").when(command).then_rejected(
        lease_held("ann", by="ann", holder="first", requested_holder="second")
    )


@pytest.mark.parametrize("named", ["first", None])
def test_renewal_by_the_holder_or_without_a_name_extends_the_lease(named: str | None) -> None:
    held_by("first").when(renew("lease", by=key_of("ann"), holder=named), at=MINUTE).then(
        with_holder(renewed("ann", until=LATER, at=MINUTE), "first")
    )


def test_rival_of_the_same_agent_is_notified_once_of_each_event() -> None:
    scenario = held_by("first")
    scenario.execute(acquire("ann", holder="second"), NOON)
    [end] = scenario.execute(release("lease", by=key_of("ann")), NOON).events
    conflict = scenario.events[-2].event

    for event in (conflict, end):
        data = decode_json(event)
        names = [(one.name, one.audience) for one in notifications_of(type(event).__name__, data)]
        assert len(names) == 1
    assert end.contenders == ("agent_ann",)


def decode_json(event: object) -> dict[str, object]:
    import orjson  # noqa: PLC0415

    data: dict[str, object] = orjson.loads(encode(event))
    return data


# -- Registrations of one agent --------------------------------------------------


@pytest.mark.parametrize("holder", ["first", None])
def test_later_registration_that_acquires_gets_a_new_fence(holder: str | None) -> None:
    scenario = held_by(holder).and_given(reregistered("ann"))

    scenario.when(acquire("ann", holder=holder)).then(
        superseded(holder=holder),
        acquired("ann", lease="new-lease", fence=5, holder=holder, incarnation=2),
    )


def test_send_gate_blocks_the_earlier_registration() -> None:
    scenario = held_by(None).and_given(reregistered("ann"))
    scenario.when(send("ann", fence=2)).then(authorized("ann", fence=2))  # It acquired nothing yet.
    scenario.execute(acquire("ann"), NOON)

    scenario.when(send("ann", fence=2)).then(blocked("ann", "stale_fence", fence=2))
    scenario.when(send("ann", fence=6)).then(authorized("ann", fence=6))


def test_earlier_registration_cannot_renew_its_lease() -> None:
    scenario = held_by(None).and_given(reregistered("ann"))
    scenario.execute(acquire("ann"), NOON)

    scenario.when(renew("lease", by=key_of("ann"))).then_rejected(LeaseEnded("lease", "revoked"))


def test_new_fence_keeps_the_intent() -> None:
    lease = acquired("ann", fence=2, intent="outbound_sales")
    scenario = given(registered("ann"), lease, reregistered("ann"))

    assert scenario.when(acquire("ann")).outcome.result.intent == "outbound_sales"


def test_lease_of_the_first_releases_is_renewed() -> None:
    scenario = held_by(None, incarnation=None).and_given(reregistered("ann"))

    scenario.when(acquire("ann"), at=MINUTE).then(renewed("ann", until=LATER, at=MINUTE))


def test_other_instance_supersedes_nothing() -> None:
    scenario = held_by("first").and_given(reregistered("ann"))

    scenario.when(acquire("ann", holder="second")).then_rejected(
        lease_held("ann", by="ann", holder="first", requested_holder="second")
    )


def test_other_agent_supersedes_nothing() -> None:
    scenario = held_by(None).and_given(registered("bob"), reregistered("bob"))

    scenario.when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))


def test_contender_of_a_superseded_lease_contends_again() -> None:
    scenario = held_by(None).and_given(registered("bob"), reregistered("ann"))
    scenario.execute(acquire("bob"), NOON)
    scenario.execute(acquire("ann"), NOON)
    scenario.when(acquire("bob")).then_rejected(lease_held("bob", by="ann", lease="new-lease"))

    assert scenario.tenant_state[LEASES]["new-lease"].contenders == ("agent_bob",)


def test_expired_lease_is_not_superseded() -> None:
    scenario = held_by(None).and_given(reregistered("ann", at=IN_HALF_AN_HOUR))

    scenario.when(acquire("ann")).then(
        expired("ann", until=IN_HALF_AN_HOUR, at=IN_HALF_AN_HOUR),
        acquired(
            "ann",
            lease="new-lease",
            fence=5,
            incarnation=2,
            until=after(minutes=60),
            at=IN_HALF_AN_HOUR,
        ),
    )


# -- Whether a rejected agent is notified ----------------------------------------


def test_rejection_says_whether_the_agent_will_be_notified() -> None:
    names = [f"agent{number}" for number in range(CONTENDERS_MAX + 1)]
    events = [registered("ann"), *map(registered, names)]
    scenario = given(*events, acquired("ann", fence=len(events) + 1))

    for name in names[:-1]:
        scenario.when(acquire(name)).then_rejected(lease_held(name, by="ann"))
    for _ in range(2):
        scenario.when(acquire(names[-1])).then_rejected(
            lease_held(names[-1], by="ann", will_notify=False)
        )
    scenario.when(acquire(names[0])).then_rejected(lease_held(names[0], by="ann"))


# -- Format ------------------------------------------------------------------------


def test_stored_grant_without_a_holder_is_read() -> None:
    event = acquired("ann", fence=2, holder=None, incarnation=None).event
    stored = encode(event)

    assert b"holder" not in stored
    assert b"incarnation" not in stored
    assert decode("LeaseAcquired", 1, stored) == event
    assert isinstance(event, LeaseAcquired)


@pytest.mark.parametrize("text", ["0", "pod-7.east:2_b", "x" * 64])
def test_holder_may_be_any_short_name(text: str) -> None:
    assert HOLDER.fullmatch(text)


@pytest.mark.parametrize("text", ["", "-a", "a b", "a\n", "\u00e9", "x" * 65])
def test_other_text_is_no_holder(text: str) -> None:
    assert not HOLDER.fullmatch(text)
