"""Keys that are none, and where they come from.

* From one address, so many a minute may fail; then what comes from there is refused before
  anything is looked up. Only what failed counts: any number of valid keys may share an address.
* A key that was good not long ago is looked up all the same, so whoever floods us from behind the
  same proxy or router keeps nobody out who was there before.
* The address is that of the connection. What ``X-Forwarded-For`` says is believed of proxies that
  the operator trusts, and of nobody else: anybody can write that header.
* A network of IPv6 counts as one address: whoever has one of its addresses has all of them.
"""

import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from quorate.api.asgi import Scope
from quorate.api.keyring import KeyRing
from quorate.api.limits import buckets, rate_limited
from quorate.domain.keys import Principal

Network: TypeAlias = IPv4Network | IPv6Network

IPV6_NETWORK_BITS = 64
PROXIES_IN_A_ROW_MAX = 16
SECONDS_PER_MINUTE = 60


class Strangers:
    """Asks the key ring, unless too many keys from there have failed."""

    def __init__(
        self,
        keyring: KeyRing,
        *,
        failed_per_minute: float = 0.0,
        trusted_proxies: Sequence[Network] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        rate = failed_per_minute / SECONDS_PER_MINUTE
        self._keyring = keyring
        self._failures = buckets(rate, failed_per_minute, monotonic)
        self._trusted = trusted_proxies

    async def over_http(self, text: str, scope: Scope) -> Principal | None:
        """The principal of a valid key, else None; raises Problem when too many have failed."""
        if not self._keyring.knows(text) and (wait := self._wait(self._address(scope))):
            raise rate_limited("address", wait)
        principal = await self._keyring.authenticate(text)
        if principal is None:
            self._failed(self._address(scope))
        return principal

    async def over_nats(self, text: str, host: str) -> Principal | None:
        """The same; nats-server knows but yes and no."""
        address = network_of(host)
        if not self._keyring.knows(text) and self._wait(address):
            return None
        principal = await self._keyring.authenticate(text)
        if principal is None:
            self._failed(address)
        return principal

    def _wait(self, address: str) -> float:
        return self._failures.wait(address) if self._failures is not None else 0.0

    def _failed(self, address: str) -> None:
        if self._failures is not None:
            self._failures.take(address)

    def _address(self, scope: Scope) -> str:
        peer = scope.get("client")
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return origin(peer[0] if peer else "", forwarded, self._trusted)


def origin(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """Where a request comes from: the nearest address that is no proxy of ours."""
    address = peer
    named = b",".join(forwarded).split(b",")[-PROXIES_IN_A_ROW_MAX:] if forwarded else []
    while named and _is_among(address, trusted):
        address = named.pop().strip().decode("latin-1")
    return network_of(address)


def network_of(address: str) -> str:
    """What counts as one address; whatever is none counts as itself."""
    try:
        read = ip_address(address)
    except ValueError:
        return address
    if not isinstance(read, IPv6Address):
        return address
    if read.ipv4_mapped is not None:
        return str(read.ipv4_mapped)
    return str(ip_network((int(read), IPV6_NETWORK_BITS), strict=False))


def _is_among(address: str, networks: Sequence[Network]) -> bool:
    if not networks:
        return False
    try:
        read = ip_address(address)
    except ValueError:
        return False
    if isinstance(read, IPv6Address) and read.ipv4_mapped is not None:
        read = read.ipv4_mapped
    return any(read in network for network in networks)
