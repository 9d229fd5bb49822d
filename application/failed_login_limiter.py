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

from quorate.application.key_cache import KeyCache
from quorate.application.rate_limiter import buckets, rate_limited
from quorate.domain.identity.api_keys import Principal
from quorate.runtime.asgi import Scope

Network: TypeAlias = IPv4Network | IPv6Network

IPV6_NETWORK_BITS = 64
PROXIES_IN_A_ROW_MAX = 16
SECONDS_PER_MINUTE = 60


class FailedLoginLimiter:
    """Asks the key ring, unless too many keys from there have failed."""

    def __init__(
        self,
        keyring: KeyCache,
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
        if principal := self._keyring.remembered(text):
            return principal
        address = self._address(scope)
        if wait := self._wait_for(text, address):
            raise rate_limited("address", wait)
        return await self._look_up(text, address)

    async def over_nats(self, text: str, host: str) -> Principal | None:
        """The same; nats-server knows but yes and no."""
        if principal := self._keyring.remembered(text):
            return principal
        address = network_of(host)
        if self._wait_for(text, address):
            return None
        return await self._look_up(text, address)

    def _wait_for(self, text: str, address: str) -> float:
        """How long nobody is looked up who comes from there and was not good before."""
        if self._failures is None or self._keyring.knows(text):
            return 0.0
        return self._failures.wait(address)

    async def _look_up(self, text: str, address: str) -> Principal | None:
        principal = await self._keyring.look_up(text)
        if principal is None and self._failures is not None:
            self._failures.take(address)
        return principal

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
