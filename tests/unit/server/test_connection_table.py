"""The connection that waits longest for its client is displaced when a limit is reached."""

from ipaddress import ip_network

import pytest

from quorate.runtime.service_defaults import CONNECTION_LIMITS
from quorate.server.connection_table import (
    FRESH_SECONDS,
    KEYLESS_BURST,
    KEYLESS_PER_SECOND,
    ConnectionLimits,
    ConnectionTable,
    Displaced,
    Slot,
)
from tests.e2e.client.clocks import SetClock

ADDRESS, OTHER_ADDRESS, PROXY = "203.0.113.7", "198.51.100.9", "10.0.0.1"
TRUSTED = (ip_network("10.0.0.0/24"),)


class Connection:
    """A connection that records that it gave way."""

    def __init__(self) -> None:
        self.unsent = 0
        self.gave_way = False

    def give_way(self) -> Displaced:
        self.gave_way = True
        return "idle"

    def unsent_bytes(self) -> int:
        return self.unsent


class Table:
    def __init__(self, **limits: int) -> None:
        self.clock = SetClock()
        unlimited = dict.fromkeys(CONNECTION_LIMITS, 0)
        self.table = ConnectionTable(ConnectionLimits(**unlimited | limits), TRUSTED, self.clock)

    def connect(
        self, address: str = ADDRESS, *, key: str | None = None, busy: bool = False
    ) -> tuple[Slot, Connection]:
        """Open a connection; each waits a second longer than the next one."""
        connection = Connection()
        slot = self.table.open(connection, address)
        assert slot is not None
        if key is not None:
            assert self.table.claim(slot, key)
        if busy:
            self.table.end_wait(slot)
        self.clock.advance(1.0)
        return slot, connection

    def add_unread(self, slot: Slot, connection: Connection, size: int) -> None:
        connection.unsent = size
        self.table.add_unread(slot, size)


def gave_way(connections: list[tuple[Slot, Connection]]) -> list[bool]:
    return [connection.gave_way for _, connection in connections]


# -- Connections -------------------------------------------------------------


def test_connection_that_waits_longest_gives_way() -> None:
    table = Table(connections_max=3)
    connected = [table.connect() for _ in range(3)]
    table.table.end_wait(connected[0][0])
    table.table.begin_wait(connected[0][0])  # It was served, and waits since then.

    table.connect()

    assert gave_way(connected) == [False, True, False]
    assert table.table.open_count == 3


def test_busy_connection_does_not_give_way() -> None:
    table = Table(connections_max=2)
    connected = [table.connect(busy=True) for _ in range(2)]

    assert table.table.open(Connection(), ADDRESS) is None
    assert gave_way(connected) == [False, False]
    table.table.close(connected[0][0])
    table.connect()


def test_connection_without_a_key_gives_way_before_one_with_a_key() -> None:
    table = Table(connections_max=2)
    connected = [table.connect(key="one"), table.connect()]

    table.connect()

    assert gave_way(connected) == [False, True]


def test_fresh_connection_does_not_give_way_before_one_that_waits_longer() -> None:
    table = Table(connections_max=2)
    old, fresh = table.connect(key="one"), table.connect()
    table.clock.advance(FRESH_SECONDS / 2 - 1.0)

    table.connect()

    assert gave_way([old, fresh]) == [True, False]


@pytest.mark.parametrize("address", [ADDRESS, "2001:db8::1"])
def test_connections_of_an_address_are_limited(address: str) -> None:
    table = Table(connections_per_address=2)
    other = table.connect(OTHER_ADDRESS)
    connected = [table.connect(address) for _ in range(3)]

    assert gave_way([other, *connected]) == [False, True, False, False]


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    table = Table(connections_per_address=1)
    first = table.connect("2001:db8::1")
    table.connect("2001:db8::2")
    assert first[1].gave_way


def test_connections_of_a_trusted_proxy_are_not_limited_by_address() -> None:
    table = Table(connections_per_address=1)
    assert gave_way([table.connect(PROXY) for _ in range(10)]) == [False] * 10


