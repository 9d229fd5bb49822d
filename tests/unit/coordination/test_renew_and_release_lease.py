"""A lease ends early only by release, revocation or timeout, and no end affects another lease."""

import pytest

from quorate.domain.coordination.leases import LEASES, LeaseEnded, LeaseNotFound, live_lease
from quorate.domain.identity.agents import ActingAsAnother
from quorate.domain.identity.principals import Principal
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import KIM, TENANT_KEY, acquire, key_of, release, renew
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
from tests.unit.support.specification import NOON, Scenario, after, given

MINUTE = after(minutes=1)
SOON = after(minutes=2)
ANN, BOB = key_of("ann"), key_of("bob")


def ann_holds_kim(*, until: Timestamp = IN_HALF_AN_HOUR) -> Scenario:
    return given(registered("ann"), registered("bob"), acquired("ann", fence=3, until=until))


def bob_followed_ann() -> Scenario:
    """Ann released the contact, and bob holds it with a new lease."""
    scenario = ann_holds_kim().and_given(released("ann"), acquired("bob", lease="next", fence=5))
    return scenario.when(acquire("ann")).then_rejected(lease_held("ann", by="bob", lease="next"))


# -- Renewing ----------------------------------------------------------------


def test_renewal_counts_from_now() -> None:
    ann_holds_kim().when(renew("lease", by=ANN), at=MINUTE).then(
        renewed("ann", until=after(minutes=31), at=MINUTE)
    )


def test_renewal_keeps_intent_fence_and_id() -> None:
    scenario = given(registered("ann"), acquired("ann", fence=2, intent="sales"))
    lease = scenario.execute(renew("lease", by=ANN), MINUTE).result

    assert (lease.id, lease.fence, lease.intent) == ("lease", 2, "sales")
    assert (lease.created_at, lease.expires_at) == (NOON, after(minutes=31))


def test_renewal_never_shortens_a_lease() -> None:
    scenario = ann_holds_kim().when(renew("lease", by=ANN, minutes=1), at=MINUTE).then_nothing()

    assert scenario.tenant_state[LEASES]["lease"].expires_at == IN_HALF_AN_HOUR


def test_renewal_to_the_same_expiry_records_nothing() -> None:
    ann_holds_kim().when(renew("lease", by=ANN, minutes=30), at=NOON).then_nothing()


def test_tenant_key_renews_any_lease() -> None:
    ann_holds_kim().when(renew("lease", by=TENANT_KEY), at=MINUTE).then(
        renewed("ann", until=after(minutes=31), at=MINUTE)
    )


def test_key_of_another_agent_cannot_renew() -> None:
    ann_holds_kim().when(renew("lease", by=BOB)).then_rejected(ActingAsAnother("agent_bob"))


def test_lease_can_be_renewed_until_the_last_millisecond() -> None:
    at = Timestamp(SOON - 1)

    ann_holds_kim(until=SOON).when(renew("lease", by=ANN, minutes=1), at=at).then(
        renewed("ann", until=Timestamp(at + 60_000), at=at)
    )


def test_expired_lease_is_not_renewed() -> None:
    ann_holds_kim(until=SOON).when(renew("lease", by=ANN), at=SOON).then_rejected(
        LeaseEnded("lease", "expired"), recorded_first=[expired("ann", until=SOON, at=SOON)]
    )


def test_released_lease_is_not_renewed() -> None:
    ann_holds_kim().and_given(released("ann")).when(renew("lease", by=ANN)).then_rejected(
        LeaseEnded("lease", "released")
    )


def test_revoked_lease_is_not_renewed() -> None:
    late = after(minutes=6)

    ann_holds_kim().when(renew("lease", by=ANN), at=late).then_rejected(
        LeaseEnded("lease", "revoked"),
        recorded_first=[agent_lapsed("ann", at=late), revoked("ann", at=late)],
    )


