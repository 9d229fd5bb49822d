"""A lease never ends early except by release, revocation or lapse, and each end touches only it."""

import pytest

from quorate.domain.coordination.leases import LEASES, LeaseEnded, LeaseNotFound, live_lease
from quorate.domain.identity.agents import ActingAsAnother
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.state import Command
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
from tests.unit.support.scenario import KIM, TENANT_KEY, acquire, key_of, release, renew
from tests.unit.support.specification import NOON, Story, after, given

MINUTE = after(minutes=1)
SOON = after(minutes=2)
ANN, BOB = key_of("ann"), key_of("bob")


def ann_holds_kim(*, until: Timestamp = IN_HALF_AN_HOUR) -> Story:
    return given(registered("ann"), registered("bob"), acquired("ann", fence=3, until=until))


def bob_followed_ann() -> Story:
    """Ann released, and Bob holds the contact under a lease of his own."""
    story = ann_holds_kim().and_given(released("ann"), acquired("bob", lease="next", fence=5))
    return story.when(acquire("ann")).then_refused(held("ann", by="bob", lease="next"))


# -- Renewing ----------------------------------------------------------------


def test_a_renewal_counts_from_now() -> None:
    ann_holds_kim().when(renew("lease", by=ANN), at=MINUTE).then(
        renewed("ann", until=after(minutes=31), at=MINUTE)
    )


def test_a_renewal_keeps_the_intent_the_fence_and_the_id() -> None:
    story = given(registered("ann"), acquired("ann", fence=2, intent="sales"))
    lease = story.ask(renew("lease", by=ANN), MINUTE).outcome

    assert (lease.id, lease.fence, lease.intent) == ("lease", 2, "sales")
    assert (lease.created_at, lease.expires_at) == (NOON, after(minutes=31))


def test_a_renewal_never_shortens() -> None:
    story = ann_holds_kim().when(renew("lease", by=ANN, minutes=1), at=MINUTE).then_nothing()

    assert story.tenant_state[LEASES]["lease"].expires_at == IN_HALF_AN_HOUR


def test_a_renewal_to_the_same_end_is_no_fact() -> None:
    ann_holds_kim().when(renew("lease", by=ANN, minutes=30), at=NOON).then_nothing()


def test_the_tenants_key_renews_any_lease() -> None:
    ann_holds_kim().when(renew("lease", by=TENANT_KEY), at=MINUTE).then(
        renewed("ann", until=after(minutes=31), at=MINUTE)
    )


def test_another_agents_key_does_not_renew() -> None:
    ann_holds_kim().when(renew("lease", by=BOB)).then_refused(ActingAsAnother("agent_bob"))


def test_until_the_last_millisecond_a_lease_can_be_renewed() -> None:
    at = Timestamp(SOON - 1)

    ann_holds_kim(until=SOON).when(renew("lease", by=ANN, minutes=1), at=at).then(
        renewed("ann", until=Timestamp(at + 60_000), at=at)
    )


def test_what_has_expired_is_not_renewed() -> None:
    ann_holds_kim(until=SOON).when(renew("lease", by=ANN), at=SOON).then_refused(
        LeaseEnded("lease", "expired"), settled=[expired("ann", until=SOON, at=SOON)]
    )


def test_what_was_released_is_not_renewed() -> None:
    ann_holds_kim().and_given(released("ann")).when(renew("lease", by=ANN)).then_refused(
        LeaseEnded("lease", "released")
    )


def test_what_a_lapse_took_is_not_renewed() -> None:
    late = after(minutes=6)

    ann_holds_kim().when(renew("lease", by=ANN), at=late).then_refused(
        LeaseEnded("lease", "revoked"), settled=[lapsed("ann", at=late), revoked("ann", at=late)]
    )


