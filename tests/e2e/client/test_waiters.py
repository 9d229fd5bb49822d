"""A notification wakes exactly the tasks that wait for its lease, contact or proposal."""

from pydantic.alias_generators import to_snake

from quorate.client.lease_validity import LossReason
from quorate.client.results import Notification
from quorate.client.waiters import ENDED_LEASES_MAX, LeaseWatcher, Waiters, contact_key
from quorate.contracts.notifications import NOTIFICATION_TYPES
from tests.e2e.client.fake_service import notification_json


def notification(name: str, **data: object) -> Notification:
    """Return a notification with the data that the test needs; the other fields are not set."""
    model = NOTIFICATION_TYPES[name]
    fields: dict[str, object] = {"contact_key": "another@example.com"}
    fields |= {to_snake(key): value for key, value in data.items()}
    parsed = model.model_construct(None, **fields)
    return Notification(name=name, sequence=1, id="event-1", time=None, data=parsed, raw=data)


class LeaseUser:
    """A user of a lease, with the calls that it received."""

    def __init__(self) -> None:
        self.calls: list[LossReason | str] = []
        self.watcher = LeaseWatcher(self.calls.append, lambda: self.calls.append("verify"))


def dispatch_to_user(*notifications: Notification) -> LeaseUser:
    """Dispatch notifications to a user of lease-1."""
    waiters, user = Waiters(), LeaseUser()
    waiters.add_watcher("lease-1", user.watcher)
    for each in notifications:
        waiters.dispatch(each)
    return user


def test_end_of_a_lease_is_reported_with_its_reason() -> None:
    assert dispatch_to_user(notification("lease_expired", leaseId="lease-1")).calls == ["expired"]
    assert dispatch_to_user(notification("lease_revoked", leaseId="lease-1")).calls == ["revoked"]
    assert dispatch_to_user(notification("lease_released", leaseId="lease-1")).calls == ["released"]


def test_end_of_a_lease_wakes_those_who_wait_for_its_contact() -> None:
    """Another process of the same agent held it, so there is no ``lease_available``."""
    for name in ("lease_expired", "lease_revoked", "lease_released"):
        waiters = Waiters()
        with (
            waiters.contact_available("user@example.com") as available,
            waiters.contact_available("other@example.com") as other,
        ):
            data = {"leaseId": "lease-1", "contactKey": "user@example.com"}
            waiters.dispatch(notification(name, **data))
            assert (available.is_set(), other.is_set()) == (True, False)


def test_end_of_another_lease_is_ignored() -> None:
    assert dispatch_to_user(notification("lease_expired", leaseId="lease-2")).calls == []


def test_conflict_does_not_end_the_lease() -> None:
    assert dispatch_to_user(notification("lease_conflict", leaseId="lease-1")).calls == []


def test_gap_wakes_every_waiter() -> None:
    waiters, user = Waiters(), LeaseUser()
    waiters.add_watcher("lease-1", user.watcher)
    with (
        waiters.contact_available("user@example.com") as available,
        waiters.proposal_closed("request-1") as closed,
    ):
        waiters.dispatch(Notification.gap(3, 9))
        assert (available.is_set(), closed.is_set()) == (True, True)
    assert user.calls == ["verify"]


def test_notification_with_omitted_data_verifies_every_lease() -> None:
    omitted = notification_json(1, "lease_expired") | {"data": {"omitted": True}}

    assert dispatch_to_user(Notification.from_json(omitted)).calls == ["verify"]


def test_notification_with_data_of_another_version_verifies_every_lease() -> None:
    newer = notification_json(1, "lease_expired") | {"data": {"lease": {"id": "lease-1"}}}

    assert dispatch_to_user(Notification.from_json(newer)).calls == ["verify"]
    assert dispatch_to_user(Notification.from_json(notification_json(1, "new_name"))).calls == []


def test_end_that_arrives_before_the_grant_is_reported() -> None:
    waiters, user = Waiters(), LeaseUser()
    waiters.dispatch(notification("lease_revoked", leaseId="lease-1"))
    waiters.add_watcher("lease-1", user.watcher)

    assert user.calls == ["revoked"]


def test_number_of_remembered_ends_is_limited() -> None:
    waiters, user = Waiters(), LeaseUser()
    for number in range(ENDED_LEASES_MAX + 1):
        waiters.dispatch(notification("lease_expired", leaseId=f"lease-{number}"))
    waiters.add_watcher("lease-0", user.watcher)
    waiters.add_watcher("lease-1", user.watcher)

    assert user.calls == ["expired"]


def test_remove_watcher_reports_the_last_user() -> None:
    waiters, one, other = Waiters(), LeaseUser(), LeaseUser()
    waiters.add_watcher("lease-1", one.watcher)
    waiters.add_watcher("lease-1", other.watcher)

    assert not waiters.is_unused("lease-1")
    assert not waiters.remove_watcher("lease-1", one.watcher)
    assert waiters.remove_watcher("lease-1", other.watcher)
    assert waiters.is_unused("lease-1")


def test_available_contact_wakes_its_waiters() -> None:
    waiters = Waiters()
    with (
        waiters.contact_available(contact_key("User@Example.com")) as waiting,
        waiters.contact_available(contact_key("other@example.com")) as other,
    ):
        waiters.dispatch(notification("lease_available", contactKey="user@example.com"))
        assert (waiting.is_set(), other.is_set()) == (True, False)


def test_closed_proposal_wakes_its_waiters() -> None:
    waiters = Waiters()
    with (
        waiters.proposal_closed("request-1") as waiting,
        waiters.proposal_closed("request-2") as other,
    ):
        waiters.dispatch(notification("consensus_requested", requestId="request-1"))
        assert not waiting.is_set()
        waiters.dispatch(notification("consensus_expired", requestId="request-1"))
        assert (waiting.is_set(), other.is_set()) == (True, False)


def test_waiter_is_removed_at_the_end_of_its_block() -> None:
    waiters = Waiters()
    with waiters.contact_available("user@example.com"), waiters.proposal_closed("request-1"):
        pass

    assert waiters._contacts == {}
    assert waiters._proposals == {}


def test_contact_key_is_none_for_an_invalid_address() -> None:
    assert contact_key("no-address") is None
    assert contact_key("User@B\u00fccher.example") == "user@xn--bcher-kva.example"
