"""The event that ends a lease names the agents whose requests were rejected meanwhile."""

import pytest

from quorate.domain.coordination.leases import CONTENDERS_MAX, LEASES, LeaseReleased
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import (
    KIM,
    LEE,
    TENANT_KEY,
    acquire,
    heartbeat,
    id_of,
    key_of,
    release,
    renew,
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
from tests.unit.support.specification import NOON, WINDOW, Scenario, after, given

MINUTE = after(minutes=1)


def ann_holds_kim() -> Scenario:
    """Three agents registered at noon; ann holds the contact kim."""
    return given(registered("ann"), registered("bob"), registered("cid"), acquired("ann", fence=4))


def contenders(scenario: Scenario, lease: str = "lease") -> tuple[str, ...]:
    return scenario.tenant_state[LEASES][lease].contenders


def test_release_names_the_contender() -> None:
    ann_holds_kim().when(acquire("bob")).then_rejected(lease_held("bob", by="ann")).when(
        release("lease", by=TENANT_KEY), at=MINUTE
    ).then(released("ann", contenders=("bob",), at=MINUTE))


def test_expiry_names_the_contender() -> None:
    soon = after(minutes=2)
    scenario = (
        given(registered("ann"), registered("bob"), acquired("ann", fence=3, until=soon))
        .when(acquire("bob"))
        .then_rejected(lease_held("bob", by="ann", until=soon))
    )

    scenario.when(acquire("bob"), at=soon).then(
        expired("ann", until=soon, contenders=("bob",), at=soon),
        acquired("bob", lease="new-lease", fence=6, until=after(minutes=32), at=soon),
    )


def test_revocation_names_the_contender() -> None:
    scenario = ann_holds_kim().when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))
    late = Timestamp(NOON + WINDOW + 1)
    scenario = scenario.and_given(heartbeat_received("bob", at=after(minutes=2)))

    scenario.when(acquire("bob"), at=late).then(
        agent_lapsed("ann", at=late),
        revoked("ann", contenders=("bob",), at=late),
        acquired("bob", lease="new-lease", fence=9, until=Timestamp(late + 30 * 60_000), at=late),
    )


def test_contenders_are_named_once_in_order_of_rejection() -> None:
    scenario = ann_holds_kim()
    for name in ("cid", "bob", "cid", "bob", "bob"):
        scenario.when(acquire(name)).then_rejected(lease_held(name, by="ann"))

    scenario.when(release("lease", by=TENANT_KEY)).then(released("ann", contenders=("cid", "bob")))


def test_lease_without_rejections_names_no_contender() -> None:
    [end] = ann_holds_kim().when(release("lease", by=TENANT_KEY)).outcome.decided

    assert isinstance(end, LeaseReleased)
    assert end.contenders is None


def test_renewal_keeps_the_contenders() -> None:
    hour = after(minutes=60)
    scenario = ann_holds_kim().when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))
    scenario.when(renew("lease", by=key_of("ann"), minutes=60)).then(
        renewed("ann", until=hour, at=NOON)
    )

    assert contenders(scenario) == (id_of("bob"),)


def test_agent_rejected_again_contends_for_the_next_lease() -> None:
    scenario = ann_holds_kim().when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))
    scenario.when(release("lease", by=TENANT_KEY)).then(released("ann", contenders=("bob",)))
    scenario.when(acquire("cid", lease="next")).then(acquired("cid", lease="next", fence=7))

    assert contenders(scenario, "next") == ()
    scenario.when(acquire("bob")).then_rejected(lease_held("bob", by="cid", lease="next"))
    scenario.when(release("next", by=TENANT_KEY)).then(
        released("cid", lease="next", contenders=("bob",))
    )


@pytest.mark.parametrize("contact", [KIM, LEE])
def test_agent_contends_only_for_the_contact_it_requested(contact: EmailAddress) -> None:
    scenario = ann_holds_kim().and_given(acquired("ann", LEE, lease="other", fence=5))
    lease, other = ("lease", "other") if contact is KIM else ("other", "lease")
    scenario.when(acquire("bob", contact)).then_rejected(
        lease_held("bob", by="ann", contact=contact, lease=lease)
    )

    assert (contenders(scenario, lease), contenders(scenario, other)) == ((id_of("bob"),), ())


def test_inactive_agent_does_not_become_a_contender() -> None:
    late = Timestamp(NOON + WINDOW + 1)
    scenario = ann_holds_kim().and_given(heartbeat_received("ann", at=late))
    assert scenario.when(acquire("bob")).outcome.rejection is not None

    assert contenders(scenario) == ()


def test_first_contenders_are_kept_up_to_the_limit() -> None:
    names = [f"n{number:02}" for number in range(CONTENDERS_MAX + 2)]
    scenario = given(registered("ann"), *map(registered, names))
    scenario = scenario.and_given(acquired("ann", fence=len(names) + 2))
    for number, name in enumerate(names):
        rejection = lease_held(name, by="ann", will_notify=number < CONTENDERS_MAX)
        scenario.when(acquire(name)).then_rejected(rejection)

    assert contenders(scenario) == tuple(map(id_of, names[:CONTENDERS_MAX]))
    scenario.when(release("lease", by=TENANT_KEY)).then(
        released("ann", contenders=tuple(names[:CONTENDERS_MAX]))
    )


def test_contender_is_still_named_after_its_timeout_and_return() -> None:
    late = Timestamp(NOON + WINDOW + 1)
    scenario = ann_holds_kim().when(acquire("bob")).then_rejected(lease_held("bob", by="ann"))
    scenario = scenario.and_given(
        heartbeat_received("ann", at=after(minutes=4)), agent_lapsed("bob", at=late)
    )
    scenario.when(heartbeat("bob"), at=late)

    scenario.when(release("lease", by=TENANT_KEY), at=late).then(
        released("ann", contenders=("bob",), at=late)
    )
    assert late < IN_HALF_AN_HOUR
