"""A notification wakes those who wait for what it tells, and nobody else."""

from quorate.client.lease_validity import LossReason
from quorate.client.results import Json, Notification
from quorate.client.waiters import ENDED_LEASES_MAX, LeaseWatcher, Waiters, contact_key


def notification(name: str, **data: object) -> Notification:
    return Notification(name=name, sequence=1, id="event-1", time=None, data=data, raw=data)


class Holder:
    """Somebody who relies on a lease, and what was said to it."""

    def __init__(self) -> None:
        self.heard: list[LossReason | str] = []
        self.watcher = LeaseWatcher(self.heard.append, lambda: self.heard.append("look"))


def hearing(*notifications: Notification) -> Holder:
    """What the holder of lease-1 hears of some notifications."""
    waiters, holder = Waiters(), Holder()
    waiters.add_watcher("lease-1", holder.watcher)
    for each in notifications:
        waiters.dispatch(each)
    return holder


def test_the_end_of_a_lease_is_told_with_its_reason() -> None:
    assert hearing(notification("lease_expired", leaseId="lease-1")).heard == ["expired"]
    assert hearing(notification("lease_revoked", leaseId="lease-1")).heard == ["revoked"]
    assert hearing(notification("lease_released", leaseId="lease-1")).heard == ["released"]


def test_the_end_of_another_lease_is_none_of_our_business() -> None:
    assert hearing(notification("lease_expired", leaseId="lease-2")).heard == []


def test_a_conflict_over_a_lease_does_not_end_it() -> None:
    assert hearing(notification("lease_conflict", leaseId="lease-1")).heard == []


def test_after_a_gap_everybody_looks() -> None:
    waiters, holder = Waiters(), Holder()
    waiters.add_watcher("lease-1", holder.watcher)
    with (
        waiters.contact_available("user@example.com") as free,
        waiters.proposal_closed("request-1") as closed,
    ):
        waiters.dispatch(Notification.gap(3, 9))
        assert (free.is_set(), closed.is_set()) == (True, True)
    assert holder.heard == ["look"]


def test_a_notification_whose_facts_were_left_out_may_have_been_about_anything() -> None:
    omitted: Json = {"omitted": True}
    told = Notification(
        name="lease_expired", sequence=1, id="event-1", time=None, data=omitted, raw=omitted
    )

    assert hearing(told).heard == ["look"]


def test_an_end_that_is_told_before_the_beginning_is_answered_is_not_forgotten() -> None:
    waiters, holder = Waiters(), Holder()
    waiters.dispatch(notification("lease_revoked", leaseId="lease-1"))
    waiters.add_watcher("lease-1", holder.watcher)

    assert holder.heard == ["revoked"]


def test_only_so_many_ends_are_remembered() -> None:
    waiters, holder = Waiters(), Holder()
    for number in range(ENDED_LEASES_MAX + 1):
        waiters.dispatch(notification("lease_expired", leaseId=f"lease-{number}"))
    waiters.add_watcher("lease-0", holder.watcher)
    waiters.add_watcher("lease-1", holder.watcher)

    assert holder.heard == ["expired"]


def test_who_lets_go_last_is_told_so() -> None:
    waiters, one, other = Waiters(), Holder(), Holder()
    waiters.add_watcher("lease-1", one.watcher)
    waiters.add_watcher("lease-1", other.watcher)

    assert not waiters.is_unused("lease-1")
    assert not waiters.remove_watcher("lease-1", one.watcher)
    assert waiters.remove_watcher("lease-1", other.watcher)
    assert waiters.is_unused("lease-1")


def test_a_contact_that_is_free_wakes_those_who_wait_for_it() -> None:
    waiters = Waiters()
    with (
        waiters.contact_available(contact_key("User@Example.com")) as waiting,
        waiters.contact_available(contact_key("other@example.com")) as other,
    ):
        waiters.dispatch(notification("lease_available", contactKey="user@example.com"))
        assert (waiting.is_set(), other.is_set()) == (True, False)


def test_a_decision_wakes_those_who_wait_for_it() -> None:
    waiters = Waiters()
    with (
        waiters.proposal_closed("request-1") as waiting,
        waiters.proposal_closed("request-2") as other,
    ):
        waiters.dispatch(notification("consensus_requested", requestId="request-1"))
        assert not waiting.is_set()
        waiters.dispatch(notification("consensus_expired", requestId="request-1"))
        assert (waiting.is_set(), other.is_set()) == (True, False)


def test_whoever_no_longer_waits_is_forgotten() -> None:
    waiters = Waiters()
    with waiters.contact_available("user@example.com"), waiters.proposal_closed("request-1"):
        pass

    assert waiters._contacts == {}
    assert waiters._proposals == {}


def test_an_address_that_the_service_will_refuse_has_no_key() -> None:
    assert contact_key("nobody") is None
    assert contact_key("User@B\u00fccher.example") == "user@xn--bcher-kva.example"
