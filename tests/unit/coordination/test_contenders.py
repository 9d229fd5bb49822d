"""Who was refused is told when the lease that kept it out has ended, and need not ask till then."""

import pytest

from quorate.domain.coordination.leases import CONTENDERS_MAX, LEASES, LeaseReleased
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
from tests.unit.support.scenario import (
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
from tests.unit.support.specification import NOON, WINDOW, Story, after, given

MINUTE = after(minutes=1)


def ann_holds_kim() -> Story:
    """Of three who are there, at noon."""
    return given(registered("ann"), registered("bob"), registered("cid"), acquired("ann", fence=4))


def contenders(story: Story, lease: str = "lease") -> tuple[str, ...]:
    return story.tenant_state[LEASES][lease].contenders


def test_who_was_refused_is_named_when_the_lease_is_released() -> None:
    ann_holds_kim().when(acquire("bob")).then_refused(held("bob", by="ann")).when(
        release("lease", by=TENANT_KEY), at=MINUTE
    ).then(released("ann", contenders=("bob",), at=MINUTE))


def test_who_was_refused_is_named_when_the_lease_expires() -> None:
    soon = after(minutes=2)
    story = (
        given(registered("ann"), registered("bob"), acquired("ann", fence=3, until=soon))
        .when(acquire("bob"))
        .then_refused(held("bob", by="ann", until=soon))
    )

    story.when(acquire("bob"), at=soon).then(
        expired("ann", until=soon, contenders=("bob",), at=soon),
        acquired("bob", lease="new-lease", fence=6, until=after(minutes=32), at=soon),
    )


def test_who_was_refused_is_named_when_the_holder_lapses() -> None:
    story = ann_holds_kim().when(acquire("bob")).then_refused(held("bob", by="ann"))
    late = Timestamp(NOON + WINDOW + 1)
    story = story.and_given(beat("bob", at=after(minutes=2)))

    story.when(acquire("bob"), at=late).then(
        lapsed("ann", at=late),
        revoked("ann", contenders=("bob",), at=late),
        acquired("bob", lease="new-lease", fence=9, until=Timestamp(late + 30 * 60_000), at=late),
    )


def test_they_are_named_in_the_order_in_which_they_were_refused_and_each_once() -> None:
    story = ann_holds_kim()
    for name in ("cid", "bob", "cid", "bob", "bob"):
        story.when(acquire(name)).then_refused(held(name, by="ann"))

    story.when(release("lease", by=TENANT_KEY)).then(released("ann", contenders=("cid", "bob")))


def test_a_lease_that_nobody_else_wanted_names_nobody() -> None:
    [end] = ann_holds_kim().when(release("lease", by=TENANT_KEY)).answer.decided

    assert isinstance(end, LeaseReleased)
    assert end.contenders is None


def test_renewing_forgets_nobody() -> None:
    hour = after(minutes=60)
    story = ann_holds_kim().when(acquire("bob")).then_refused(held("bob", by="ann"))
    story.when(renew("lease", by=key_of("ann"), minutes=60)).then(
        renewed("ann", until=hour, at=NOON)
    )

    assert contenders(story) == (id_of("bob"),)


def test_who_was_told_and_refused_again_contends_for_the_next_lease() -> None:
    story = ann_holds_kim().when(acquire("bob")).then_refused(held("bob", by="ann"))
    story.when(release("lease", by=TENANT_KEY)).then(released("ann", contenders=("bob",)))
    story.when(acquire("cid", lease="next")).then(acquired("cid", lease="next", fence=7))

    assert contenders(story, "next") == ()
    story.when(acquire("bob")).then_refused(held("bob", by="cid", lease="next"))
    story.when(release("next", by=TENANT_KEY)).then(
        released("cid", lease="next", contenders=("bob",))
    )


@pytest.mark.parametrize("contact", [KIM, LEE])
def test_who_contends_for_one_contact_does_not_for_another(contact: EmailAddress) -> None:
    story = ann_holds_kim().and_given(acquired("ann", LEE, lease="other", fence=5))
    lease, other = ("lease", "other") if contact is KIM else ("other", "lease")
    story.when(acquire("bob", contact)).then_refused(
        held("bob", by="ann", contact=contact, lease=lease)
    )

    assert (contenders(story, lease), contenders(story, other)) == ((id_of("bob"),), ())


def test_to_be_refused_because_one_is_inactive_is_not_to_contend() -> None:
    late = Timestamp(NOON + WINDOW + 1)
    story = ann_holds_kim().and_given(beat("ann", at=late))
    assert story.when(acquire("bob")).answer.declined is not None

    assert contenders(story) == ()


def test_only_so_many_are_remembered_and_the_first_are() -> None:
    names = [f"n{number:02}" for number in range(CONTENDERS_MAX + 2)]
    story = given(registered("ann"), *map(registered, names))
    story = story.and_given(acquired("ann", fence=len(names) + 2))
    for name in names:
        story.when(acquire(name)).then_refused(held(name, by="ann"))

    assert contenders(story) == tuple(map(id_of, names[:CONTENDERS_MAX]))
    story.when(release("lease", by=TENANT_KEY)).then(
        released("ann", contenders=tuple(names[:CONTENDERS_MAX]))
    )


def test_an_agent_that_has_contended_may_lapse_and_come_back_and_is_still_told() -> None:
    late = Timestamp(NOON + WINDOW + 1)
    story = ann_holds_kim().when(acquire("bob")).then_refused(held("bob", by="ann"))
    story = story.and_given(beat("ann", at=after(minutes=4)), lapsed("bob", at=late))
    story.when(heartbeat("bob"), at=late)

    story.when(release("lease", by=TENANT_KEY), at=late).then(
        released("ann", contenders=("bob",), at=late)
    )
    assert late < IN_HALF_AN_HOUR
