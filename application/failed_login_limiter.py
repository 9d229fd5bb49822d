"""Limit failed logins per source address.

* A source address may fail a fixed number of times per minute. After that, requests from the
  address are rejected before any lookup. Successful logins do not count, so any number of valid
  keys may share an address.
* A key that was valid recently is looked up even then. A brute-force attack from behind a shared
  proxy or router therefore does not lock out existing clients.
* The address is the peer address of the connection. ``X-Forwarded-For`` is used only when the
  peer is a proxy that the operator trusts, because every client can send that header.
* An IPv6 network (/64) counts as one address, because one client can use all its addresses.
"""

import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from quorate.application.key_cache import KeyCache
from quorate.application.rate_limiter import make_buckets, rate_limit_problem
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Scope

Network: TypeAlias = IPv4Network | IPv6Network

IPV6_NETWORK_BITS = 64
PROXY_CHAIN_LENGTH_MAX = 16
SECONDS_PER_MINUTE = 60


class FailedLoginLimiter:
    """Authenticate with the key cache, unless the source address failed too often."""

    def __init__(
        self,
        key_cache: KeyCache,
        *,
        failed_per_minute: float = 0.0,
        trusted_proxies: Sequence[Network] = (),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        rate = failed_per_minute / SECONDS_PER_MINUTE
        self._key_cache = key_cache
        self._failures = make_buckets(rate, failed_per_minute, monotonic)
        self._trusted = trusted_proxies

    async def authenticate_http(self, full_key: str, scope: Scope) -> Principal | None:
        """Return the principal of a valid key, else None; raise Problem above the limit."""
        if principal := self._key_cache.get_cached(full_key):
            return principal
        address = self._address(scope)
        if self._failures is not None and (wait := self._wait_seconds(full_key, address)):
            raise rate_limit_problem("address", wait, self._failures.burst)
        return await self._look_up(full_key, address)

    async def authenticate_nats(self, full_key: str, host: str) -> Principal | None:
        """Return the principal of a valid key, else None, also above the limit."""
        if principal := self._key_cache.get_cached(full_key):
            return principal
        address = network_of(host)
        if self._wait_seconds(full_key, address):
            return None
        return await self._look_up(full_key, address)

    def _wait_seconds(self, full_key: str, address: str) -> float:
        """Return the seconds for which keys from the address are rejected; 0 for a known key."""
        if self._failures is None or self._key_cache.is_known(full_key):
            return 0.0
        return self._failures.wait(address)

    async def _look_up(self, full_key: str, address: str) -> Principal | None:
        principal = await self._key_cache.look_up(full_key)
        if principal is None and self._failures is not None:
            self._failures.take(address)
        return principal

    def _address(self, scope: Scope) -> str:
        peer = scope.get("client")
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return client_address(peer[0] if peer else "", forwarded, self._trusted)


def client_address(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """Return the client address: the last one in the chain that is not a trusted proxy."""
    address = peer
    hops = b",".join(forwarded).split(b",")[-PROXY_CHAIN_LENGTH_MAX:] if forwarded else []
    while hops and is_in_any(address, trusted):
        address = hops.pop().strip().decode("latin-1")
    return network_of(address)


def network_of(address: str) -> str:
    """Return the network that counts as one address; return an unparsable value unchanged."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), IPV6_NETWORK_BITS), strict=False))


def is_in_any(address: str, networks: Sequence[Network]) -> bool:
    """Return whether the address is in a network; False for an unparsable value."""
    if not networks:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