def test_renewed_lease_expires_at_its_new_expiry() -> None:
    late = after(minutes=4)
    execution = ann_holds_kim(until=SOON).when(renew("lease", by=ANN, minutes=3), at=MINUTE)
    execution.then(renewed("ann", until=late, at=MINUTE)).when(
        acquire("bob"), at=Timestamp(late - 1)
    ).then_rejected(lease_held("bob", by="ann", until=late)).when(acquire("bob"), at=late).then(
        expired("ann", until=late, contenders=("bob",), at=late),
        acquired("bob", lease="new-lease", fence=7, until=after(minutes=34), at=late),
    )


def test_renewal_is_no_heartbeat() -> None:
    late = after(minutes=6)
    scenario = ann_holds_kim().and_given(heartbeat_received("bob", at=MINUTE))
    scenario.execute(renew("lease", by=ANN), after(minutes=4))

    scenario.when(acquire("bob"), at=late).then_recorded_first(
        agent_lapsed("ann", at=late), revoked("ann", at=late)
    )


# -- Releasing ---------------------------------------------------------------


def test_holder_releases() -> None:
    execution = ann_holds_kim().when(release("lease", by=ANN), at=MINUTE)
    lease = execution.then(released("ann", at=MINUTE)).tenant_state[LEASES]["lease"]

    assert (lease.status, lease.ended_at) == ("released", MINUTE)


def test_tenant_key_releases_any_lease() -> None:
    ann_holds_kim().when(release("lease", by=TENANT_KEY)).then(released("ann"))


def test_key_of_another_agent_cannot_release() -> None:
    ann_holds_kim().when(release("lease", by=BOB)).then_rejected(ActingAsAnother("agent_bob"))


def test_second_release_changes_nothing() -> None:
    scenario = ann_holds_kim()
    first = (
        scenario.when(release("lease", by=ANN)).then(released("ann")).tenant_state[LEASES]["lease"]
    )
    scenario.when(release("lease", by=ANN), at=MINUTE).then_nothing()

    assert scenario.tenant_state[LEASES]["lease"] == first


@pytest.mark.parametrize("ends", [SOON, Timestamp(SOON + 1)])
def test_release_of_an_expired_lease_changes_nothing(ends: Timestamp) -> None:
    ann_holds_kim(until=SOON).when(release("lease", by=ANN), at=ends).then(
        expired("ann", until=SOON, at=ends)
    )


def test_release_of_a_revoked_lease_changes_nothing() -> None:
    late = after(minutes=6)

    ann_holds_kim().when(release("lease", by=ANN), at=late).then(
        agent_lapsed("ann", at=late), revoked("ann", at=late)
    )


@pytest.mark.parametrize("by", [ANN, TENANT_KEY], ids=["ann", "tenant"])
def test_release_of_an_old_lease_does_not_affect_its_successor(by: Principal) -> None:
    scenario = bob_followed_ann().when(release("lease", by=by)).then_nothing()
    lease = live_lease(scenario.tenant_state, KIM.key)

    assert lease is not None
    assert (lease.id, lease.agent_id) == ("next", "agent_bob")


def test_renewal_of_an_old_lease_does_not_affect_its_successor() -> None:
    scenario = bob_followed_ann()
    scenario.when(renew("lease", by=ANN)).then_rejected(LeaseEnded("lease", "released"))

    assert scenario.tenant_state[LEASES]["next"].expires_at == IN_HALF_AN_HOUR


def test_expiry_of_an_old_lease_does_not_affect_its_successor() -> None:
    scenario = ann_holds_kim(until=SOON).and_given(
        released("ann"), acquired("bob", lease="next", fence=5)
    )
    scenario.when(release("lease", by=ANN), at=SOON).then_nothing()

    assert scenario.tenant_state[LEASES]["lease"].status == "released"
    assert scenario.tenant_state[LEASES]["next"].status == "active"


@pytest.mark.parametrize(
    "command",
    [release("nothing", by=ANN), renew("nothing", by=ANN), release("nothing", by=TENANT_KEY)],
)
def test_unknown_lease_is_not_found(command: Command) -> None:
    ann_holds_kim().when(command).then_rejected(LeaseNotFound())