def test_a_renewed_lease_expires_at_its_new_end() -> None:
    late = after(minutes=4)
    asked = ann_holds_kim(until=SOON).when(renew("lease", by=ANN, minutes=3), at=MINUTE)
    asked.then(renewed("ann", until=late, at=MINUTE)).when(
        acquire("bob"), at=Timestamp(late - 1)
    ).then_refused(held("bob", by="ann", until=late)).when(acquire("bob"), at=late).then(
        expired("ann", until=late, contenders=("bob",), at=late),
        acquired("bob", lease="new-lease", fence=7, until=after(minutes=34), at=late),
    )


def test_a_renewal_is_no_heartbeat() -> None:
    late = after(minutes=6)
    story = ann_holds_kim().and_given(beat("bob", at=MINUTE))
    story.ask(renew("lease", by=ANN), after(minutes=4))

    story.when(acquire("bob"), at=late).then_settled(
        lapsed("ann", at=late), revoked("ann", at=late)
    )


# -- Releasing ---------------------------------------------------------------


def test_the_holder_releases() -> None:
    asked = ann_holds_kim().when(release("lease", by=ANN), at=MINUTE)
    lease = asked.then(released("ann", at=MINUTE)).tenant_state[LEASES]["lease"]

    assert (lease.status, lease.ended_at) == ("released", MINUTE)


def test_the_tenants_key_releases_any_lease() -> None:
    ann_holds_kim().when(release("lease", by=TENANT_KEY)).then(released("ann"))


def test_another_agents_key_does_not_release() -> None:
    ann_holds_kim().when(release("lease", by=BOB)).then_refused(ActingAsAnother("agent_bob"))


def test_releasing_twice_is_the_same_as_once() -> None:
    story = ann_holds_kim()
    first = story.when(release("lease", by=ANN)).then(released("ann")).tenant_state[LEASES]["lease"]
    story.when(release("lease", by=ANN), at=MINUTE).then_nothing()

    assert story.tenant_state[LEASES]["lease"] == first


@pytest.mark.parametrize("ends", [SOON, Timestamp(SOON + 1)])
def test_releasing_what_has_expired_changes_nothing_more(ends: Timestamp) -> None:
    ann_holds_kim(until=SOON).when(release("lease", by=ANN), at=ends).then(
        expired("ann", until=SOON, at=ends)
    )


def test_releasing_what_a_lapse_took_changes_nothing_more() -> None:
    late = after(minutes=6)

    ann_holds_kim().when(release("lease", by=ANN), at=late).then(
        lapsed("ann", at=late), revoked("ann", at=late)
    )


@pytest.mark.parametrize("by", [ANN, TENANT_KEY], ids=["ann", "tenant"])
def test_releasing_an_old_lease_never_touches_its_successor(by: Principal) -> None:
    story = bob_followed_ann().when(release("lease", by=by)).then_nothing()
    lease = live_lease(story.tenant_state, KIM.key)

    assert lease is not None
    assert (lease.id, lease.agent_id) == ("next", "agent_bob")


def test_renewing_an_old_lease_never_touches_its_successor() -> None:
    story = bob_followed_ann()
    story.when(renew("lease", by=ANN)).then_refused(LeaseEnded("lease", "released"))

    assert story.tenant_state[LEASES]["next"].expires_at == IN_HALF_AN_HOUR


def test_an_expiry_of_an_old_lease_never_touches_its_successor() -> None:
    story = ann_holds_kim(until=SOON).and_given(
        released("ann"), acquired("bob", lease="next", fence=5)
    )
    story.when(release("lease", by=ANN), at=SOON).then_nothing()

    assert story.tenant_state[LEASES]["lease"].status == "released"
    assert story.tenant_state[LEASES]["next"].status == "active"


@pytest.mark.parametrize(
    "command",
    [release("nothing", by=ANN), renew("nothing", by=ANN), release("nothing", by=TENANT_KEY)],
)
def test_a_lease_that_is_not_known_is_not_found(command: Command) -> None:
    ann_holds_kim().when(command).then_refused(LeaseNotFound())
