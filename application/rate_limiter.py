"""How often one may ask: each caller has a bucket, and each tenant has one for all of its callers.

* A caller is an agent, whichever of its keys it shows and whichever way it comes; or an auditor's
  key. Who asks too often is told how long to wait, and has taken nothing.
* A tenant's own key speaks for all of its agents, and an operator's for all tenants: they are
  bounded as their tenants are.
* What an operation must keep for others follows from its row in the table. An urgent one, without
  which a lease is lost or stays taken, keeps nothing; a command keeps a quarter, so that no number
  of acquisitions stands in the way of a heartbeat; and what only reads or waits keeps half.
* Each process counts for itself. The bounds are there to keep one caller from slowing all others
  down, and that is a matter of each process; what a tenant may have in all is a quota.
"""

import math
import time
from collections.abc import Callable
from typing import TypeAlias

from quorate.application.operations import Endpoint
from quorate.application.token_buckets import Buckets
from quorate.contracts.problems import Problem
from quorate.domain.identity.api_keys import Principal, Role
from quorate.domain.shared.records import record

KEPT_BY_COMMANDS = 0.25
KEPT_BY_READS = 0.5
COUNTED_BY_THEMSELVES: frozenset[Role] = frozenset({"agent", "auditor"})

# Raises Problem when this tenant's caller asks too often for what must keep this share.
Limit: TypeAlias = Callable[[str, str | None, float], None]


@record
class Rates:
    """Requests a second, and how many at once; without a rate there is no bound."""

    per_key: float = 0.0
    burst_per_key: float = 0.0
    per_tenant: float = 0.0
    burst_per_tenant: float = 0.0
    failed_keys_per_minute: float = 0.0


UNBOUNDED = Rates()


def kept_by(endpoint: Endpoint) -> float:
    """The share of a bucket that this endpoint leaves to what is more urgent."""
    if endpoint.urgent:
        return 0.0
    return KEPT_BY_READS if endpoint.method == "GET" else KEPT_BY_COMMANDS


def caller_of(principal: Principal) -> str | None:
    """Who is counted by itself; None: as its tenant is."""
    return principal.actor if principal.role in COUNTED_BY_THEMSELVES else None


def unlimited(_tenant: str, _caller: str | None, _kept_share: float) -> None:
    """For whoever is not bounded."""


class Limits:
    def __init__(self, rates: Rates, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._callers = buckets(rates.per_key, rates.burst_per_key, monotonic)
        self._tenants = buckets(rates.per_tenant, rates.burst_per_tenant, monotonic)

    def check(self, tenant: str, caller: str | None, kept_share: float) -> None:
        """One more; raises Problem."""
        own = self._callers if caller is not None else None
        shared, name = self._tenants, caller or ""
        if own is not None and (wait := own.wait(name, kept_share)):
            raise rate_limited("key", wait)
        if shared is not None:
            if wait := shared.wait(tenant, kept_share):
                raise rate_limited("tenant", wait)
            shared.take(tenant)
        if own is not None:
            own.take(name)


def buckets(
    rate: float, burst: float, monotonic: Callable[[], float] = time.monotonic
) -> Buckets | None:
    return Buckets(rate, burst, monotonic=monotonic) if rate else None


_DETAILS = {
    "key": "This agent, or this key, asks too often.",
    "tenant": "The callers of this tenant together ask too often.",
    "address": "Too many keys came from this address that are none.",
}


def rate_limited(limited_by: str, wait_seconds: float) -> Problem:
    """What the caller is told; the header has whole seconds only."""
    whole = max(1, math.ceil(wait_seconds))
    facts = {"limitedBy": limited_by, "retryAfterSeconds": round(wait_seconds, 6)}
    headers = {"Retry-After": str(whole)}
    return Problem("rate_limited", _DETAILS[limited_by], headers=headers, **facts)
