"""What notifications set in motion: who waits for a lease, a contact or a decision is woken. No I/O.

A gap may have held anything, and so may a notification whose facts were left out: then everybody looks
for themselves.
"""

from asyncio import Event
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import idna

from quorate.client.lease_validity import Reason
from quorate.client.results import Notification
from quorate.domain.shared.email_addresses import AddressUnusable, contact

ENDED_KEPT_MAX = 1_024
ENDINGS: dict[str, Reason] = {
    "lease_expired": "expired",
    "lease_revoked": "revoked",
    "lease_released": "released",
}
CLOSINGS = frozenset({"consensus_decided", "consensus_expired"})
AVAILABLE = "lease_available"


def contact_key(email: str) -> str | None:
    """What the service compares the address by; None where it will refuse the address."""
    try:
        return contact(email, _to_a_labels).key
    except AddressUnusable:
        return None


def _to_a_labels(domain: str) -> str:
    """As the service does it."""
    return idna.encode(domain, uts46=True, transitional=False, std3_rules=True).decode("ascii")


class Holding:
    """Somebody who relies on a lease: ``ended`` says that it has, ``look`` that it may have."""

    def __init__(self, ended: Callable[[Reason], None], look: Callable[[], None]) -> None:
        self.ended = ended
        self.look = look


class Waiters:
    """Registers who waits for what; ``hear`` is called with each notification in order."""

    def __init__(self) -> None:
        self._holdings: dict[str, set[Holding]] = {}
        self._ended: OrderedDict[str, Reason] = OrderedDict()
        self._contacts: dict[str, set[Event]] = {}
        self._requests: dict[str, set[Event]] = {}

    def hear(self, notification: Notification) -> None:
        if notification.is_gap or "omitted" in notification.data:
            self._all_look()
        elif notification.name in ENDINGS:
            self._end(str(notification.data.get("leaseId")), ENDINGS[notification.name])
        elif notification.name == AVAILABLE:
            _set(self._contacts.get(str(notification.data.get("contactKey"))))
        elif notification.name in CLOSINGS:
            _set(self._requests.get(str(notification.data.get("requestId"))))

    # -- Leases --------------------------------------------------------------

    def hold(self, lease_id: str, holding: Holding) -> None:
        """Hear of its end; at once, when its end was told before its beginning was answered."""
        self._holdings.setdefault(lease_id, set()).add(holding)
        if lease_id in self._ended:
            holding.ended(self._ended[lease_id])

    def let_go(self, lease_id: str, holding: Holding) -> bool:
        """Whether nobody else here relies on the same lease."""
        others = self._holdings.get(lease_id, set())
        others.discard(holding)
        if not others:
            self._holdings.pop(lease_id, None)
        return not others

    def unheld(self, lease_id: str) -> bool:
        """Whether nobody here relies on it."""
        return lease_id not in self._holdings

    def all_ended(self, reason: Reason) -> list[str]:
        """Tell everybody who relies on a lease that it has ended, and return which those were."""
        held = list(self._holdings)
        for holding in [each for some in self._holdings.values() for each in some]:
            holding.ended(reason)
        return held

    def _end(self, lease_id: str, reason: Reason) -> None:
        self._ended[lease_id] = reason
        if len(self._ended) > ENDED_KEPT_MAX:
            self._ended.popitem(last=False)
        for holding in tuple(self._holdings.get(lease_id, ())):
            holding.ended(reason)

    # -- Contacts and decisions ----------------------------------------------

    @contextmanager
    def availability(self, key: str | None) -> Iterator[Event]:
        """An event that is set when the contact may be free."""
        with _registered(self._contacts, key or "") as event:
            yield event

    @contextmanager
    def closing(self, request_id: str) -> Iterator[Event]:
        """An event that is set when the request may be decided or expired."""
        with _registered(self._requests, request_id) as event:
            yield event

    def _all_look(self) -> None:
        for holding in [each for some in self._holdings.values() for each in some]:
            holding.look()
        for waiting in (*self._contacts.values(), *self._requests.values()):
            _set(waiting)


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


def _set(events: set[Event] | None) -> None:
    for event in events or ():
        event.set()
