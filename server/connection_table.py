"""Which connections may be open, and which one closes when a limit is reached.

* The open connections are limited in number: in all, of one address, and of one key. The responses
  that clients have not read are limited in bytes: in all, and half of that for one address or key.
* A connection waits for its client when it is idle, when its request is incomplete, or when its
  response is unread. Only such a connection is displaced, the longest waiting first.
* A connection without a valid key is displaced before one with a key. This begins after
  FRESH_SECONDS, so that a flood of new connections does not displace a client that just connected.
* A stream or a long poll whose client reads waits for the service: it is never displaced.
* The connections of a trusted proxy are not limited by address, because its clients share it.
* One table serves one process. An IPv6 network (/64) counts as one address.

A request costs the table two changes of a dict. The search for a connection to displace looks at
each waiting connection at most once.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, Protocol, TypeAlias

from quorate.application.failed_login_limiter import Network, is_in_any, network_of
from quorate.application.token_buckets import TokenBuckets
from quorate.domain.shared.records import record
from quorate.runtime.log_throttle import ThrottledWarning
from quorate.runtime.service_defaults import LIMITS_DEFAULT
from quorate.server.open_files import connection_files_max

FRESH_SECONDS = 0.25
# Of one address: requests without a valid key, before its connections are slowed down.
KEYLESS_PER_SECOND = 100.0
KEYLESS_BURST = 500.0
UNREAD_SHARE = 0.5  # Of the unread bytes, for one address or key.

Displaced: TypeAlias = Literal["idle", "slow_request", "unread_response"]
DISPLACED: tuple[Displaced, ...] = ("idle", "slow_request", "unread_response")
Owner: TypeAlias = tuple[str, str]  # A kind and a name.
ALL: Final[Owner] = ("all", "")

_displaced = ThrottledWarning("http.connection_displaced")


@record
class ConnectionLimits:
    """The limits of one process; 0 means no limit."""

    connections_max: int = LIMITS_DEFAULT["connections_max"]
    connections_per_address: int = LIMITS_DEFAULT["connections_per_address"]
    connections_per_key: int = LIMITS_DEFAULT["connections_per_key"]
    unread_bytes_max: int = LIMITS_DEFAULT["unread_bytes_max"]


DEFAULTS = ConnectionLimits()


class Displaceable(Protocol):
    """A connection, as the table sees it."""

    def give_way(self) -> Displaced: ...

    def unsent_bytes(self) -> int: ...


class Slot:
    """The place of one open connection."""

    __slots__ = ("actor", "connection", "owners", "queue", "unread_bytes", "waiting_since")

    def __init__(self, connection: Displaceable, owners: tuple[Owner, ...]) -> None:
        self.connection = connection
        self.owners = owners
        self.actor: str | None = None  # Of the last request with a valid key.
        self.queue: dict[Slot, None] | None = None  # Where it waits for its client.
        self.waiting_since = 0.0
        self.unread_bytes = 0


class ConnectionTable:
    def __init__(
        self,
        limits: ConnectionLimits = DEFAULTS,
        trusted_proxies: Sequence[Network] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.displaced: Counter[Displaced] = Counter()
        self._trusted = trusted_proxies
        self._monotonic = monotonic
        self._keyless = TokenBuckets(KEYLESS_PER_SECOND, KEYLESS_BURST, monotonic=monotonic)
        self._files_max = connection_files_max()
        self._connections: Counter[Owner] = Counter()
        self._unread_bytes: Counter[Owner] = Counter()
        # Insertion order is the order of waiting, the longest first.
        self._anonymous: dict[Slot, None] = {}
        self._with_key: dict[Slot, None] = {}
        self._unread: dict[Slot, None] = {}

    @property
    def open_count(self) -> int:
        return self._connections[ALL]

    @property
    def unread_bytes(self) -> int:
        return self._unread_bytes[ALL]

    def is_flooded_by(self, host: str) -> bool:
        """Count a request without a valid key; return whether the address sent too many."""
        if not host or is_in_any(host, self._trusted):
            return False
        address = network_of(host)
        if self._keyless.wait(address):
            return True
        self._keyless.take(address)
        return False

    # -- Connections ---------------------------------------------------------

    def open(self, connection: Displaceable, host: str | None) -> Slot | None:
        """Return a place for a new connection, or None if a limit is reached and none can close."""
        owners: tuple[Owner, ...] = (ALL,)
        if host and not is_in_any(host, self._trusted):
            owners = (("address", network_of(host)), ALL)
        if not all(self._make_room(owner) for owner in owners):
            return None
        slot = Slot(connection, owners)
        self._connections.update(owners)
        self.begin_wait(slot)
        return slot

    def claim(self, slot: Slot, actor: str) -> bool:
        """Count the connection for a caller; return False if the caller has too many."""
        if actor == slot.actor:
            return True
        owner = ("key", actor)
        if not self._make_room(owner):
            return False
        size = self.remove_unread(slot)
        others = tuple(each for each in slot.owners if each[0] != "key")
        self._forget(self._connections, set(slot.owners) - set(others), 1)
        self._connections[owner] += 1
        slot.actor, slot.owners = actor, (owner, *others)
        if size:
            self._store_unread(slot, size)
        if slot.queue is not None:
            del slot.queue[slot]
            slot.queue = self._with_key
            self._with_key[slot] = None
        return True

    def close(self, slot: Slot) -> None:
        """Free the place of a connection that ended or gave way; may be called twice."""
        self.end_wait(slot)
        self.remove_unread(slot)
        self._forget(self._connections, slot.owners, 1)
        slot.owners = ()

    # -- Waiting -------------------------------------------------------------

    def begin_wait(self, slot: Slot) -> None:
        """The connection waits for its client; without effect if it does so already."""
        if slot.queue is None and slot.owners:
            slot.waiting_since = self._monotonic()
            slot.queue = self._anonymous if slot.actor is None else self._with_key
            slot.queue[slot] = None

    def end_wait(self, slot: Slot) -> None:
        if slot.queue is not None:
            del slot.queue[slot]
            slot.queue = None

    # -- Unread responses ----------------------------------------------------

    def add_unread(self, slot: Slot, size: int) -> None:
        """Count bytes that the client has not read; connections give way above a limit."""
        if not slot.owners:
            return
        self._store_unread(slot, size)
        for owner in slot.owners:
            self._shed(owner)

    def remove_unread(self, slot: Slot) -> int:
        """Stop counting the bytes of a connection, and return their number."""
        size, slot.unread_bytes = slot.unread_bytes, 0
        if size:
            del self._unread[slot]
            self._forget(self._unread_bytes, slot.owners, size)
        return size

    def _store_unread(self, slot: Slot, size: int) -> None:
        slot.unread_bytes = size
        self._unread[slot] = None
        for owner in slot.owners:
            self._unread_bytes[owner] += size

    def _shed(self, owner: Owner) -> None:
        """Let the oldest unread responses give way, except those that are being read."""
        limit = self.limits.unread_bytes_max * (1 if owner == ALL else UNREAD_SHARE)
        while limit and self._unread_bytes[owner] > limit:
            slot = next(each for each in self._unread if owner in each.owners)
            left = slot.connection.unsent_bytes()
            if 0 < left < slot.unread_bytes:
                self.remove_unread(slot)
                self._store_unread(slot, left)
            else:
                self._displace(slot)

    # -- Displacing ----------------------------------------------------------

    def _make_room(self, owner: Owner) -> bool:
        limit = self._limit_of(owner)
        if not limit or self._connections[owner] < limit:
            return True
        slot = self._longest_waiting(owner)
        if slot is not None:
            self._displace(slot)
        return slot is not None

    def _limit_of(self, owner: Owner) -> int:
        limits = self.limits
        if owner == ALL:
            return min(limits.connections_max or self._files_max, self._files_max)
        return limits.connections_per_key if owner[0] == "key" else limits.connections_per_address

    def _longest_waiting(self, owner: Owner) -> Slot | None:
        anonymous = next((slot for slot in self._anonymous if owner in slot.owners), None)
        with_key = next((slot for slot in self._with_key if owner in slot.owners), None)
        if anonymous is None or with_key is None:
            return anonymous or with_key
        is_fresh = self._monotonic() - anonymous.waiting_since < FRESH_SECONDS
        is_older = with_key.waiting_since < anonymous.waiting_since
        return with_key if is_fresh and is_older else anonymous

    def _displace(self, slot: Slot) -> None:
        self.close(slot)
        kind = slot.connection.give_way()
        self.displaced[kind] += 1
        _displaced.warn(kind=kind, connections=self.open_count, unread_bytes=self.unread_bytes)

    @staticmethod
    def _forget(counts: "Counter[Owner]", owners: Iterable[Owner], count: int) -> None:
        for owner in owners:
            counts[owner] -= count
            if not counts[owner]:
                del counts[owner]