def test_connections_of_a_key_are_limited_at_all_addresses() -> None:
    table = Table(connections_per_key=2)
    connected = [table.connect(address, key="one") for address in (ADDRESS, PROXY, OTHER_ADDRESS)]
    assert gave_way(connected) == [True, False, False]


def test_key_with_too_many_busy_connections_is_refused() -> None:
    table = Table(connections_per_key=1)
    first, _ = table.connect(key="one", busy=True)
    second, _ = table.connect()

    assert not table.table.claim(second, "one")
    assert table.table.claim(second, "two")
    table.table.close(first)
    assert table.table.claim(second, "one")  # It counts for its last key only.


def test_closed_connections_are_not_counted() -> None:
    table = Table(connections_max=1, unread_bytes_max=10)
    for _ in range(3):
        slot, connection = table.connect(key="one", busy=True)
        table.add_unread(slot, connection, 10)
        table.table.close(slot)
        table.table.close(slot)
    assert table.table.open_count == table.table.unread_bytes == 0


# -- Unread responses --------------------------------------------------------


def test_oldest_unread_response_gives_way() -> None:
    table = Table(unread_bytes_max=100)
    connected = [table.connect(address) for address in (ADDRESS, PROXY, OTHER_ADDRESS)]
    for slot, connection in connected:
        table.add_unread(slot, connection, 40)

    assert gave_way(connected) == [True, False, False]
    assert table.table.unread_bytes == 80


@pytest.mark.parametrize("keys", [(None, None, None), ("one", "one", "one")])
def test_address_or_key_may_use_half_of_the_unread_bytes(keys: tuple[str | None, ...]) -> None:
    table = Table(unread_bytes_max=100)
    addresses = (ADDRESS,) * 3 if keys[0] is None else (ADDRESS, PROXY, OTHER_ADDRESS)
    connected = [
        table.connect(address, key=key) for address, key in zip(addresses, keys, strict=True)
    ]
    for slot, connection in connected:
        table.add_unread(slot, connection, 20)

    assert gave_way(connected) == [True, False, False]


def test_response_that_is_being_read_does_not_give_way_first() -> None:
    table = Table(unread_bytes_max=100)
    connected = [table.connect(PROXY) for _ in range(3)]
    for slot, connection in connected[:2]:
        table.add_unread(slot, connection, 40)
    connected[0][1].unsent = 30

    table.add_unread(*connected[2], 40)

    assert gave_way(connected) == [False, True, False]
    assert table.table.unread_bytes == 70


def test_read_response_is_not_counted() -> None:
    table = Table(unread_bytes_max=100)
    connected = [table.connect(PROXY) for _ in range(10)]
    for slot, connection in connected:
        table.add_unread(slot, connection, 90)
        assert table.table.remove_unread(slot) == 90
    assert not any(gave_way(connected))
    assert table.table.unread_bytes == 0


# -- Requests without a valid key ---------------------------------------------------


def test_address_that_sends_too_many_of_them_floods() -> None:
    table = Table()

    def send(count: float, address: str = ADDRESS) -> int:
        """Return how many of them were too many."""
        return sum(table.table.is_flooded_by(address) for _ in range(round(count)))

    assert send(KEYLESS_BURST) == 0
    assert send(10) == 10
    assert send(10, OTHER_ADDRESS) == 0
    table.clock.now += 1
    assert send(KEYLESS_PER_SECOND) == 0
    assert send(10) == 10


def test_addresses_of_one_network_flood_together_and_a_trusted_proxy_never() -> None:
    table = Table().table
    for number in range(round(KEYLESS_BURST)):
        assert not table.is_flooded_by(f"2001:db8::{number % 2 + 1}")
        assert not table.is_flooded_by(PROXY)

    assert table.is_flooded_by("2001:db8::3")
    assert not table.is_flooded_by(PROXY)
    assert not table.is_flooded_by("")
