"""Wake the tasks that wait for a lease, a contact or a proposal, by notifications. No I/O.

A gap stands for missed notifications. A notification whose data was omitted, or has a form that
this version does not know, is as uncertain. After one of these, every waiter checks the state.
"""

from asyncio import Event
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from quorate.client.lease_validity import LossReason
from quorate.client.results import Notification
from quorate.domain.shared.email_addresses import AddressUnusable, contact
from quorate.runtime.domain_names import to_a_labels

ENDED_LEASES_MAX = 1_024


def contact_key(email: str) -> str | None:
    """Return the canonical address by which the service compares contacts; None if invalid."""
    try:
        return contact(email, to_a_labels).key
    except AddressUnusable:
        return None


class LeaseWatcher:
    """Callbacks of one user of a lease.

    * ``on_ended``: the lease has ended, for this reason.
    * ``verify``: the lease may have ended; check it.
    """

    def __init__(self, on_ended: Callable[[LossReason], None], verify: Callable[[], None]) -> None:
        self.on_ended = on_ended
        self.verify = verify


class Waiters:
    """Registry of waiting tasks. ``dispatch`` receives each notification in order."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[LeaseWatcher]] = {}  # By the id of the lease.
        self._ended_leases: OrderedDict[str, LossReason] = OrderedDict()
        self._contacts: dict[str, set[Event]] = {}
        self._proposals: dict[str, set[Event]] = {}

    def dispatch(self, notification: Notification) -> None:
        """Wake the tasks that wait for this notification."""
        from quorate.contracts import notifications as models  # noqa: PLC0415 - see results.py.

        match notification.data:
            case models.LeaseExpired(lease_id=lease_id, contact_key=key):
                self._end_lease(lease_id, "expired", key)
            case models.LeaseRevoked(lease_id=lease_id, contact_key=key):
                self._end_lease(lease_id, "revoked", key)
            case models.LeaseReleased(lease_id=lease_id, contact_key=key):
                self._end_lease(lease_id, "released", key)
            case models.LeaseAvailable(contact_key=key):
                _set_all(self._contacts.get(key))
            case (
                models.ConsensusDecided(request_id=request_id)
                | models.ConsensusExpired(request_id=request_id)
            ):
                _set_all(self._proposals.get(request_id))
            case models.Gap() | models.Omitted():
                self._wake_all()
            case models.UnknownNotification(name=name) if name in models.NOTIFICATION_TYPES:
                self._wake_all()

    # -- Leases --------------------------------------------------------------

    def add_watcher(self, lease_id: str, watcher: LeaseWatcher) -> None:
        """Register a user of a lease.

        Calls ``on_ended`` at once if the notification of the end arrived before the response that
        granted the lease.
        """
        self._watchers.setdefault(lease_id, set()).add(watcher)
        if lease_id in self._ended_leases:
            watcher.on_ended(self._ended_leases[lease_id])

    def remove_watcher(self, lease_id: str, watcher: LeaseWatcher) -> bool:
        """Unregister a user; return whether the lease has no other user in this process."""
        others = self._watchers.get(lease_id, set())
        others.discard(watcher)
        if not others:
            self._watchers.pop(lease_id, None)
        return not others

    def is_unused(self, lease_id: str) -> bool:
        """Whether the lease has no user in this process."""
        return lease_id not in self._watchers

    def end_all_leases(self, reason: LossReason) -> list[str]:
        """Call ``on_ended`` of every watcher; return the ids of their leases."""
        lease_ids = list(self._watchers)
        for watcher in self._all_watchers():
            watcher.on_ended(reason)
        return lease_ids

    def _all_watchers(self) -> list[LeaseWatcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    def _end_lease(self, lease_id: str, reason: LossReason, key: str) -> None:
        """Notify the users of a lease, and those who wait for what another process held."""
        _set_all(self._contacts.get(key))
        self._ended_leases[lease_id] = reason
        if len(self._ended_leases) > ENDED_LEASES_MAX:
            self._ended_leases.popitem(last=False)
        for watcher in tuple(self._watchers.get(lease_id, ())):
            watcher.on_ended(reason)

    # -- Contacts and proposals ----------------------------------------------

    @contextmanager
    def contact_available(self, key: str | None) -> Iterator[Event]:
        """Yield an event that is set when the contact may be available."""
        with _registered(self._contacts, key or "") as event:
            yield event

    @contextmanager
    def proposal_closed(self, request_id: str) -> Iterator[Event]:
        """Yield an event that is set when the proposal may be decided or expired."""
        with _registered(self._proposals, request_id) as event:
            yield event

    def _wake_all(self) -> None:
        for watcher in self._all_watchers():
            watcher.verify()
        for events in (*self._contacts.values(), *self._proposals.values()):
            _set_all(events)


@contextmanager
def _registered(waiting: dict[str, set[Event]], key: str) -> Iterator[Event]:
    event = Event()
    waiting.setdefault(key, set()).add(event)
    try:
        yield event
    finally:
        waiting[key].discard(event)
        if not waiting[key]:
            del waiting[key]


def _set_all(events: set[Event] | None) -> None:
    for event in events or ():
        event.set()
