"""A notification wakes those who wait for what it tells, and nobody else."""

from quorate.client.lease_validity import Reason
from quorate.client.results import Json, Notification
from quorate.client.waiters import ENDED_KEPT_MAX, Holding, Waiters, contact_key


def notification(name: str, **data: object) -> Notification:
    return Notification(name=name, sequence=1, id="event-1", time=None, data=data, raw=data)


class Holder:
    """Somebody who relies on a lease, and what was said to it."""

    def __init__(self) -> None:
        self.heard: list[Reason | str] = []
        self.holding = Holding(self.heard.append, lambda: self.heard.append("look"))


def hearing(*notifications: Notification) -> Holder:
    """What the holder of lease-1 hears of some notifications."""
    signals, holder = Waiters(), Holder()
    signals.hold("lease-1", holder.holding)
    for each in notifications:
        signals.hear(each)
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
    signals, holder = Waiters(), Holder()
    signals.hold("lease-1", holder.holding)
    with signals.availability("user@example.com") as free, signals.closing("request-1") as closed:
        signals.hear(Notification.gap(3, 9))
        assert (free.is_set(), closed.is_set()) == (True, True)
    assert holder.heard == ["look"]


def test_a_notification_whose_facts_were_left_out_may_have_been_about_anything() -> None:
    omitted: Json = {"omitted": True}
    told = Notification(
        name="lease_expired", sequence=1, id="event-1", time=None, data=omitted, raw=omitted
    )

    assert hearing(told).heard == ["look"]


def test_an_end_that_is_told_before_the_beginning_is_answered_is_not_forgotten() -> None:
    signals, holder = Waiters(), Holder()
    signals.hear(notification("lease_revoked", leaseId="lease-1"))
    signals.hold("lease-1", holder.holding)

    assert holder.heard == ["revoked"]


def test_only_so_many_ends_are_remembered() -> None:
    signals, holder = Waiters(), Holder()
    for number in range(ENDED_KEPT_MAX + 1):
        signals.hear(notification("lease_expired", leaseId=f"lease-{number}"))
    signals.hold("lease-0", holder.holding)
    signals.hold("lease-1", holder.holding)

    assert holder.heard == ["expired"]


def test_who_lets_go_last_is_told_so() -> None:
    signals, one, other = Waiters(), Holder(), Holder()
    signals.hold("lease-1", one.holding)
    signals.hold("lease-1", other.holding)

    assert not signals.unheld("lease-1")
    assert not signals.let_go("lease-1", one.holding)
    assert signals.let_go("lease-1", other.holding)
    assert signals.unheld("lease-1")


def test_a_contact_that_is_free_wakes_those_who_wait_for_it() -> None:
    signals = Waiters()
    with (
        signals.availability(contact_key("User@Example.com")) as waiting,
        signals.availability(contact_key("other@example.com")) as other,
    ):
        signals.hear(notification("lease_available", contactKey="user@example.com"))
        assert (waiting.is_set(), other.is_set()) == (True, False)


def test_a_decision_wakes_those_who_wait_for_it() -> None:
    signals = Waiters()
    with signals.closing("request-1") as waiting, signals.closing("request-2") as other:
        signals.hear(notification("consensus_requested", requestId="request-1"))
        assert not waiting.is_set()
        signals.hear(notification("consensus_expired", requestId="request-1"))
        assert (waiting.is_set(), other.is_set()) == (True, False)


def test_whoever_no_longer_waits_is_forgotten() -> None:
    signals = Waiters()
    with signals.availability("user@example.com"), signals.closing("request-1"):
        pass

    assert signals._contacts == {}
    assert signals._requests == {}


def test_an_address_that_the_service_will_refuse_has_no_key() -> None:
    assert contact_key("nobody") is None
    assert contact_key("User@B\u00fccher.example") == "user@xn--bcher-kva.example"
